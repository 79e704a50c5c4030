"""Check an upload, clean it, name it and put it; in that order, so that a refused one leaves nothing behind."""

from __future__ import annotations

import hashlib
import itertools
import posixpath
import secrets
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

import msgspec

from s3img import imaging
from s3img.assets import Asset, ImageFacts
from s3img.buckets import MARKER
from s3img.errors import BucketError, ConfigError, ImageError, ImageTooLarge, UnsupportedImage, UploadConflict
from s3img.imaging import SUFFIXES, Rendered, RenderTarget
from s3img.keys import KeyFields, KeyTemplate
from s3img.pictures.variants import VariantRequest, choose
from s3img.uploads.template import DEFAULT_TEMPLATE, UploadFields, UploadPolicy, UploadTemplate
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from s3img.buckets import Bucket, ObjectInfo
    from s3img.config import Config
    from s3img.imaging import ImageInfo
    from s3img.pictures.variants import Variant

    Put = Callable[[str, Rendered, str], None]

UPLOAD_MARKER = {next(iter(MARKER)): "upload"}
"""Metadata of uploads: only the program that took them knows who needs them, so a clean-up leaves them alone."""

_TURNS = tuple(threading.Lock() for _ in range(64))
"""Uploads of this process that want one key take turns: stores don't all have a put that never replaces."""

_NAMES = 1000
"""Keys that ``rename`` tries."""


