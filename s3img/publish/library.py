"""The images that pages refer to, wherever they are: in the site, or only in the bucket.

Each image of the site is found once by path, with its digest and facts, and each fault is reported once. Of the others
the project's lock tells (images out of git), or a page has their public URL. What the lock tells is believed; bytes are
fetched only to render what the bucket lacks, each image once, into the cache.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from http.client import HTTPException
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from s3img.assets import CUT_JPEG, Asset, ImageFacts, TargetKind
from s3img.atomic import write_atomically
from s3img.cache import Digests, SiteState
from s3img.errors import (
    AccessDenied,
    AssetError,
    BucketError,
    ConfigError,
    ImageError,
    ObjectNotFound,
    S3ImgError,
    Unreachable,
    unexpected,
)
from s3img.imaging import probe
from s3img.imaging.detectors import Detectors, look
from s3img.imaging.probing import read_facts, too_large
from s3img.keys import KeyTemplate
from s3img.lock import Lock, LockEntry, read_lock
from s3img.pictures.protocols import ReferenceFault
from s3img.pictures.variants import LayerInputs, VariantRequest, VariantSet, choose
from s3img.time_limit import call_within
from s3img.transform.focus import DetectedFocus, FocusBox
from s3img.transform.overlays import is_font_file
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from s3img.assets import AssetRoot, LinkTarget
    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.pictures.choices import Image
    from s3img.transform import Transform
    from s3img.transform.focus import Focus

_FONT: Final = "font/sfnt"

NO_END_MARKER = "no-end-marker"
"""The code of a note about a JPEG that is published although something is wrong with it."""

Fault = Callable[[str, str, str], None]
"""Report (path, code, message)."""


class SiteLibrary:
    """Find the images of a site, and by ``originals`` those that only the bucket has.

    ``unusable`` is called whenever a page asks for an image that can't be used.
    """

    def __init__(
        self,
        root: AssetRoot,
        state: SiteState,
        config: Config,
        fault: Fault,
        *,
        unusable: Callable[[], None] = lambda: None,
        originals: LockedOriginals | None = None,
    ) -> None:
        self._root = root
        self._state = state
        self._digests = Digests(root.root, state)
        self._config = config
        self._template = KeyTemplate.parse(config.key_template)
        self._variants: dict[tuple[str, str, VariantRequest], VariantSet | ReferenceFault] = {}
        self._fault = fault
        self._unusable = unusable
        self._originals = originals
        self._assets: dict[str, Asset | None] = {}
        self._missing: dict[str, ReferenceFault] = {}

    def find(self, target: LinkTarget) -> Asset | ReferenceFault | None:
        """Return the image at a target, a fault for one that is nowhere; an unusable file is reported once, here."""
        if target.kind is TargetKind.FILE:
            if target.path not in self._assets:
                self._assets[target.path] = self.read(target.path)
            if self._assets[target.path] is None:
                self._unusable()
            return self._assets[target.path]
        if target.kind is not TargetKind.MISSING:
            return None
        path = target.path
        try:
            asset = self._originals.asset(path) if self._originals else None
        except AssetError as error:
            return ReferenceFault("ambiguous", str(error))
        if asset:
            return asset
        if path not in self._missing:
            hint = self._root.missing_hint(path)  # compares with every file of the site, so once for each path
            self._missing[path] = ReferenceFault("missing", f"image {path!r} does not exist: {hint}")
        return self._missing[path]

    def variants(self, asset: Asset, request: VariantRequest) -> VariantSet | ReferenceFault:
        """Return an asset's variants; worked out once for all pages that show it in the same way.

        What layers are made of are files of the site, or images that only the bucket has: a fault names one that is
        neither.
        """
        found = self._variants.get((asset.path, asset.key, request))
        if found is None:
            transform = request.transform.with_fonts(self._config.fonts)
            inputs = [(key, self.layer_input(key)) for key in transform.inputs]
            faults = [one for _, one in inputs if isinstance(one, ReferenceFault)]
            good = tuple((key, one) for key, one in inputs if isinstance(one, Asset))
            found = faults[0] if faults else self._choose(asset, replace(request, transform=transform), good)
            self._variants[asset.path, asset.key, request] = found
        return found

    def _choose(self, asset: Asset, request: VariantRequest, inputs: LayerInputs) -> VariantSet | ReferenceFault:
        if not request.transform.is_located:
            try:
                request = replace(request, transform=self.located(asset, request.transform, inputs))
            except S3ImgError as error:
                why = without_path(error, asset.path)
                return ReferenceFault("bad-image", f"{asset.path}: {why} Its references stay as they are.")
        return choose(asset, request, self._config, self._template, inputs=inputs)

    def located(self, asset: Asset, transform: Transform, inputs: LayerInputs) -> Transform:
        """Return the transform with the boxes that detectors find, for which each image is looked at once.

        Raise ImageError where a detector fails, and what fetching an image of the lock raises.
        """
        detectors = Detectors.of(self._config.focus_detectors)
        assets = {"": asset, **dict(inputs)}

        def find(focus: Focus, key: str) -> Focus:
            if not isinstance(focus, DetectedFocus):
                return "center" if focus == "custom" else "auto"  # pages and rules name boxes, and this has none
            asked, page, one = detectors.asked(focus), 0 if key else transform.page, assets[key]
            name = f"{one.digest} {page} {'+'.join(f'{each.kind}={each.reference}' for each in asked)}"
            if asked and name not in self._state.found:
                box = look(self.file(one), asked, limits=self._config.limits, page=page)
                self._state.found[name] = str(box or "")
            return FocusBox.parse(self._state.found.get(name, "")) or "auto"

        return transform.located(find)

    def file(self, asset: Asset) -> Path:
        """Return where an image's bytes are, fetched where only the bucket has them; raise what fetching raises."""
        if self._originals is None or asset not in self._originals:
            return self._root.file(asset.path)
        for _, error in self._originals.fetch([asset]).values():
            raise error
        return self._originals.file(asset)

    def layer_input(self, path: str) -> Asset | ReferenceFault:
        """Return the picture or font that a layer names by its path below the site, or why there is none."""
        target = self._root.target(path)
        if is_font_file(path):
            if target.kind is TargetKind.FILE and (font := self.read_font(target.path)):
                return font
            return ReferenceFault("missing-layer", f"font {path!r} of a layer: {self._root.missing_hint(path)}")
        found = self.find(target)
        if isinstance(found, Asset):
            return found
        why = found.message if found else f"image {path!r} can't be used."
        return ReferenceFault("missing-layer", f"layer {path!r}: {why}")

    def read_font(self, path: str) -> Asset | None:
        """Return a font of the site; None for one that can't be read, which is reported."""
        stat = self._root.files[path]
        try:
            return Asset(path, self._digests.digest(path, stat), stat.size, ImageFacts(_FONT, 0, 0))
        except AssetError as error:
            self._fault(path, "unreadable", f"{without_path(error, path)} Check its permissions.")
            return None

    def read(self, path: str) -> Asset | None:
        """Return the image of a file of the site, None for one that is unusable, which is reported."""
        stat = self._root.files[path]
        try:
            digest = self._digests.digest(path, stat)
            known = self._state.facts.get(digest)
            if known is None:
                file = self._root.file(path)
                known = read_facts(file, limits=self._config.limits)
                self._state.facts[digest] = known
            if known.is_cut:
                self._fault(path, NO_END_MARKER, CUT_JPEG)
            return Asset(path, digest, stat.size, known)
        except AssetError as error:
            self._fault(path, "unreadable", f"{without_path(error, path)} It stays as it is; check its permissions.")
        except ImageError as error:
            text = without_path(error, os.fspath(self._root.file(path)))
            self._fault(path, "bad-image", f"{text} Its references stay as they are.")
        except Exception as error:  # one file never ends a run
            self._fault(path, "unexpected", f"met {unexpected(error)} Its references stay as they are.")
        return None


