"""Where results are kept: in memory, on disk, in a bucket; each is asked in this order and none has to be there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.errors import Busy, DeadlineExceeded
from s3img.service.engine.target import PREFIX

if TYPE_CHECKING:
    from s3img.service.engine.disk import DiskCache
    from s3img.service.engine.entry import Entry
    from s3img.service.engine.lanes import Lane
    from s3img.service.engine.memory import MemoryCache
    from s3img.service.engine.model import Budget
    from s3img.service.engine.target import ResultBucket
    from s3img.service.engine.timing import Stopwatch


_PATIENCE: Final = 2.0
"""Seconds to wait for a bucket to find a result: most are made sooner."""


@dataclass(frozen=True, slots=True)
class Place:
    """Say where a result is kept: its hex name for ever, and its key in the bucket."""

    identity: str
    key: str

    @classmethod
    def of(cls, identity: str) -> Place:
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

    def find_far(self, place: Place, media_type: str, budget: Budget, watch: Stopwatch) -> tuple[Entry, str] | None:
        """Return a result from the bucket, and keep it near; give up in time to make it here.

        ``media_type`` is that of what is no image.
        """
        if self.target is None or self.target.rests("read"):
            return None
        patience = msgspec.structs.replace(
            budget, deadline=budget.deadline - budget.left + min(_PATIENCE, budget.left / 2)
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

    def keep(self, place: Place, entry: Entry, *, is_stored: bool = False) -> None:
        """Keep a result; the bucket gets it after the answer, unless it has it already."""
        self.memory.put(place.identity, entry)
        if self.disk is not None and isinstance(entry.body, bytes):
            self.disk.put(place.identity, entry.words, entry.body)
            if self.disk.is_due():
                self.lane.begin(self.disk.sweep)
        if self.target is not None and not is_stored:
            self.lane.begin(partial(self.target.put, place.key, entry))