class UploadedVariant(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a rendering that was put beside an upload; px and bytes."""

    url: str
    key: str
    width: int
    height: int
    media_type: str
    bytes: int


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a stored upload: px and bytes of what was stored; ``filename`` is what the sender called it.

    ``existed`` says that the same bytes were there under this key already.
    """

    url: str
    key: str
    width: int
    height: int
    media_type: str
    bytes: int
    sha256: str
    filename: str
    existed: bool = False
    variants: tuple[UploadedVariant, ...] = ()


@dataclass(frozen=True, slots=True)
class Chance:
    """Give the moment (UTC) and the random bits that an upload's key may hold."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    entropy: Callable[[], int] = lambda: secrets.randbits(80)


class Uploader:
    """Save pictures into one bucket under one policy."""

    def __init__(
        self,
        bucket: Bucket,
        config: Config,
        *,
        template: str = DEFAULT_TEMPLATE,
        policy: UploadPolicy | None = None,
        chance: Chance | None = None,
    ) -> None:
        self._bucket = bucket
        self._config = config
        self._template = UploadTemplate.parse(template)
        self._policy = policy or UploadPolicy()
        self._chance = chance or Chance()
        self._limits = msgspec.structs.replace(
            config.limits,
            input_bytes=min(config.limits.input_bytes, self._policy.max_bytes),
            input_pixels=min(config.limits.input_pixels, self._policy.max_pixels),
        )

    def save(self, source: bytes | IO[bytes], *, filename: str = "", folder: str = "") -> Uploaded:
        """Store a picture and return where it is.

        ``filename`` is the sender's word and only used for ``{{stem}}`` and the like; ``folder`` fills ``{{dir}}``.
        Raise ImageTooLarge, UnsupportedImage and ImageError for what the policy or the decoder refuses,
        UploadConflict for a key that is taken, ConfigError for a key that can't be made, BucketError.
        """
        clean = self._cleaned(self._read(source), _shown(filename))
        digest = hashlib.sha256(clean.data).hexdigest()
        name = posixpath.basename(filename.replace("\\", "/"))
        wanted = self._key(clean, digest, posixpath.join(_checked_folder(folder), _safe_name(name)))
        with _TURNS[hash(wanted) % len(_TURNS)]:
            return self._stored(wanted, clean, digest, name)

    def _stored(self, wanted: str, clean: Rendered, digest: str, name: str) -> Uploaded:
        key, there = self._free(wanted, clean, digest)
        variants = list(self._variants(key, clean, digest)) if self._policy.variants else []
        with self._all_or_nothing() as put:
            for variant, rendered in variants:
                if there is None or self._bucket.head(variant.key) is None:
                    put(variant.key, rendered, hashlib.sha256(rendered.data).hexdigest())
            if there is None:
                put(key, clean, digest)
        return Uploaded(
            url=object_url(self._config.base_url, key),
            key=key,
            width=clean.width,
            height=clean.height,
            media_type=clean.media_type,
            bytes=len(clean.data),
            sha256=digest,
            filename=name,
            existed=there is not None,
            variants=tuple(self._describe(variant, len(rendered.data)) for variant, rendered in variants),
        )

    def check(self, source: bytes | IO[bytes], *, filename: str = "") -> ImageInfo:
        """Refuse what `save` would refuse by its first bytes; raise as `save` does. ``source`` is read."""
        return self._examined(self._read(source), _shown(filename))

    def _read(self, source: bytes | IO[bytes]) -> bytes:
        data = bytes(source) if isinstance(source, bytes | bytearray | memoryview) else self._read_stream(source)
        if len(data) > self._policy.max_bytes:
            message = f"The upload has more than {self._policy.max_bytes} bytes."
            raise ImageTooLarge(message, limit="max_bytes", fix="Send a smaller picture.")
        return data

    def _read_stream(self, stream: IO[bytes]) -> bytes:
        """Read as much as may be, and one byte; sockets and pipes give less at a time than they are asked for."""
        data = bytearray()
        while (left := self._policy.max_bytes + 1 - len(data)) > 0:
            try:
                chunk = stream.read(left)
            except OSError as error:
                raise ImageError(f"The upload ended early: {error}.", fix="Send it again.") from error
            if not isinstance(chunk, bytes):
                raise UnsupportedImage("The upload is a stream of text.", fix="Open it in binary mode.")
            if not chunk:
                break
            data += chunk
        return bytes(data)

    def _examined(self, data: bytes, name: str) -> ImageInfo:
        info = imaging.probe(data, limits=self._limits)
        if info.format not in self._policy.formats:
            allowed = ", ".join(sorted(self._policy.formats))
            raise UnsupportedImage(f"{name} is {info.format.upper()}.", fix=f"Send one of: {allowed}.")
        return info

    def _cleaned(self, data: bytes, name: str) -> Rendered:
        info = self._examined(data, name)
        if self._policy.metadata == "keep" and not self._is_scaled(info):
            imaging.cleaned(data, limits=self._limits)  # for its errors: what can't be decoded is not stored
            return Rendered(data, info.media_type, info.width, info.height)
        anew = self._policy.metadata == "reencode"
        return imaging.cleaned(data, limits=self._limits, max_side=self._policy.max_side, encode_anew=anew)

    def _is_scaled(self, info: ImageInfo) -> bool:
        return bool(self._policy.max_side) and max(info.width, info.height) > self._policy.max_side

    def _key(self, clean: Rendered, digest: str, path: str) -> str:
        name = next(name for name, media_type in imaging.MEDIA_TYPES.items() if media_type == clean.media_type)
        file = KeyFields(path, digest, SUFFIXES.get(name, name), clean.width, clean.height)
        return self._template.key(UploadFields(file, self._chance.now(), self._chance.entropy()))

    def _free(self, key: str, clean: Rendered, digest: str) -> tuple[str, ObjectInfo | None]:
        """Return the key to use, and what is there if that is this very picture."""
        for candidate in _numbered(key) if self._policy.conflict == "rename" else (key,):
            there = self._bucket.head(candidate)
            if there is None:
                return candidate, None
            if self._policy.conflict == "skip-identical" and self._is_same(candidate, there, clean, digest):
                return candidate, there
        message = f"{self._bucket.name}: {key!r} is taken by another picture."
        raise UploadConflict(message, key=key, fix="Use {{ulid}} in the template, or conflict='rename'.")

    def _is_same(self, key: str, there: ObjectInfo, clean: Rendered, digest: str) -> bool:
        known = (there.metadata or {}).get("sha256")
        if known or there.size != len(clean.data):
            return known == digest
        return hashlib.sha256(self._bucket.get(key)).hexdigest() == digest

    @contextmanager
    def _all_or_nothing(self) -> Iterator[Put]:
        """Give a way to put objects; take them out again when any of them fails."""
        done: list[str] = []

        def put(key: str, picture: Rendered, digest: str) -> None:
            metadata = {**UPLOAD_MARKER, "sha256": digest}
            self._bucket.put(key, picture.data, media_type=picture.media_type, metadata=metadata, sha256=digest)
            done.append(key)

        try:
            yield put
        except BaseException:
            with suppress(BucketError):  # the first failure is the one to tell
                self._bucket.delete(done)
            raise

    def _variants(self, key: str, clean: Rendered, digest: str) -> Iterable[tuple[Variant, Rendered]]:
        """Render the variants that a published page would show; nothing as large as the upload is kept."""
        info = imaging.probe(clean.data, limits=self._limits)
        facts = ImageFacts(info.media_type, info.width, info.height, animated=info.animated, alpha=info.alpha)
        asset = Asset(key, digest, len(clean.data), facts)
        variants = choose(asset, VariantRequest(), self._config, KeyTemplate.parse(self._config.key_template)).variants
        targets = [
            RenderTarget(variant.width, variant.height, variant.format, variant.transform.quality or 0)
            for variant in variants
        ]
        for variant, rendered in zip(
            variants, imaging.render_variants(clean.data, targets, limits=self._limits), strict=True
        ):
            if isinstance(rendered, Rendered) and len(rendered.data) < len(clean.data):
                yield variant, rendered

    def _describe(self, variant: Variant, size: int) -> UploadedVariant:
        url = object_url(self._config.base_url, variant.key)
        return UploadedVariant(
            url=url,
            key=variant.key,
            width=variant.width,
            height=variant.height,
            media_type=variant.media_type,
            bytes=size,
        )


def _numbered(key: str) -> Iterable[str]:
    """Yield a key, then itself with -2, -3 … before its extension."""
    stem, ext = posixpath.splitext(key)
    return itertools.chain((key,), (f"{stem}-{number}{ext}" for number in range(2, _NAMES)))


def _checked_folder(folder: str) -> str:
    """Return a folder that keys may begin with; raise ConfigError for one with steps, because the app chooses it."""
    if {".", ".."} & {*folder.split("/")}:
        raise ConfigError([f"folder: {folder!r} has a '.' or '..' segment: name a folder of the bucket"])
    return folder.strip("/")


def _safe_name(name: str) -> str:
    """Return what the sender calls a file as far as a key may hold it: nothing hidden, no step, never empty."""
    return name.strip().lstrip(".").strip() or "image"


def _shown(filename: str) -> str:
    return repr(filename[:80]) if filename else "The upload"
