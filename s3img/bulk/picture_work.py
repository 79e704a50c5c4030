"""What one picture of a shard needs: which results, under which keys, and how each is made."""

from __future__ import annotations

import hashlib
import os.path
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img import imaging
from s3img.assets import Asset, ImageFacts
from s3img.buckets import HOME, MARKER, home_of
from s3img.buckets.directory import DirectoryBucket
from s3img.imaging.detectors import Detectors
from s3img.imaging.isolation.tasks import draw_request, render_drawn
from s3img.keys import KeyTemplate
from s3img.lock import Lock, LockEntry
from s3img.pictures.result_names import (
    RESULTS,
    RenderRecipe,
    ResultLocation,
    SourceFacts,
    SourceRef,
    SyncedVariants,
    is_private,
)
from s3img.pictures.variants import VariantRequest, choose
from s3img.transfer.render import render_target
from s3img.transform import Transform
from s3img.transform.geometry import NO_HINTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from s3img.buckets import Bucket, ObjectInfo
    from s3img.bulk.shards import BulkJob, ShardItem
    from s3img.config import Config
    from s3img.imaging import Rendered
    from s3img.pictures.variants import Variant

ACCEPTS: Final = {"avif": ("image/avif", "image/webp"), "webp": ("image/webp",), "plain": ()}
"""Classes of browsers by the modern media types that they take, for a transform that leaves the format open."""

CLASSES: Final = {types: name for name, types in ACCEPTS.items()}

Layers: TypeAlias = "tuple[tuple[str, SourceRef, SourceFacts, bytes], ...]"
"""The pictures of a transform's layers: key, where they are, what is known of them, and their bytes."""

_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)

_LISTED: Final = 1_000
"""Objects of a listing of one picture's neighbours, at most; where there are more, each key is asked for."""


@dataclass(frozen=True, slots=True)
class PlannedResult:
    """One result of a picture: its key, other keys that serve as well, and the metadata it is put with.

    ``labels`` say what it could be left out with: a format, a width, a transform, a class of browsers.
    """

    key: str
    metadata: Mapping[str, str]
    others: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadPicture:
    """The bytes of a picture, what its bucket tells of it, and transforms with the boxes that were found in it."""

    info: ObjectInfo
    data: bytes
    located: dict[Transform, Transform] = field(default_factory=dict)


class ServiceResults:
    """Make what the transform service would make when it is asked, under the same names.

    The names need a picture's key, ETag and bytes, and nothing of its content: only a focus that has to be looked up
    needs the picture itself.
    """

    def __init__(self, job: BulkJob, config: Config, target: Bucket, layers: Mapping[str, Layers]) -> None:
        self._origin = job.origin
        self._config = config
        self._quality = msgspec.structs.asdict(config.quality)
        self._own = MARKER | {HOME: home_of(target.name)}
        self._accepts = job.accepts
        self._layers = layers
        self._detectors = Detectors.of(config.focus_detectors)
        self._transforms = [Transform.parse(text, limits=config.limits) for text in job.transforms]
        self._recipes = {
            transform: self._recipes_of(transform, self._layers.get(str(transform), ()))
            for transform in self._transforms
            if transform.is_located
        }

    def _recipes_of(self, transform: Transform, pictures: Layers) -> list[tuple[RenderRecipe, Mapping[str, bytes]]]:
        """Return a transform's recipes, one for each class of browsers where it leaves the format open."""
        found: list[tuple[RenderRecipe, Mapping[str, bytes]]] = []
        for accept in self._accepts if transform.format == "auto" else (None,):
            taken = None if accept is None else frozenset(accept)
            recipe = RenderRecipe.of(transform, taken, NO_HINTS, self._quality, self._config.subsampling)
            named = recipe.with_inputs((key, source, facts) for key, source, facts, _ in pictures)
            found.append((named, {key: data for key, _, _, data in pictures}))
        return found

    def _recipes_for(self, source: ReadPicture | None) -> Iterator[tuple[RenderRecipe, Mapping[str, bytes]]]:
        """Yield the recipes for a picture, with the boxes that its metadata and detectors name in its transforms."""
        for transform in self._transforms:
            if transform.is_located:
                yield from self._recipes[transform]
            elif source:
                pictures = self._layers.get(str(transform), ())
                boxes = {key: facts.metadata.get("focus", "") for key, _, facts, _ in pictures}
                boxes[""] = (source.info.metadata or {}).get("focus", "")
                inputs = {key: data for key, _, _, data in pictures}
                if transform not in source.located:  # looked at once, to plan and to make
                    found = self._detectors.located(transform, source.data, inputs, self._config.limits, boxes)
                    source.located[transform] = found
                yield from self._recipes_of(source.located[transform], pictures)

    def plan(self, item: ShardItem, source: ReadPicture | None) -> list[PlannedResult] | None:
        """Return the results of a picture, None where its bytes are needed to know them.

        Where they are at hand, it is known whether it is private. Raise ImageError for a detector that fails.
        """
        if source is None and len(self._recipes) < len({*self._transforms}):
            return None
        return [self._planned(self._locate(item, recipe, source), recipe) for recipe, _ in self._recipes_for(source)]

    def make(
        self, item: ShardItem, source: ReadPicture, wanted: Iterable[str]
    ) -> Iterator[tuple[PlannedResult, Rendered]]:
        """Yield each wanted result (by key) as it is made; raise ImageError and TransformError."""
        keys = {*wanted}
        for recipe, pictures in self._recipes_for(source):
            planned = self._planned(self._locate(item, recipe, source), recipe)
            if planned.key not in keys:
                continue
            draw = partial(
                draw_request,
                transform=recipe.transform,
                accept=recipe.accept,
                quality=self._quality,
                hints=recipe.hints,
                inputs=pictures,
            )
            (made,) = render_drawn(source.data, draw=draw, limits=self._config.limits).pictures
            if isinstance(made, Exception):
                raise made
            yield planned, made

    def _locate(self, item: ShardItem, recipe: RenderRecipe, source: ReadPicture | None) -> ResultLocation:
        ref = SourceRef(self._origin, item.key)
        # What the names need of the facts: the time is not among them.
        facts = SourceFacts(item.etag, item.size, _NO_TIME, metadata=dict(source.info.metadata or {}) if source else {})
        if item.line:
            lock = Lock.of([LockEntry.parse(item.line)])
            synced = SyncedVariants(lock, self._config, origin=self._origin, hidden=is_private)
            if found := synced(ref, facts, recipe):
                return found
        return ResultLocation.of(recipe.identity(ref, facts))

    def _planned(self, location: ResultLocation, recipe: RenderRecipe) -> PlannedResult:
        metadata = {"s3img": "result"} if location.key.startswith(RESULTS) else self._own
        labels = [f"the transform {recipe.transform}"]
        if recipe.accept is not None:
            labels.append(f"browsers of the class {CLASSES[tuple(sorted(recipe.accept))]}")
        return PlannedResult(location.key, metadata, location.others, tuple(labels))