def without_path(error: Exception, path: str) -> str:
    """Return a message without the path in front, which the report names anyway."""
    return str(error).removeprefix(f"{path}: ")


Failure = tuple[str, S3ImgError]
"""Path of an image of the site, and why it can't be had."""

SHA256 = re.compile("[0-9a-f]{64}")

_MAY_MOVE = frozenset({"image/gif", "image/webp", "image/png", "image/avif"})
"""Types of which the lock does not tell whether they are animated."""


class LockedPaths:
    """Find the lines of a lock that a path of a built site may stand for."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._by_name: dict[str, list[LockEntry]] = {}
        for entry in lock:
            self._by_name.setdefault(posixpath.basename(entry.path), []).append(entry)

    def find(self, path: str) -> list[LockEntry]:
        """Return the line of this path, or else those whose path ends with it: a generator copied it from below."""
        same = self._lock.get(path)
        if same:
            return [same]
        return [entry for entry in self._by_name.get(posixpath.basename(path), ()) if entry.path.endswith(f"/{path}")]


class LockedOriginals:
    """The images of a lock that pages refer to and the site lacks."""

    def __init__(
        self,
        lock_path: Path,
        *,
        needed: bool,
        bucket: Bucket | PublicObjects,
        folder: Path,
        state: SiteState,
        config: Config,
    ) -> None:
        self._lock_path = lock_path
        self._needed = needed
        self._bucket = bucket
        self._folder = folder
        self._facts = state.facts
        self._config = config
        self._entries: dict[str, LockEntry] = {}
        self._pasted: dict[str, Asset] = {}
        self._failures: dict[str, Failure] = {}
        self._unsure: set[str] = set()

    @cached_property
    def _locked(self) -> LockedPaths:
        return LockedPaths(read_lock(self._lock_path, missing_ok=not self._needed))

    def asset(self, path: str) -> Asset | None:
        """Return the image that a missing path stands for, None without one; raise AssetError for several."""
        found = self._locked.find(path)
        if len(found) > 1:
            names = ", ".join(entry.path for entry in found)
            message = f"image {path!r} does not exist here, and {self._lock_path.name} has several such: {names}."
            raise AssetError(message, path=path, fix="Write more of its path.")
        if not found:
            return None
        entry = self._entries[path] = found[0]
        facts = self._facts.get(entry.sha256)
        if facts is None:
            facts = ImageFacts(entry.media_type, entry.width, entry.height)
            if entry.media_type in _MAY_MOVE:
                self._unsure.add(entry.sha256)
        return Asset(path, entry.sha256, entry.size, facts)

    def pasted(self, key: str) -> Asset:
        """Return the image that a page names by the public URL of an object, and have its bytes in the cache.

        An object that has its digest as metadata, and whose picture was seen before, is not fetched. Raise BucketError
        where the bucket does not give it, and what `probe` raises.
        """
        found = self._pasted.get(key)
        if found is None:
            found = self._pasted[key] = self.read_object(key)
        return found

    def read_object(self, key: str) -> Asset:
        """Read the image of a key from the bucket."""
        info = None if isinstance(self._bucket, PublicObjects) else self._bucket.head(key)
        if info is None:
            fix = "Correct the address in the page, or put the image there with s3img push."
            raise ObjectNotFound(f"{self._bucket.name}: there is no {key!r}.", action="head", key=key, fix=fix)
        if info.size > self._config.limits.input_bytes:
            raise too_large("input_bytes", f"{key!r} has {info.size:,} bytes", self._config.limits.input_bytes)
        digest = (info.metadata or {}).get("sha256", "")
        facts = self._facts.get(digest)
        if facts is None or not SHA256.fullmatch(digest):
            data = self._bucket.get(key)
            digest = hashlib.sha256(data).hexdigest()  # what somebody wrote into metadata is not relied on
            facts = probe(data, limits=self._config.limits).facts
            self._facts[digest] = facts
            write_atomically(self._folder / digest[:2] / digest, data)
        return Asset(key, digest, info.size, facts, key)

    def learn(self, images: Iterable[Image], present: Callable[[], Mapping[str, int]]) -> bool:
        """Find out what the lock does not tell, where it decides what images get; return whether any guess was wrong.

        A variant that only a still picture has tells that it is one; where the bucket holds none, the image is needed
        anyway. A placeholder needs to know whether anything is transparent.
        """
        doubtful = [image for image in images if image.asset.digest in self._unsure and image.variants.formats]
        if not doubtful:
            return False
        there = present()
        unknown = {
            i.asset.digest: i.asset for i in doubtful if i.directives.placeholder != "none" or not is_still(i, there)
        }
        self.fetch(unknown.values())
        misjudged = [asset for asset in unknown.values() if self.is_misjudged(asset)]
        return bool(misjudged)

    def is_misjudged(self, asset: Asset) -> bool:
        """Look at an image that was guessed about; tell whether the guess was wrong."""
        try:
            info = probe(self.file(asset), limits=self._config.limits)
        except S3ImgError:  # what can't be fetched or read is reported where it is rendered
            return False
        facts = info.facts
        self._facts[asset.digest] = facts
        self._unsure.discard(asset.digest)
        return facts != asset.facts

    def __contains__(self, asset: Asset) -> bool:
        return bool(asset.key) or asset.path in self._entries

    def file(self, asset: Asset) -> Path:
        """Return where an image's bytes are once they are fetched."""
        return self._folder / asset.digest[:2] / asset.digest

    def fetch(self, assets: Iterable[Asset]) -> dict[str, Failure]:
        """Bring images into the cache, each once; return failures by digest. Images of the site need nothing."""
        wanted = {asset.digest: asset for asset in assets if asset in self and not self.is_fetched(asset)}
        untried = [asset for digest, asset in wanted.items() if digest not in self._failures]
        if untried:
            with ThreadPoolExecutor(self._config.workers, thread_name_prefix="s3img-fetch") as pool:
                for asset, error in zip(untried, pool.map(self._fetch, untried), strict=True):
                    if error:
                        self._failures[asset.digest] = (asset.path, error)
        return {digest: self._failures[digest] for digest in wanted if digest in self._failures}

    def is_fetched(self, asset: Asset) -> bool:
        """Tell whether an image is in the cache; the size tells, since files are written as a whole."""
        try:
            return self.file(asset).stat().st_size == asset.size
        except OSError:
            return False

    def _fetch(self, asset: Asset) -> S3ImgError | None:
        key = asset.key or self._entries[asset.path].key
        try:
            data = self._bucket.get(key)
            if hashlib.sha256(data).hexdigest() != asset.digest:
                fix = "Find out who replaced it, then run s3img push where the image is."
                whose = "what its metadata say" if asset.key else f"the image of {self._lock_path.name}"
                message = f"{self._bucket.name}: {key!r} is not {whose}."
                return BucketError(message, action="get", bucket=self._bucket.name, key=key, fix=fix)
            write_atomically(self.file(asset), data)
        except S3ImgError as error:
            return error
        except OSError as error:
            message = f"The cache can't be written: {error.strerror}."
            return AssetError(message, path=asset.path, fix="Free space, or name another cache_dir.")
        return None


