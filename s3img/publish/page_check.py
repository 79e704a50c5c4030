"""Verify a site from outside: every image reference leads to an image, or to what the project's lock names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.assets import AssetRoot, TargetKind
from s3img.cache import file_digest
from s3img.errors import S3ImgError
from s3img.imaging import probe
from s3img.keys import KeyTemplate
from s3img.lock import Lock
from s3img.pictures.choices import IMAGE_URL, is_placeholder
from s3img.pictures.placement import PublicAddress
from s3img.publish.files import media_type_of, recorded_keys
from s3img.publish.library import LockedPaths
from s3img.publish.result import Problem
from s3img.rewrite import find_references, position

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3img.config import Config
    from s3img.rewrite import Reference


def broken_references(site: Path, *, site_url: str = "") -> tuple[list[str], int]:
    """Return (a line for each reference that leads nowhere or to no image, how many were followed)."""
    root = AssetRoot(site, site_url=site_url)
    broken, checked = [], 0
    for path in sorted(root.files):
        media_type = media_type_of(path)
        if media_type is None:
            continue
        data = root.file(path).read_bytes()
        for reference in find_references(data, media_type):
            target = root.resolve(reference.url, document=path, base=reference.base)
            if target.kind is TargetKind.EXTERNAL:
                continue
            checked += 1
            fault = ""
            if target.kind not in {TargetKind.FILE, TargetKind.OWN}:
                fault = f"{target.path} does not exist"
            else:
                try:
                    probe(root.file(target.path))
                except S3ImgError as error:
                    fault = str(error)
            if fault:
                line, column = position(data, reference.start)
                broken.append(f"{path}:{line}:{column}: {reference.url}: {fault}")
    return broken, checked


def check_pages(site: Path, lock: Lock | None, config: Config) -> tuple[tuple[Problem, ...], int]:
    """Name each image reference of a built site that leads nowhere; return how many images it refers to, too.

    Images in the site have to be those of the lock; images that are not must be in it; URLs below the bucket's public
    address have to lead to keys of the lock, or of what was published with the site. Without a lock, images in the site
    have to be images. The bucket is not asked. Raise AssetError.
    """
    check = _PageCheck(site, lock, config)
    found = tuple(sorted(problem for path in sorted(check.root.files) for problem in check.page(path)))
    return found, check.images


class _PageCheck:
    def __init__(self, site: Path, lock: Lock | None, config: Config) -> None:
        self.root = AssetRoot(site, site_url=config.site_url)
        template = KeyTemplate.parse(config.key_template)
        self._address = PublicAddress(template, config.base_url) if config.base_url else None
        self._has_lock = lock is not None
        lock = lock or Lock()
        self._locked = LockedPaths(lock)
        self._digests = {entry.sha256 for entry in lock}
        self._keys = lock.keys() | recorded_keys(site)
        self._verdicts: dict[str, tuple[str, str]] = {}
        self._remote: set[str] = set()

    @property
    def images(self) -> int:
        """Return how many different images the pages refer to, in the site and in the bucket."""
        return len(self._verdicts) + len(self._remote)

    def page(self, path: str) -> Iterator[Problem]:
        """Yield what is wrong in one file of the site."""
        media_type = media_type_of(path)
        if media_type is None:
            return
        try:
            data = self.root.file(path).read_bytes()
        except OSError as error:
            yield Problem(path, 0, 0, "unreadable", f"can't be read: {error.strerror}.", "error")
            return
        for reference in find_references(data, media_type):
            code, message = self.fault(reference, path)
            if code:
                line, column = position(data, reference.start)
                yield Problem(path, line, column, code, message, "error")

    def fault(self, reference: Reference, document: str) -> tuple[str, str]:
        """Return (code, message), both empty where nothing is wrong."""
        url = reference.url
        if self._address and self._address.owns(url):
            self._remote.add(url)
            if self._address.keys_of([url]) <= self._keys:
                return "", ""
            known = "the lock has no such key" if self._has_lock else "this site was not published with such a key"
            return "unknown-key", f"{url}: {known}: publish the site, or sync and commit the lock."
        target = self.root.resolve(url, document=document, base=reference.base)
        is_image = bool(IMAGE_URL.search(url))
        if target.kind is TargetKind.MISSING and not is_placeholder(url) and (is_image or reference.kind != "a href"):
            return self.missing_fault(target.path)
        # What s3img wrote into the site is never in the lock; without a lock it is looked at like any other image.
        kinds = {TargetKind.FILE} if self._has_lock else {TargetKind.FILE, TargetKind.OWN}
        if target.kind not in kinds or not is_image:
            return "", ""
        if target.path not in self._verdicts:
            self._verdicts[target.path] = self.file_fault(target.path)
        return self._verdicts[target.path]

    def missing_fault(self, path: str) -> tuple[str, str]:
        """Return (code, message) about an image that is not on disk."""
        found = self._locked.find(path)
        if len(found) > 1:
            return "ambiguous", f"image {path!r} may be any of {', '.join(entry.path for entry in found)}."
        if found:
            return "", ""
        where = "neither here nor in the lock" if self._has_lock else "not in the site"
        return "missing", f"image {path!r} is {where}: {self.root.missing_hint(path)}"

    def file_fault(self, path: str) -> tuple[str, str]:
        """Return (code, message) about an image that is on disk."""
        if not self._has_lock:
            try:
                probe(self.root.file(path))
            except S3ImgError as error:
                return "bad-image", str(error)
            return "", ""
        try:
            digest = file_digest(self.root.file(path))
        except OSError as error:
            return "unreadable", f"image {path!r} can't be read: {error.strerror}."
        found = self._locked.find(path)
        if any(entry.sha256 == digest for entry in found) or (not found and digest in self._digests):
            return "", ""
        if found:
            return "changed", f"image {path!r} is not the one that the lock has: run s3img sync and commit the lock."
        return "not-in-lock", f"image {path!r} is not in the lock: run s3img sync and commit the lock."
