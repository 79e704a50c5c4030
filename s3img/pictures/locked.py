"""The variants of a locked image: its renderings in the bucket, else those that the service would make."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Self

from s3img.assets import Asset, ImageFacts
from s3img.keys import KeyTemplate
from s3img.pictures.markup import ImageCandidate
from s3img.pictures.variants import FORMATS, Variant, VariantSet, choose, collapse, unchanged, wanted_widths
from s3img.signing import Signer
from s3img.transform import Transform
from s3img.urls import object_url, quote_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3img.config import Config
    from s3img.lock import Lock, LockedVariants, LockEntry
    from s3img.pictures.variants import VariantRequest

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