class PageVariants:
    """Make the variants that a published page shows, under the keys that publish, sync and uploads give them.

    A picture that the lock names is called by its path there, every other one by its key, as uploads are. Then its
    content has to be read, because its digest is part of the names.
    """

    def __init__(self, config: Config, target: Bucket) -> None:
        self._config = config
        self._template = KeyTemplate.parse(config.key_template)
        self._home = {HOME: home_of(target.name)}

    def plan(self, item: ShardItem, source: ReadPicture | None) -> list[PlannedResult] | None:
        """Return the variants of a picture, None where its bytes are needed to know them."""
        if not (item.line or source):
            return None
        return [PlannedResult(variant.key, self._metadata(item, source)) for variant in self._variants(item, source)]

    def make(
        self, item: ShardItem, source: ReadPicture, wanted: Iterable[str]
    ) -> Iterator[tuple[PlannedResult, Rendered]]:
        """Yield each wanted variant (by key) as it is made; raise ImageError."""
        keys = {*wanted}
        variants = [variant for variant in self._variants(item, source) if variant.key in keys]
        targets = [render_target(variant) for variant in variants]
        made = imaging.render_variants(source.data, targets, limits=self._config.limits)
        for variant, rendered in zip(variants, made, strict=True):
            if isinstance(rendered, Exception):
                raise rendered
            labels = variant.format.upper(), f"the width {variant.width}"
            yield PlannedResult(variant.key, self._metadata(item, source), labels=labels), rendered

    def _variants(self, item: ShardItem, source: ReadPicture | None) -> list[Variant]:
        if item.line:
            entry = LockEntry.parse(item.line)
            # The lock does not tell whether a picture moves: what its bytes say counts as soon as they are here.
            facts = ImageFacts(entry.media_type, entry.width, entry.height)
            asset = Asset(entry.path, entry.sha256, entry.size, self._facts(source) if source else facts)
        else:
            assert source  # noqa: S101 - `plan` and `make` see to it
            digest = hashlib.sha256(source.data).hexdigest()
            asset = Asset(item.key, digest, item.size, self._facts(source), item.key)
        return choose(asset, VariantRequest(), self._config, self._template).variants

    def _facts(self, source: ReadPicture) -> ImageFacts:
        return imaging.probe(source.data, limits=self._config.limits).facts

    def _metadata(self, item: ShardItem, source: ReadPicture | None) -> Mapping[str, str]:
        """Mark a variant as its picture is: a clean-up deletes those of a site, and leaves those of uploads alone."""
        is_sites = item.line or (source and (source.info.metadata or {}).get("s3img") == MARKER["s3img"])
        return (MARKER if is_sites else {"s3img": "upload"}) | self._home


Work: TypeAlias = ServiceResults | PageVariants


def missing_results(planned: Sequence[PlannedResult], target: Bucket) -> list[PlannedResult]:
    """Return the results that are not there: by one listing where they lie side by side, else by a request each."""
    prefix = os.path.commonprefix([one.key for one in planned])  # noqa: RUF071 - of texts, which is what is wanted
    # A folder has no index by prefix: each listing would read all names of it, and n pictures n times as many.
    is_listed = len(planned) > 2 and prefix.rpartition("/")[2] and not isinstance(target, DirectoryBucket)
    if is_listed and not prefix.startswith(RESULTS):
        there: set[str] | None = set()
        for number, info in enumerate(target.list(prefix)):
            if number >= _LISTED:
                there = None
                break
            if info.size and there is not None:
                there.add(info.key)
        if there is not None:
            return [one for one in planned if there.isdisjoint((one.key, *one.others))]
    return [one for one in planned if not any(is_there(target, key) for key in (*one.others, one.key))]


def is_there(target: Bucket, key: str) -> bool:
    """Tell whether a result is there, and not cut off; one request."""
    info = target.head(key)
    return info is not None and info.size > 0  # no image has 0 bytes: an upload was cut off
