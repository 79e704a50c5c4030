"""Look up the images of a lock by name: their addresses, pictures, and variants in the bucket or of the service."""

from __future__ import annotations

import difflib
import os
import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from s3img.assets import Asset, ImageFacts
from s3img.errors import AssetError, ConfigError
from s3img.keys import KeyTemplate
from s3img.lock import read_lock
from s3img.pictures.format_comparison import ImageCandidate, select
from s3img.pictures.markup import Picture, attributes, sizes_of, srcset, surroundings
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

_SEPARATORS = re.compile(r"[\s,]+")

_ORDER = ("src", "srcset", "sizes", "alt", "class", "width", "height")


class Catalog:
    """Answer from a lock and the settings alone: no request, no file. Safe for threads.

    Names are paths as the lock has them (``static/img/cat.jpg``). Raise ConfigError where the settings give no public
    address of the bucket.
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
        """Return the lookup of variants; use one for the whole of a page, as a full one is replaced."""
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
        wanted = self._transform(transform)
        if wanted == Transform() or wanted.output.original:
            return self.lookup.url(entry.key)
        if key := self.lookup.variant(entry, wanted):
            return self.lookup.url(key)
        service = self._required_service(wanted, entry)
        return service.url(entry.key, wanted.with_inputs(self.lookup.layer_key), expires=expires)

    def picture(  # noqa: PLR0913 - one parameter for each attribute that a template may set
        self,
        name: str,
        *,
        alt: str,
        transform: str | Transform = "",
        widths: Iterable[int] | str | None = None,
        formats: Iterable[str] | str | None = None,
        width: int | str = 0,
        sizes: str = "",
        class_: str = "",
        loading: str = "",
        layout: Layout = "constrained",
        priority: bool = False,
        attributes: Mapping[str, str] | None = None,
    ) -> LockedPicture:
        """Return an image with all its candidates.

        ``width`` is the layout width in css px, ``widths`` those wanted in px; the nearest existing variants are
        offered. Both, and ``formats``, may be text, as languages of templates without lists have them: ``"320,640"``.
        ``loading`` is lazy by default, not so with ``priority``; ``attributes`` are further attributes of the
        ``<img>``. Raise the errors of `url`, and AssetError for a value that can't be written.
        """
        entry = self.entry(name)
        request = VariantRequest(
            next(iter(_values(width)), 0) if isinstance(width, str) else width,
            layout,
            self._transform(transform),
            _values(widths),
            _values(formats),
        )
        _check(request)
        if request.transform.steps:
            self._required_service(request.transform, entry)
        given = {"class": class_, "loading": loading, "sizes": sizes, "width": str(request.width or "")}
        author = {"alt": alt, **{name: str(value) for name, value in given.items() if value}, **(attributes or {})}
        lookup = self.lookup
        variant_set = lookup.variants(entry, request)
        made = {
            name: [lookup.candidate(variant) for variant in variants] for name, variants in variant_set.formats.items()
        }
        is_changed = bool(made and request.transform.steps)
        original = None if is_changed else ImageCandidate(lookup.url(entry.key), entry.width, entry.size)
        sources, image = select(variant_set, made, original)
        picture = Picture(
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
        return LockedPicture(picture, author, entry.placeholder)

    def _transform(self, transform: str | Transform) -> Transform:
        if isinstance(transform, Transform):
            return transform
        return Transform.parse(transform, presets=self.config.presets, limits=self.config.limits)

    def _required_service(self, transform: Transform, entry: LockEntry) -> ServiceUrls:
        if self.service is None:
            locked = self.lock.variants(entry, self.config)
            there = [f"w-{width},f-{name}" for name, widths in (locked.formats if locked else ()) for width in widths]
            what = f"{str(transform)!r}, which is not among the variants in the bucket"
            fix = "name the public address of the service" + (f", or take one of {' '.join(there)}" if there else "")
            raise ConfigError([f"service_url: is needed for {what}: {fix}"])
        return self.service

    def _nearest(self, name: str) -> str:
        base = posixpath.basename(name).lower()
        by_base = {posixpath.basename(path).lower(): path for path in self.lock.entries}
        near = difflib.get_close_matches(base, by_base, n=1, cutoff=0.6)
        return by_base[near[0]] if near else ""


def _values(written: Iterable[Any] | str | None) -> tuple[Any, ...]:
    """Return the items of a list, or of a text such as ``"320, 640"`` with its whole numbers as such."""
    if not isinstance(written, str):
        return tuple(written or ())
    return tuple(
        int(item) if item.isascii() and item.isdecimal() else item for item in _SEPARATORS.split(written) if item
    )


def _check(request: VariantRequest) -> None:
    """Raise ConfigError for values of a template that are not px, a layout or formats."""
    problems = []
    if not isinstance(request.width, int) or request.width < 0:
        problems.append(f"width: {request.width!r}: name px as a whole number")
    if request.layout not in get_args(Layout):
        problems.append(f"layout: {request.layout!r}: write one of {', '.join(get_args(Layout))}")
    if not all(isinstance(width, int) and width > 0 for width in request.widths):
        problems.append(f"widths: {list(request.widths)}: name px above 0")
    if not {*request.formats} <= {*_FORMATS}:
        problems.append(f"formats: {list(request.formats)}: known are {', '.join(_FORMATS)}")
    if problems:
        raise ConfigError(problems)


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
        stat = self._stat()  # before reading: a change in between is then seen by the next call
        known = self._known
        if known is None or known[0] != stat:
            lock = read_lock(self.path, missing_ok=self._missing_ok)
            known = self._known = (stat, Catalog(lock, self._config))
        return known[1]

    def _stat(self) -> tuple[int, ...]:
        """Return time, size and inode, which differ whenever the file was replaced."""
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
            raise AssetError(f"{bad!r} can't be the name of an attribute.", fix="Use letters, digits and hyphens.")

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


def plain_picture(url: str, author: Mapping[str, str | None], *, priority: bool = False) -> LockedPicture:
    """Return an image that is not in the lock: an ``<img>`` with what the template gives, as its px are not known."""
    return LockedPicture(Picture({}, [ImageCandidate(url, 0, 0)], 0, 0, 0, priority=priority, nested=True), author)


_MADE, _OWN, _NEVER = 0, 1, 1 << 62
"""Sizes in bytes for `select` to compare. A lock has no sizes of variants, and needs none: only those that were worth
having are listed in it. So a newer format always counts as smaller than the image's own format; 0 stands for a size
that is not known, with which no other format is compared."""

_MOST = 20_000
"""Variant sets to remember: pages of one site use few, but widths may come from what visitors write."""

_LARGER = Variant(Asset("", "", 0, ImageFacts("", 0, 0)), Transform(), 0, 0, "", "", "")
"""The widest rendering in the image's own format where it was larger than the image: the image takes its place."""


