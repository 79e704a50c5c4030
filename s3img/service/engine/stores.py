"""Where results are kept: in memory, on disk, in a bucket; each is asked in this order and none has to be there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.assets import Asset, ImageFacts
from s3img.errors import Busy, DeadlineExceeded
from s3img.keys import KeyTemplate, variant_digest
from s3img.pictures.variants import MEDIA_TYPES, VariantRequest, choose
from s3img.service.engine.target import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.config import Config
    from s3img.lock import Lock, LockEntry
    from s3img.service.engine.cache_entry import Entry
    from s3img.service.engine.disk import DiskCache
    from s3img.service.engine.identity import Recipe
    from s3img.service.engine.lanes import Lane
    from s3img.service.engine.memory import MemoryCache
    from s3img.service.engine.metrics import Stopwatch
    from s3img.service.engine.requests import Budget, Facts, SourceRef
    from s3img.service.engine.target import ResultBucket

PATIENCE: Final = 2.0
"""Seconds to wait for a bucket to find a result: most are made sooner."""


@dataclass(frozen=True, slots=True)
class ResultPlace:
    """Say where a result is kept: its hex name for ever, and its key in the bucket."""

    identity: str
    key: str

    @classmethod
    def of(cls, identity: str) -> ResultPlace:
        """Return the place of a result that no site refers to."""
        return cls(identity, f"{PREFIX}{identity[:2]}/{identity}")


@dataclass(frozen=True, slots=True)
class Stores:
    """Find results and keep them; what takes long (the bucket, making room) is done in the background by ``lane``."""

    memory: MemoryCache
    disk: DiskCache | None
    target: ResultBucket | None
    lane: Lane

    def find(self, identity: str) -> tuple[Entry, str] | None:
        """Return a result that is near, and where it was."""
        entry = self.memory.get(identity)
        if entry is not None:
            return entry, "memory"
        entry = self.disk.get(identity) if self.disk else None
        if entry is None:
            return None
        self.memory.put(identity, entry)
        return entry, "disk"

    def find_far(
        self, place: ResultPlace, media_type: str, budget: Budget, watch: Stopwatch
    ) -> tuple[Entry, str] | None:
        """Return a result from the bucket, and keep it near; give up in time to make it here.

        ``media_type`` is that of what is no image.
        """
        if self.target is None or self.target.rests("read"):
            return None
        patience = msgspec.structs.replace(
            budget, deadline=budget.deadline - budget.left + min(PATIENCE, budget.left / 2)
        )
        try:
            entry = self.lane.run(partial(self.target.get, place.key, media_type), patience, watch)
        except (Busy, DeadlineExceeded) as error:
            self.target.fail("read", error)
            return None
        if entry is None:
            return None
        self.keep(place, entry, is_stored=True)
        return entry, "target"

    def keep(self, place: ResultPlace, entry: Entry, *, is_stored: bool = False) -> None:
        """Keep a result; the bucket gets it after the answer, unless it has it already."""
        self.memory.put(place.identity, entry)
        if self.disk is not None and isinstance(entry.body, bytes):
            self.disk.put(place.identity, entry.words, entry.body)
            if self.disk.is_due():
                self.lane.begin(self.disk.sweep)
        if self.target is not None and not is_stored:
            self.lane.begin(partial(self.target.put, place.key, entry))


class SyncedVariants:
    """Find the places of results whose source is in a lock, below the bucket that ``origin`` names.

    Of a source that is ``hidden`` there are none: everybody may read what a sync puts.
    """

    def __init__(
        self, lock: Lock, config: Config, *, origin: str, hidden: Callable[[Facts], bool] = lambda _: False
    ) -> None:
        self._entries = {entry.key: entry for entry in lock}
        self._config = config
        self._template = KeyTemplate.parse(config.key_template)
        self._origin = origin
        self._hidden = hidden

    def __call__(self, source: SourceRef, facts: Facts, recipe: Recipe) -> ResultPlace | None:
        """Return the place of a result; None for a source that is not the one that was locked."""
        entry = self._entries.get(source.key) if source.origin == self._origin and not source.version else None
        if entry is None or entry.size != facts.size or self._hidden(facts):
            return None
        identity = variant_digest(entry.sha256, recipe.text)
        key = self._variant(entry, recipe, identity)
        return ResultPlace(identity, key) if key else ResultPlace.of(identity)

    def _variant(self, entry: LockEntry, recipe: Recipe, identity: str) -> str:
        """Return the key under which a sync puts this very rendering, "" where it makes none like it."""
        transform = recipe.transform
        if transform is None or len(transform.steps) != 1 or transform.format not in MEDIA_TYPES:
            return ""
        width = transform.steps[0].width
        if not isinstance(width, int):
            return ""
        asset = Asset(entry.path, entry.sha256, entry.size, ImageFacts(entry.media_type, entry.width, entry.height))
        request = VariantRequest(widths=(width,), formats=(transform.format,))
        variants = choose(asset, request, self._config, self._template).variants
        return next((variant.key for variant in variants if variant.identity == identity), "")
