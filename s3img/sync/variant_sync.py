"""The variants of each image in a sync: what the lock names and has to be there, what is still to be made."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import structs

from s3img import imaging
from s3img.assets import Asset
from s3img.keys import KeyTemplate
from s3img.lock import LockedVariants, recipe
from s3img.pictures.editor import RenderInventory
from s3img.pictures.format_comparison import ImageCandidate, not_needed, select
from s3img.pictures.variants import VariantRequest, VariantSet, choose
from s3img.sync.job import VariantPlan
from s3img.sync.outcome import FileFinding
from s3img.transfer.render import Renderer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from s3img.assets import ImageFacts
    from s3img.cache import Cache
    from s3img.config import Config
    from s3img.limits import Limits
    from s3img.lock import Lock, LockEntry
    from s3img.pictures.variants import Variant
    from s3img.sync.tree import Scope
    from s3img.transfer import Upload
    from s3img.transfer.plan import Progress


class VariantPlanner:
    """Decide which images of a survey need renderings; ``keys`` are all that count."""

    def __init__(
        self, entries: Iterable[LockEntry], facts: Mapping[str, ImageFacts], lock: Lock, config: Config
    ) -> None:
        self._config = config
        self._facts = facts
        self._template = KeyTemplate.parse(config.key_template)
        self._named: dict[LockEntry, list[str]] = {}
        self._new: dict[str, VariantSet] = {}
        for entry in entries:
            if lock.is_current(entry, config):
                self._named[entry] = [*entry.variant_keys(self._template).values()]
            elif (variant_set := self._choose(entry)).formats:
                self._new[entry.path] = variant_set

    @property
    def keys(self) -> frozenset[str]:
        """Return the keys of all renderings that images have or may get."""
        named = (key for keys in self._named.values() for key in keys)
        return frozenset(
            [*named, *(variant.key for variant_set in self._new.values() for variant in variant_set.variants)]
        )

    def plan(self, present: Mapping[str, int]) -> VariantPlan:
        """Return what is left to do where these objects are there (bytes by key)."""
        missing = {}
        for entry, keys in self._named.items():
            if lost := {key for key in keys if key not in present}:
                missing[entry.path] = {
                    variant.key: variant for variant in self._choose(entry).variants if variant.key in lost
                }
        return VariantPlan(self._new, missing)

    def _choose(self, entry: LockEntry) -> VariantSet:
        asset = Asset(entry.path, entry.sha256, entry.size, self._facts[entry.sha256])
        return choose(asset, VariantRequest(), self._config, self._template)


class VariantMaker:
    """Render what a plan asks for, into the cache, and say what is to be put and which lines follow."""

    def __init__(self, plan: VariantPlan, scope: Scope, cache: Cache, config: Config) -> None:
        self._plan = plan
        self._scope = scope
        self._config = config
        self._renderer = Renderer(lambda asset: scope.file(asset.path), cache, config.limits, executor=config.executor)
        self._inventory = RenderInventory()
        # What the lock names has to be there, whatever its bytes are.
        named = {variant.asset.digest for variants in plan.missing.values() for variant in variants.values()}
        self._compared = [one for one in plan.new.values() if one.variants[0].asset.digest not in named]
        self._kept: dict[str, list[Variant]] = {}
        self._colours: dict[str, str] = {}
        self.findings: list[FileFinding] = []

    @property
    def rendered(self) -> int:
        """Return how many renderings were made."""
        return self._renderer.rendered

    def look(self, present: Mapping[str, int]) -> None:
        """Find out which renderings are there, and which need not be made."""
        self._inventory.sizes |= self._renderer.known_sizes(self._plan.variants(), present)
        self._inventory.sizes |= not_needed(self._compared, self._inventory.sizes)

    def pending(self, present: Mapping[str, int]) -> int:
        """Count what neither the bucket nor the cache has."""
        self.look(present)
        return len({v.identity for v in self._plan.variants()} - self._inventory.sizes.keys())

    def run(self, present: Mapping[str, int], progress: Progress | None) -> list[Upload]:
        """Render, choose what is worth having, and return the uploads; a picture that can't be rendered has none."""
        self.look(present)

        def fault(asset: Asset, message: str) -> None:
            text = message.removeprefix(f"{self._scope.file(asset.path)}: ")
            self.findings.append(FileFinding(asset.path, "bad-image", f"has no variants: {text}"))

        report = progress or (lambda _stage, _done, _total: None)
        self._renderer.run(self._plan.variants(), self._inventory, fault, report, sets=self._compared)
        good = {
            path: variant_set
            for path, variant_set in self._plan.new.items()
            if variant_set.variants[0].asset.digest not in self._inventory.bad_sources
        }
        self._kept = {path: kept(variant_set, self._inventory.sizes) for path, variant_set in good.items()}
        self._colours = placeholder_colours({path: self._scope.file(path) for path in good}, self._config.limits)
        again = {key: variant for variants in self._plan.missing.values() for key, variant in variants.items()}
        wanted = again | {variant.key: variant for variants in self._kept.values() for variant in variants}
        made = [variant for variant in wanted.values() if variant.identity in self._inventory.sizes]
        return [self._renderer.upload(variant, self._inventory, present) for variant in made]

    def line(self, entry: LockEntry, failed: frozenset[str]) -> LockEntry:
        """Return an image's line with its variants, without one where an object of it is not there."""
        if entry.path in self._plan.missing:
            missing = self._plan.missing[entry.path]
            is_whole = failed.isdisjoint(missing) and all(v.identity in self._inventory.sizes for v in missing.values())
            return entry if is_whole else structs.replace(entry, variants=None)
        if entry.path not in self._plan.new:
            return entry
        variants = self._kept.get(entry.path)
        if variants is None or not failed.isdisjoint(variant.key for variant in variants):
            return structs.replace(entry, variants=None)
        names = dict.fromkeys(variant.format for variant in variants)
        formats = tuple((name, tuple(v.width for v in variants if v.format == name)) for name in names)
        made = LockedVariants(recipe(self._config), formats)
        return structs.replace(entry, variants=made, placeholder=self._colours.get(entry.path, ""))


def kept(variant_set: VariantSet, sizes: Mapping[str, int]) -> list[Variant]:
    """Return the renderings that a page would offer: `select` decides, as it does when a site is published."""
    asset = variant_set.variants[0].asset
    made = {
        name: [
            ImageCandidate(variant.identity, variant.width, sizes[variant.identity], is_variant=True)
            for variant in variants
        ]
        for name, variants in variant_set.formats.items()
    }
    sources, image = select(variant_set, made, ImageCandidate("", asset.facts.width, asset.size))
    used = {candidate.url for candidates in (*sources.values(), image) for candidate in candidates}
    return [variant for variant in variant_set.variants if variant.identity in used]


def placeholder_colours(files: Mapping[str, Path], limits: Limits) -> dict[str, str]:
    """Return the placeholder colour of each image; one that can't be had is not a reason to fail."""

    def colour(file: Path) -> str:
        try:
            return imaging.average_color(file, limits)
        except Exception:  # nor is anything that nobody foresaw
            return ""

    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="s3img-colour") as pool:
        return dict(zip(files, pool.map(colour, files.values()), strict=True))