class VariantLookup:
    """Find the variants of each image once for each way to show it.

    ``sizes`` has what `select` compares, by identity. Safe for threads.
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
        """Tell whether it remembers so much that a new lookup should take its place."""
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

    def layer_key(self, name: str) -> str:
        """Return the key of a layer's picture: that of the lock's image of this path, else the name is a key itself.

        Keys of the lock name their content, so that another logo has another address.
        """
        entry = self._lock.get(name)
        return entry.key if entry else name

    def variant(self, entry: LockEntry, transform: Transform) -> str:
        """Return the key of the rendering that a transform asks for, "" where there is none in the bucket."""
        locked = self._lock.variants(entry, self._config)
        if (
            locked is None
            or not transform.steps
            or transform.steps[0].width not in {width for _, widths in locked.formats for width in widths}
        ):
            return ""
        own = FORMATS.get(entry.media_type, "")
        for (name, width), key in entry.variant_keys(self._template).items():
            if transform in _spellings(width, name, locked.quality(name), locked.subsampling(name), is_own=name == own):
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
            there = listed.get(name, ())
            nearest = {next((width for width in there if width >= want), there[-1]) for want in wanted if there}
            found = []
            for width in sorted(nearest):
                key = keys[name, width]  # stands for the identity, too: this lookup compares nothing else with it
                self.sizes[key] = _OWN if name == own else _MADE
                variant = Variant(self.asset(entry), Transform(), width, entry.height_at(width), name, key, key)
                found.append(variant)
            formats[name] = tuple(found)
        # The widest rendering in the own format is missing where it had more bytes than the file: the file is shown.
        top, listed_own = collapse(self._config.widths, entry.width)[-1], listed.get(own, ())
        if own and top not in listed_own and wanted[-1] > max(listed_own, default=0):
            formats[own] += (_LARGER,)
        return VariantSet(entry.width, entry.height, own, {name: some for name, some in formats.items() if some})

    def _served(self, variants: VariantSet) -> VariantSet:
        """Note where the service makes each variant."""
        for variant in variants.variants:
            self.sizes[variant.identity] = _OWN if variant.format == variants.own else _MADE
            if self._service:
                entry = self._lock.entries[variant.asset.path]
                transform = variant.transform.with_inputs(self.layer_key)
                self._urls[variant.key] = self._service.url(entry.key, transform, in_srcset=True)
        return variants


@lru_cache(maxsize=1024)
def _spellings(width: int, name: str, quality: int | None, subsampling: str, *, is_own: bool) -> tuple[Transform, ...]:
    """Return the transforms that make one variant; what the settings say, and its own format, may be left out."""
    texts = [f"w-{width},f-{name}"] + ([f"w-{width},f-{name},q-{quality}"] if quality else [])
    if is_own:
        texts += [f"w-{width}"] + ([f"w-{width},q-{quality}"] if quality else [])
    if subsampling:
        texts += [f"{text},cs-{subsampling}" for text in texts]
    return tuple(map(Transform.parse, texts))


class ServiceUrls:
    """Write addresses of the transform service at ``base_url``, signed where there are keys."""

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
        # A % shows that separators were encoded already because they belong to a value: these must stay different.
        if in_srcset and "%" not in text:
            text = text.replace(",", "%2C").replace(":", "%3A")
        path = f"/tr:{text}/{quote_path(key)}" if text else f"/{quote_path(key)}"
        return self._base_url + (self._signer.sign(path, expires=expires) if self._signer else path)
