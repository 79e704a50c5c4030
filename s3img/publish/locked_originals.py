"""Images that are not in the site but in the bucket: the project's lock says so, or a page has their public URL.

What the lock tells is believed; bytes are fetched only to render what the bucket lacks, each image once, into the
cache.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from s3img.assets import Asset, ImageFacts
from s3img.atomic import write_atomically
from s3img.errors import AssetError, BucketError, ObjectNotFound, S3ImgError
from s3img.imaging import probe
from s3img.imaging.probing import too_large
from s3img.lock import Lock, LockEntry, read_lock
from s3img.publish.public_originals import PublicObjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from s3img.buckets import Bucket
    from s3img.cache import SiteState
    from s3img.config import Config
    from s3img.imaging import ImageInfo
    from s3img.pictures.choices import Image

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
        return Asset(path, entry.sha256, entry.size, self._facts_of(entry))

    def _facts_of(self, entry: LockEntry) -> ImageFacts:
        known = self._facts.get(entry.sha256)
        if known is None:
            known = ImageFacts(entry.media_type, entry.width, entry.height)
            if entry.media_type in _MAY_MOVE:
                self._unsure.add(entry.sha256)
        return known

    def pasted(self, key: str) -> Asset:
        """Return the image that a page names by the public URL of an object, and have its bytes in the cache.

        An object that has its digest as metadata, and whose picture was seen before, is not fetched. Raise BucketError
        where the bucket does not give it, and what `probe` raises.
        """
        found = self._pasted.get(key)
        if found is None:
            found = self._pasted[key] = self._read_object(key)
        return found

    def _read_object(self, key: str) -> Asset:
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
            facts = image_facts(probe(data, limits=self._config.limits))
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
            i.asset.digest: i.asset for i in doubtful if i.directives.placeholder != "none" or not _is_still(i, there)
        }
        self.fetch(unknown.values())
        misjudged = [asset for asset in unknown.values() if self._is_misjudged(asset)]
        return bool(misjudged)

    def _is_misjudged(self, asset: Asset) -> bool:
        try:
            info = probe(self.file(asset), limits=self._config.limits)
        except S3ImgError:  # what can't be fetched or read is reported where it is rendered
            return False
        facts = image_facts(info)
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
        wanted = {asset.digest: asset for asset in assets if asset in self and not self._has(asset)}
        untried = [asset for digest, asset in wanted.items() if digest not in self._failures]
        if untried:
            with ThreadPoolExecutor(self._config.workers, thread_name_prefix="s3img-fetch") as pool:
                for asset, error in zip(untried, pool.map(self._fetch, untried), strict=True):
                    if error:
                        self._failures[asset.digest] = (asset.path, error)
        return {digest: self._failures[digest] for digest in wanted if digest in self._failures}

    def _has(self, asset: Asset) -> bool:
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


def image_facts(info: ImageInfo) -> ImageFacts:
    """Return what publishing needs of an image's header."""
    return ImageFacts(info.media_type, info.width, info.height, animated=info.animated, alpha=info.alpha)


def _is_still(image: Image, present: Mapping[str, int]) -> bool:
    """Tell whether the bucket holds a variant that an animated picture would not have."""
    moving = {"webp", image.variants.own}
    return any(variant.key in present for variant in image.variants.variants if variant.format not in moving)
