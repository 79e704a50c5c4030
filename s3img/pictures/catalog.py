"""Look images up by name: entries, addresses, pictures."""

from __future__ import annotations

import difflib
import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from s3img.errors import AssetError, ConfigError
from s3img.lock import read_lock
from s3img.pictures.locked import ServiceUrls, VariantLookup
from s3img.pictures.markup import ImageCandidate, LockedPicture, Picture, select
from s3img.pictures.variants import Layout, VariantRequest
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from s3img.config import Config
    from s3img.lock import Lock, LockEntry

__all__ = ["Catalog", "CatalogFile", "LockedPicture"]

_FORMATS = ("avif", "webp", "jpeg", "png")


class Catalog:
    """Answer from a lock and the settings alone: no request, no file. Safe for threads.

    Names are paths as the lock has them (``static/img/cat.jpg``). Raise ConfigError where nothing says what the public
    address of the bucket is.
    """

    def __init__(self, lock: Lock, config: Config) -> None:
        if not config.base_url:
            raise ConfigError(["bucket: is needed, because it is where the images are: write s3://NAME/PREFIX"])
        self.lock = lock
        self.config = config
        self.service = ServiceUrls.of(config)
        self._lookup = VariantLookup(lock, config, self.service)

    @property
    def lookup(self) -> VariantLookup:
        """Return what knows the variants of images; one answer goes with one page."""
        if self._lookup.is_full:
            self._lookup = VariantLookup(self.lock, self.config, self.service)
        return self._lookup

    def entry(self, name: str) -> LockEntry:
        """Return an image's line; raise AssetError with the nearest name for one that is not in the lock."""
        found = self.lock.get(name)
        if found is None:
            near = self._nearest(name)
            fix = f"Did you mean {near!r}?" if near else "Run s3img sync."
            raise AssetError(f"{name!r} is not in the lock.", path=name, fix=fix)
        return found

    def url(self, name: str, transform: str | Transform = "", *, expires: int | None = None) -> str:
        """Return an image's address: its own file's, that of a rendering in the bucket, else one of the service.

        ``expires`` (Unix seconds) ends a signed address of the service. Raise AssetError for an unknown name,
        TransformError, and ConfigError where a transform would need the service and there is none.
        """
        entry = self.entry(name)
        if not transform:
            return self.lookup.url(entry.key)
        asked = self._transform(transform)
        if asked == Transform() or asked.output.original:
            return self.lookup.url(entry.key)
        if key := self.lookup.variant(entry, asked):
            return self.lookup.url(key)
        return self._needed_service(asked).url(entry.key, asked, expires=expires)

    def picture(  # noqa: PLR0913 - one name for each thing that a template may say of a picture
        self,
        name: str,
        *,
        alt: str,
        transform: str | Transform = "",
        widths: Iterable[int] | None = None,
        formats: Iterable[str] | None = None,
        width: int = 0,
        sizes: str = "",
        class_: str = "",
        loading: str = "",
        layout: Layout = "constrained",
        priority: bool = False,
        attributes: Mapping[str, str] | None = None,
    ) -> LockedPicture:
        """Return an image with all its candidates.

        ``width`` is the layout width in css px, ``widths`` those wanted in px; of both, the nearest that are there
        are offered. ``loading`` is lazy unless said otherwise or ``priority`` is given; ``attributes`` are further
        ones of the ``<img>``. Raise what `url` raises, and AssetError for a value that can't be written.
        """
        entry = self.entry(name)
        request = VariantRequest(
            width=width,
            layout=_checked_layout(layout),
            transform=self._transform(transform),
            widths=_checked_widths(widths),
            formats=_checked_formats(formats),
        )
        if request.transform.steps:
            self._needed_service(request.transform)
        said = {"class": class_, "loading": loading, "sizes": sizes, "width": str(width or "")}
        author = {"alt": alt, **{name: value for name, value in said.items() if value}, **(attributes or {})}
        return LockedPicture(self._picture(entry, request, priority=priority), author, entry.placeholder)

    def _picture(self, entry: LockEntry, request: VariantRequest, *, priority: bool) -> Picture:
        lookup = self.lookup
        variant_set = lookup.variants(entry, request)
        made = {
            name: [lookup.candidate(variant) for variant in variants] for name, variants in variant_set.formats.items()
        }
        is_changed = bool(made and request.transform.steps)
        original = None if is_changed else ImageCandidate(lookup.url(entry.key), entry.width, entry.size)
        sources, image = select(variant_set, made, original)
        return Picture(
            sources=sources,
            image=image,
            width=variant_set.width,
            height=variant_set.height,
            layout_width=request.width,
            layout=request.layout,
            sizes=self.config.sizes,
            priority=priority,
        )

    def _transform(self, transform: str | Transform) -> Transform:
        if isinstance(transform, Transform):
            return transform
        return Transform.parse(transform, presets=self.config.presets, limits=self.config.limits)

    def _needed_service(self, transform: Transform) -> ServiceUrls:
        if self.service is None:
            what = f"{str(transform)!r}, which is no rendering in the bucket"
            raise ConfigError([f"service_url: is needed for {what}: name the public address of the service"])
        return self.service

    def _nearest(self, name: str) -> str:
        base = posixpath.basename(name).lower()
        by_base = {posixpath.basename(path).lower(): path for path in self.lock.entries}
        near = difflib.get_close_matches(base, by_base, n=1, cutoff=0.6)
        return by_base[near[0]] if near else ""


def _checked_layout(layout: Layout) -> Layout:
    if layout not in get_args(Layout):
        raise ConfigError([f"layout: {layout!r}: write one of {', '.join(get_args(Layout))}"])
    return layout


def _checked_widths(widths: Iterable[int] | None) -> tuple[int, ...]:
    found = tuple(widths or ())
    if not all(isinstance(width, int) and width > 0 for width in found):
        raise ConfigError([f"widths: {list(found)}: name px above 0"])
    return found


def _checked_formats(formats: Iterable[str] | None) -> tuple[str, ...]:
    found = tuple(formats or ())
    if not {*found} <= {*_FORMATS}:
        raise ConfigError([f"formats: {list(found)}: known are {', '.join(_FORMATS)}"])
    return found


class CatalogFile:
    """Hold the catalog of a lock file; safe for threads, which at worst read the file twice.

    With ``missing_ok`` a lock that does not exist is an empty one.
    """

    def __init__(self, path: str | os.PathLike[str], config: Config, *, missing_ok: bool = False) -> None:
        self.path = Path(path)
        self._config = config
        self._missing_ok = missing_ok
        self._known: tuple[tuple[int, ...], Catalog] | None = None

    def current(self) -> Catalog:
        """Return the catalog of the file as it is now; raise LockError when it can't be read or is damaged."""
        stat = self._stat()
        known = self._known
        if known is None or known[0] != stat:
            lock = read_lock(self.path, missing_ok=self._missing_ok)
            known = self._known = (stat, Catalog(lock, self._config))
        return known[1]

    def _stat(self) -> tuple[int, ...]:
        """Return what differs whenever the file was replaced; it is taken before reading, so no change is missed."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - twice as fast as Path.stat, and done for every page
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino
