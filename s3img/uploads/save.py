"""Check an upload, clean it, name it and put it; in that order, so that a refused one leaves nothing behind."""

from __future__ import annotations

import hashlib
import itertools
import posixpath
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import msgspec

from s3img import imaging
from s3img.assets import Asset
from s3img.buckets import MARKER
from s3img.buckets.key_claims import put_new
from s3img.errors import (
    AccessDenied,
    BucketError,
    ConfigError,
    ImageError,
    ImageTooLarge,
    KeyTaken,
    S3ImgError,
    UnsupportedImage,
)
from s3img.imaging import SUFFIXES, Rendered
from s3img.imaging.isolation import run_untrusted, tasks
from s3img.keys import KeyFields, KeyTemplate, is_reserved, visible_name
from s3img.pictures.format_comparison import ImageCandidate
from s3img.pictures.markup import Picture
from s3img.pictures.variants import VariantRequest, choose
from s3img.transfer.render import render_target
from s3img.uploads.policy import UploadPolicy, explained_to_visitors
from s3img.uploads.template import DEFAULT_TEMPLATE, UploadFields, UploadTemplate
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from s3img.buckets import Bucket, ObjectInfo
    from s3img.config import Config
    from s3img.imaging import ImageInfo
    from s3img.imaging.isolation.process_messages import TaskResult
    from s3img.pictures.catalog import LockedPicture
    from s3img.pictures.variants import Variant
    from s3img.uploads.policy import ConvertedFormat

UPLOAD_MARKER = {next(iter(MARKER)): "upload"}
"""Metadata of uploads: only the program that took them knows who needs them, so a clean-up leaves them alone."""

_KEY_LOCKS = tuple(threading.Lock() for _ in range(64))
"""Uploads of this process that want one key go one after another: stores don't all have a put that never replaces."""

_CLASHES = frozenset({"EEXIST", "EISDIR", "ENOTDIR"})
"""What a folder answers to a file where a folder is, and to a folder where a file is."""

_ATTEMPTS = 16  # to get a key while other processes take the ones that were free
_LOOKED_AT = 1000  # objects of a folder, one page of a listing, among which the same picture is looked for
_COMPARED = 10  # objects of a picture's own size that are compared with it
_NAMES = 1000  # keys that ``rename`` tries


class _KeyTakenMeanwhile(Exception):
    """Another process has put an object under a key since it was found to be free."""


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

    def picture(self, alt: str) -> LockedPicture:
        """Return the picture as a page shows it: ``str`` of it is a whole ``<picture>``, every value escaped."""
        from s3img.pictures.catalog import LockedPicture  # only who wants markup

        original = ImageCandidate(self.url, self.width, self.bytes)
        by_type: dict[str, list[ImageCandidate]] = {}
        for variant in self.variants:
            candidate = ImageCandidate(variant.url, variant.width, variant.bytes, is_variant=True)
            by_type.setdefault(variant.media_type, []).append(candidate)
        own = [candidate for candidate in by_type.pop(self.media_type, []) if candidate.width < self.width]
        widest = max((variant.width for variant in self.variants), default=0)
        least = {candidate.width: candidate.size for candidate in own}
        shown: dict[str, list[ImageCandidate]] = {}
        for media_type, candidates in reversed(by_type.items()):  # the plainest first, as in `format_comparison.select`
            kept = [one for one in candidates if one.size < least.get(one.width, self.bytes)]
            # A format without its widest variant goes as a whole: wide screens would be given a small picture.
            if kept and kept[-1].width == widest:
                shown[imaging.FORMATS[media_type]] = kept
                least |= {candidate.width: candidate.size for candidate in kept}
        sources = dict(reversed(shown.items()))
        return LockedPicture(Picture(sources, [*own, original], self.width, self.height, self.width), {"alt": alt})


def sent_name(filename: str) -> str:
    """Return a sender's name for a file without the folders of the sender's machine."""
    return posixpath.basename(filename.replace("\\", "/"))


