"""Look images of the lock up by name: entries, addresses, pictures; variants in the bucket, or of the service."""

from __future__ import annotations

import difflib
import os
import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

from s3img.assets import Asset, ImageFacts
from s3img.errors import AssetError, ConfigError
from s3img.keys import KeyTemplate
from s3img.lock import read_lock
from s3img.pictures.markup import ImageCandidate, Picture, attributes, select, sizes_of, srcset, surroundings
from s3img.pictures.variants import (
    FORMATS,
    Layout,
    Variant,
    VariantRequest,
    VariantSet,
    choose,
    collapse,
    unchanged,
    wanted_widths,
)
from s3img.signing import Signer
from s3img.transform import Transform
from s3img.urls import object_url, quote_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from s3img.config import Config
    from s3img.lock import Lock, LockedVariants, LockEntry

_FORMATS = ("avif", "webp", "jpeg", "png")
_NAME = re.compile(r"[A-Za-z_:][-\w:.]*", re.ASCII)

_ORDER = ("src", "srcset", "sizes", "alt", "class", "width", "height")


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
            markup="img" if self.config.markup == "img" else "picture",
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
    """The catalog of a lock file; safe for threads, which at worst read the file twice.

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


@dataclass(frozen=True, slots=True)
class LockedPicture:
    """One picture of the lock; ``author`` are the attributes that the template gives, which win over ours.

    ``placeholder`` is a colour (``#rrggbb``) to show while it loads, "" where none is known.
    """

    picture: Picture
    author: Mapping[str, str | None]
    placeholder: str = ""

    def __post_init__(self) -> None:
        bad = next((name for name in self.author if not _NAME.fullmatch(name)), None)
        if bad is not None:
            raise AssetError(f"{bad!r} is no name of an attribute.", fix="Use letters, digits and hyphens.")

    def html(self) -> str:
        """Return ``<picture>`` with its ``<img>``, as publishing writes it; every value is escaped."""
        written = {**self.author, **attributes(self.picture, self.author)}
        names = [*(name for name in _ORDER if name in written), *(name for name in written if name not in _ORDER)]
        image = "".join(f' {name}="{escape(written[name] or "")}"' for name in names)
        before, after = surroundings(self.picture, self.author)
        return f"{before}<img{image}>{after}"

    __html__ = html

    def __str__(self) -> str:
        return self.html()

    @property
    def url(self) -> str:
        """Return the address for browsers that know neither ``srcset`` nor newer formats."""
        return self.picture.image[-1].url

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in px of the whole picture, (0, 0) where it states none."""
        return self.picture.width, self.picture.height

    @property
    def sizes(self) -> str:
        """Return the ``sizes`` that go with `srcset`, "" for densities."""
        return self.author.get("sizes") or sizes_of(self.picture, self.author)

    def srcset(self, format: str = "") -> str:  # noqa: A002 - the word of the settings
        """Return the candidates of a format (``avif``, ``webp``, …), of the plain ``<img>`` by default; "" for none."""
        candidates = self.picture.sources.get(format, ()) if format else self.picture.image
        return srcset(self.picture, candidates)


_MADE, _OWN, _NEVER = 1, 2, 1 << 62
"""Bytes that stand for those of renderings, which no lock holds: every one that is named was found worth having."""

_MOST = 20_000
"""Variant sets that are kept: pages of one site show few, but widths may come from what visitors write."""

_LARGER = Variant(Asset("", "", 0, ImageFacts("", 0, 0)), Transform(), 0, 0, "", "", "")
"""The widest rendering in the image's own format where it was larger than the image: the image takes its place."""


class VariantLookup:
    """Find the variants of each image once for each way to show it.

    ``sizes`` has what `markup.select` compares, by identity. Safe for threads.
    """

    def __init__(self, lock: Lock, config: Config, service: ServiceUrls | None) -> None:
        self._lock = lock
        self._config = config
        self._service = service
        self._template = KeyTemplate.parse(config.key_template)
        self._found: dict[tuple[str, VariantRequest], VariantSet] = {}
        self._assets: dict[str, Asset] = {}
        self._base_url = config.base_url
        self._urls: dict[str, str] = {}
        self.sizes: dict[str, int] = {"": _NEVER}

    @property
    def is_full(self) -> bool:
        """Tell whether so many ways to show images were asked for that it is better to begin anew."""
        return len(self._found) > _MOST

    def variants(self, entry: LockEntry, request: VariantRequest) -> VariantSet:
        """Return the variants to offer; none where neither lock nor service has what is asked for."""
        found = self._found.get((entry.path, request))
        if found is None:
            found = self._found[entry.path, request] = self._find(entry, request)
        return found

    def asset(self, entry: LockEntry) -> Asset:
        """Return a locked image as what choosing and writing work on."""
        found = self._assets.get(entry.path)
        if found is None:
            facts = ImageFacts(entry.media_type, entry.width, entry.height)
            found = self._assets[entry.path] = Asset(entry.path, entry.sha256, entry.size, facts)
        return found

    def url(self, key: str) -> str:
        """Return the address of a variant, or of an object."""
        found = self._urls.get(key)
        if found is None:
            found = self._urls[key] = object_url(self._base_url, key)
        return found

    def candidate(self, variant: Variant) -> ImageCandidate:
        """Return a variant as what markup is made of."""
        return ImageCandidate(self.url(variant.key), variant.width, self.sizes[variant.identity], is_variant=True)

    def variant(self, entry: LockEntry, transform: Transform) -> str:
        """Return the key of the rendering that a transform asks for, "" where there is none in the bucket."""
        locked = self._lock.variants(entry, self._config)
        if locked is None or not transform.steps or transform.steps[0].width not in _all_widths(locked):
            return ""
        own = FORMATS.get(entry.media_type, "")
        for (name, width), key in entry.variant_keys(self._template).items():
            if transform in _spellings(width, name, locked.quality(name), is_own=name == own):
                return key
        return ""

    def _find(self, entry: LockEntry, request: VariantRequest) -> VariantSet:
        locked = self._lock.variants(entry, self._config)
        if locked is not None and not request.transform.steps:
            return self._locked(entry, request, locked)
        asset = self.asset(entry)
        return self._served(choose(asset, request, self._config, self._template)) if self._service else unchanged(asset)

    def _locked(self, entry: LockEntry, request: VariantRequest, locked: LockedVariants) -> VariantSet:
        """Choose, of what is there, the variants nearest to those that publishing would make."""
        listed = dict(locked.formats)
        own = FORMATS.get(entry.media_type, "")
        wanted = wanted_widths(entry.width, request, self._config)
        names = dict.fromkeys([*(name for name in self._config.formats if name in listed or name == own), *listed, own])
        keys = entry.variant_keys(self._template)
        formats: dict[str, tuple[Variant, ...]] = {}
        for name in names:
            if request.formats and name not in {*request.formats, own}:
                continue
            widths = _nearest(listed.get(name, ()), wanted)
            formats[name] = tuple(self._variant(entry, name, width, keys[name, width], own) for width in widths)
        if own and self._needs_original(listed.get(own, ()), wanted, entry):
            formats[own] += (_LARGER,)
        return VariantSet(entry.width, entry.height, own, {name: found for name, found in formats.items() if found})

    def _variant(self, entry: LockEntry, name: str, width: int, key: str, own: str) -> Variant:
        """Return a variant under its key, which is all that is asked of it."""
        self.sizes[key] = _OWN if name == own else _MADE
        return Variant(self.asset(entry), Transform(), width, entry.height_at(width), name, key, key)

    def _needs_original(self, listed: tuple[int, ...], wanted: tuple[int, ...], entry: LockEntry) -> bool:
        """Tell whether the image's own file is its widest candidate: its widest rendering was larger in bytes."""
        top = collapse(self._config.widths, entry.width)[-1]
        return top not in listed and wanted[-1] > max(listed, default=0)

    def _served(self, variants: VariantSet) -> VariantSet:
        """Note where the service makes each variant."""
        for variant in variants.variants:
            self.sizes[variant.identity] = _OWN if variant.format == variants.own else _MADE
            if self._service:
                entry = self._lock.entries[variant.asset.path]
                self._urls[variant.key] = self._service.url(entry.key, variant.transform, in_srcset=True)
        return variants


def _nearest(listed: tuple[int, ...], wanted: Iterable[int]) -> tuple[int, ...]:
    """Return for each wanted width the next one that is there, or the widest, each once."""
    found = {next((width for width in listed if width >= want), listed[-1]) for want in wanted} if listed else set()
    return tuple(sorted(found))


def _all_widths(locked: LockedVariants) -> set[int]:
    return {width for _, widths in locked.formats for width in widths}


@lru_cache(maxsize=1024)
def _spellings(width: int, name: str, quality: int | None, *, is_own: bool) -> tuple[Transform, ...]:
    """Return the transforms that mean one rendering; quality, and the image's own format, may be left out."""
    wordings = [f"w-{width},f-{name}"] + ([f"w-{width},f-{name},q-{quality}"] if quality else [])
    if is_own:
        wordings += [f"w-{width}"] + ([f"w-{width},q-{quality}"] if quality else [])
    return tuple(map(Transform.parse, wordings))


class ServiceUrls:
    """Write the address of a rendering, signed where there are keys; ``base_url`` is the public one of the service."""

    def __init__(self, base_url: str, signer: Signer | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._signer = signer

    @classmethod
    def of(cls, config: Config) -> Self | None:
        """Return the addresses of the configured service, None where there is none."""
        if not config.service_url:
            return None
        keys, audience = config.signing_keys, config.service_audience
        return cls(config.service_url, Signer.of(keys, audience=audience) if keys else None)

    def url(self, key: str, transform: Transform | str, *, expires: int | None = None, in_srcset: bool = False) -> str:
        """Return the address of an object under a transform; ``expires`` in Unix seconds needs a signature.

        ``in_srcset`` encodes separators, which mean the same then: many tools split candidates at every comma.
        """
        text = str(transform)
        if in_srcset and "%" not in text:  # encoded ones would belong to a value
            text = text.replace(",", "%2C").replace(":", "%3A")
        path = f"/tr:{text}/{quote_path(key)}" if text else f"/{quote_path(key)}"
        return self._base_url + (self._signer.sign(path, expires=expires) if self._signer else path)