def is_still(image: Image, present: Mapping[str, int]) -> bool:
    """Tell whether the bucket holds a variant that an animated picture would not have."""
    moving = {"webp", image.variants.own}
    return any(variant.key in present for variant in image.variants.variants if variant.format not in moving)


_SECONDS: Final = 30.0
"""Time-out of a connection, and of each wait for bytes."""

_SLOWEST: Final = 100_000
"""Bytes a second that an answer has to have on the whole, after the first 30 seconds."""


class PublicObjects:
    """Objects below a ``public_url``, at most ``limit`` bytes each; any thread may ask."""

    def __init__(self, base_url: str, *, limit: int) -> None:
        if urlsplit(base_url).scheme not in {"http", "https"}:  # urllib would open file: and ftp: as well
            raise ConfigError(["public_url: is needed to read images without credentials: write an https:// address"])
        self.name = base_url
        self._limit = limit

    def get(self, key: str) -> bytes:
        """Return an object's bytes; raise `BucketError` with the URL and what to do."""
        data = self._ask(key, "GET", self._limit + 1)
        if len(data) > self._limit:
            url = object_url(self.name, key)
            raise BucketError(f"{url} has more than {self._limit} bytes.", action="get", key=key)
        return data

    def check(self, key: str) -> None:
        """Ask for an object without reading it; raise `BucketError` as `get` does."""
        try:
            self._ask(key, "GET", 0)
        except BucketError as error:
            if not isinstance(error.__cause__, urllib.error.HTTPError) or error.__cause__.code not in {405, 501}:
                raise
            self._ask(key, "HEAD", 0)

    def _ask(self, key: str, method: str, limit: int) -> bytes:
        """Send a request and return the first ``limit`` bytes of the answer; raise `BucketError`."""
        url = object_url(self.name, key)
        request = urllib.request.Request(url, headers={"User-Agent": "s3img"}, method=method)  # noqa: S310 - see above

        def read() -> bytes:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - see above
                data: bytes = answer.read(limit)
            return data

        try:
            return call_within(_SECONDS + limit / _SLOWEST, read)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(url, key, error.code) from error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a redirect to what is not an address
            reason = getattr(error, "reason", error)
            fix = "Check public_url and the network: s3img doctor shows which step fails."
            raise Unreachable(f"{url} can't be reached: {reason}.", action="get", key=key, fix=fix) from error


def _refused(url: str, key: str, status: int) -> BucketError:
    """Say what an answer that is not an object means."""
    if status in {404, 410}:
        fix = "Correct public_url, or put the object there with s3img push."
        return ObjectNotFound(f"{url} does not exist (HTTP {status}).", action="get", key=key, fix=fix)
    if status in {401, 403}:
        fix = "Let everybody read the bucket's objects, or correct public_url."
        return AccessDenied(f"{url} is not public (HTTP {status}).", action="get", key=key, fix=fix)
    return BucketError(f"{url} was answered with HTTP {status}.", action="get", key=key, fix="Try again later.")