@dataclass(frozen=True, slots=True)
class KeySources:
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
        sources: KeySources | None = None,
    ) -> None:
        self._bucket = bucket
        self._config = config
        self._template = UploadTemplate.parse(template)
        self._policy = policy or UploadPolicy()
        self._sources = sources or KeySources()
        self._limits = msgspec.structs.replace(
            config.limits,
            input_bytes=min(config.limits.input_bytes, self._policy.max_bytes),
            input_pixels=min(config.limits.input_pixels, self._policy.max_pixels),
            jpeg_pixels=min(config.limits.input_pixels, self._policy.max_pixels),  # the whole picture is decoded here
            tolerant=self._policy.tolerant,
        )

    @property
    def policy(self) -> UploadPolicy:
        """Which pictures are taken, and how they are stored."""
        return self._policy

    def with_options(
        self, *, template: str = "", max_side: int | None = None, convert: ConvertedFormat | None = None
    ) -> Uploader:
        """Return an uploader of the same bucket and policy that names, scales or converts otherwise.

        A ``max_side`` (px) above the policy's is the policy's. Raise ConfigError for a bad template.
        """
        policy = self._policy
        if max_side is not None:
            sides = [side for side in (max_side, policy.max_side) if side > 0]
            policy = replace(policy, max_side=min(sides, default=0))
        if convert is not None:
            policy = replace(policy, convert=convert)
        template = template or str(self._template)
        return Uploader(self._bucket, self._config, template=template, policy=policy, sources=self._sources)

    def preview_key(self, filename: str, *, folder: str = "", digest: str = "") -> str:
        """Return the key that a picture of this name would have; what only its content tells is made up.

        The digest is all zeros and 1 px a side unless given. Raise ConfigError for a key that can't be made.
        """
        suffix = self._policy.convert or posixpath.splitext(filename)[1][1:].lower() or "jpg"
        suffix = {"jpeg": "jpg"}.get(suffix, suffix)
        return self._key(filename, folder, digest or "0" * 64, suffix, (1, 1))

    def save(
        self,
        source: bytes | IO[bytes],
        *,
        filename: str = "",
        folder: str = "",
        allowed: Callable[[str], bool] | None = None,
        reuse: bool = False,
    ) -> Uploaded:
        """Store a picture and return where it is.

        ``filename`` is the sender's word and only used for ``{{stem}}`` and the like; ``folder`` fills ``{{dir}}``.
        With ``reuse``, the same picture under another name in its folder counts as stored.
        ``allowed`` is asked for the key before anything is put, as a template may lead to other folders. Raise
        AccessDenied where it says no.
        Raise ImageTooLarge, UnsupportedImage and ImageError for what the policy or the decoder refuses,
        KeyTaken for a key that is taken, ConfigError for a key that can't be made, BucketError. Each has a
        ``visitor`` text for the person who sent the picture.
        """
        with explained_to_visitors(filename, self._policy):
            clean = self._cleaned(self._read(source), filename)
            digest = hashlib.sha256(clean.data).hexdigest()
            name = sent_name(filename)
            suffix = imaging.FORMATS[clean.media_type]
            wanted = self._key(filename, folder, digest, SUFFIXES.get(suffix, suffix), (clean.width, clean.height))
            if reuse and self._policy.conflict == "skip-identical":
                wanted = self._same_below(wanted.rpartition("/")[0], clean, digest) or wanted
            if allowed and not allowed(wanted):
                message = f"nothing may be put under {wanted!r}."
                raise AccessDenied(message, action="put", key=wanted, fix="Choose another folder or template.")
            with _KEY_LOCKS[hash(wanted) % len(_KEY_LOCKS)]:
                for _ in range(_ATTEMPTS):
                    with suppress(_KeyTakenMeanwhile):
                        return self._store(wanted, clean, digest, name)
                raise self._conflict(wanted)

    def _key(self, filename: str, folder: str, digest: str, suffix: str, size: tuple[int, int]) -> str:
        """Fill the template for a picture."""
        if any(part.startswith(".") for part in folder.split("/")):
            raise ConfigError([f"folder: {folder!r} has a hidden segment: leave the dot out"])
        path = posixpath.join(folder.strip("/"), visible_name(sent_name(filename)) or "image")
        file = KeyFields(path, digest, suffix, *size)
        return self._template.key(UploadFields(file, self._sources.now(), self._sources.entropy()))

    def check(self, source: bytes | IO[bytes], *, filename: str = "") -> ImageInfo:
        """Refuse what `save` would refuse by its first bytes; raise as `save` does. ``source`` is read."""
        with explained_to_visitors(filename, self._policy):
            return self._probe(self._read(source), filename)

    def _store(self, wanted: str, clean: Rendered, digest: str, name: str) -> Uploaded:
        """Put a picture and its variants; take out again what was put when any of them fails."""
        key, there = self._free_key(wanted, clean, digest)
        variants = list(self._variants(key, clean, digest)) if self._policy.variants else []
        new = [(variant.key, rendered) for variant, rendered in variants]
        if there is not None:
            new = [(other, rendered) for other, rendered in new if self._bucket.head(other) is None]
        else:
            new.append((key, clean))  # last: who sees the picture sees its variants
        done: list[str] = []
        try:
            for other, picture in new:
                sha256 = digest if other == key else hashlib.sha256(picture.data).hexdigest()
                metadata = {**UPLOAD_MARKER, "sha256": sha256}
                fields: dict[str, Any] = {"media_type": picture.media_type, "metadata": metadata, "sha256": sha256}
                if other == key:
                    self._put_new(key, clean, digest, fields)
                else:  # its name follows from its content: whoever puts it, it is the same
                    self._bucket.put(other, picture.data, **fields)
                done.append(other)
        except BaseException:
            with suppress(BucketError):  # the first failure is the one to tell
                self._bucket.delete(done)
            raise
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
            variants=tuple(
                UploadedVariant(
                    url=object_url(self._config.base_url, variant.key),
                    key=variant.key,
                    width=variant.width,
                    height=variant.height,
                    media_type=variant.media_type,
                    bytes=len(rendered.data),
                )
                for variant, rendered in variants
            ),
        )

    def _put_new(self, key: str, clean: Rendered, digest: str, fields: dict[str, Any]) -> None:
        """Put a picture under a key that was free a moment ago; raise `_KeyTakenMeanwhile` where it is not any more."""
        try:
            put_new(self._bucket, key, clean.data, **fields)
        except BucketError as error:
            if error.reason != "condition-failed" and error.code not in _CLASHES:
                raise
            # A request that was sent twice, because its answer was lost, meets what it stored itself.
            there = self._bucket.head(key)
            if there is None or not self._is_same(there, clean, digest):
                raise _KeyTakenMeanwhile from error

    def _is_same(self, there: ObjectInfo, clean: Rendered, digest: str) -> bool:
        if there.size != len(clean.data):
            return False
        known = (there.metadata or {}).get("sha256") or hashlib.sha256(self._bucket.get(there.key)).hexdigest()
        return known == digest

    def _same_below(self, folder: str, clean: Rendered, digest: str) -> str:
        """Return the key of the same picture below a folder, "" for none among its first objects."""
        listed = itertools.islice(self._bucket.list(f"{folder}/" if folder else ""), _LOOKED_AT)
        of_its_size = (info.key for info in listed if info.size == len(clean.data) and not is_reserved(info.key))
        for key in itertools.islice(of_its_size, _COMPARED):
            there = self._bucket.head(key)  # a listing has no metadata, where the digest is
            if there is not None and self._is_same(there, clean, digest):
                return key
        return ""

    def _conflict(self, key: str) -> KeyTaken:
        message = f"{self._bucket.name}: {key!r} is taken by another picture."
        return KeyTaken(message, key=key, fix="Use {{ulid}} in the template, or conflict='rename'.")

    def _read(self, source: bytes | IO[bytes]) -> bytes:
        """Read as much as may be, and one byte; sockets and pipes give less at a time than they are asked for."""
        most = self._policy.max_bytes
        data = bytearray(source if isinstance(source, bytes | bytearray | memoryview) else b"")
        while not isinstance(source, bytes | bytearray | memoryview) and len(data) <= most:
            try:
                chunk = source.read(most + 1 - len(data))
            except OSError as error:
                raise ImageError(f"The upload ended early: {error}.", fix="Send it again.") from error
            if not isinstance(chunk, bytes):
                raise UnsupportedImage("The upload is a stream of text.", fix="Open it in binary mode.")
            if not chunk:
                break
            data += chunk
        if len(data) > most:
            raise ImageTooLarge(
                f"The upload has more than {most} bytes.", limit="max_bytes", fix="Send a smaller picture."
            )
        return bytes(data)

    def _probe(self, data: bytes, filename: str) -> ImageInfo:
        info = imaging.probe(data, limits=self._limits)
        if info.format not in self._policy.formats:
            allowed = ", ".join(sorted(self._policy.formats))
            shown = repr(filename[:80]) if filename else "The upload"
            raise UnsupportedImage(f"{shown} is {info.format.upper()}.", fix=f"Send one of: {allowed}.")
        return info

    def _cleaned(self, data: bytes, filename: str) -> Rendered:
        info = self._probe(data, filename)
        is_scaled = 0 < self._policy.max_side < max(info.width, info.height)
        is_converted = self._policy.convert not in {"", info.format}
        if self._policy.metadata == "keep" and not is_scaled and not is_converted:
            self._decode(tasks.clean, data)  # for its errors: what can't be decoded is not stored
            return Rendered(data, info.media_type, info.width, info.height)
        anew = self._policy.metadata == "reencode"
        (clean,) = self._decode(
            partial(tasks.clean, max_side=self._policy.max_side, encode_anew=anew, convert=self._policy.convert), data
        )
        if isinstance(clean, S3ImgError):
            raise clean
        return clean

    def _decode(self, task: Callable[..., TaskResult], data: bytes) -> Sequence[Rendered | S3ImgError]:
        """Run a task on a stranger's bytes, in another process where the limits say so."""
        return run_untrusted(partial(task, limits=self._limits), data, limits=self._limits).pictures

    def _free_key(self, key: str, clean: Rendered, digest: str) -> tuple[str, ObjectInfo | None]:
        """Return the key to use, and what is there if that is this very picture."""
        stem, ext = posixpath.splitext(key)
        others = (f"{stem}-{number}{ext}" for number in range(2, _NAMES))
        for candidate in itertools.chain((key,), others) if self._policy.conflict == "rename" else (key,):
            there = self._bucket.head(candidate)
            if there is None:
                return candidate, None
            if self._policy.conflict == "skip-identical" and self._is_same(there, clean, digest):
                return candidate, there
        raise self._conflict(key)

    def _variants(self, key: str, clean: Rendered, digest: str) -> Iterable[tuple[Variant, Rendered]]:
        """Render the variants that a published page would show; nothing as large as the upload is kept."""
        asset = Asset(key, digest, len(clean.data), imaging.probe(clean.data, limits=self._limits).facts)
        variants = choose(asset, VariantRequest(), self._config, KeyTemplate.parse(self._config.key_template)).variants
        targets = [render_target(variant) for variant in variants]
        pictures = self._decode(partial(tasks.render_sizes, targets=targets), clean.data)
        for variant, rendered in zip(variants, pictures, strict=True):
            if isinstance(rendered, Rendered) and len(rendered.data) < len(clean.data):
                yield variant, rendered
