"""Sources as they are: streamed from their origin in pieces, whole or a range, and never kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from s3img.errors import AccessDenied, ObjectNotFound
from s3img.service.engine.fetch import facts_of
from s3img.service.engine.requests import Original

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3img.buckets import Bucket
    from s3img.buckets.protocol import OpenObject
    from s3img.service.engine.lanes import Lane
    from s3img.service.engine.metrics import Stopwatch
    from s3img.service.engine.requests import Budget, SourceRef
    from s3img.service.engine.sources import Sources

_CHUNK: Final = 1 << 16


class Originals:
    """Open sources; only opening them takes one of the places for fetching, since reading waits for the client."""

    def __init__(self, origin: Callable[[str], Bucket], sources: Sources, lane: Lane) -> None:
        self._origin = origin
        self._sources = sources
        self._lane = lane

    def open(self, source: SourceRef, start: int, stop: int | None, budget: Budget, watch: Stopwatch) -> Original:
        """Open a range of a source; raise what its bucket raises."""
        self._sources.usable(source)  # it may be known to be missing
        bucket = self._origin(source.origin)
        opening = _Opening(partial(bucket.open, source.key, version=source.version, start=start, stop=stop))
        try:
            opened = self._lane.run(opening, budget, watch)
        except (ObjectNotFound, AccessDenied) as error:
            self._sources.lose(source, error)
            raise
        except BaseException:
            opening.abandon()
            raise
        facts = facts_of(opened.info, opened.version if source.version else "")
        self._sources.learn(source, facts)
        return Original(facts, opened.start, opened.stop, _pieces(opened), opened.close)


class _Opening:
    """Open an object, and close it again if nobody waits for it any more."""

    def __init__(self, work: Callable[[], OpenObject]) -> None:
        self._work = work
        self._opened: OpenObject | None = None
        self._is_abandoned = False

    def __call__(self) -> OpenObject:
        opened = self._opened = self._work()
        if self._is_abandoned:
            opened.close()
        return opened

    def abandon(self) -> None:
        """Close what was opened, now or when it is."""
        self._is_abandoned = True
        if self._opened is not None:
            self._opened.close()


def _pieces(opened: OpenObject) -> Iterator[bytes]:
    with opened:
        while chunk := opened.read(_CHUNK):
            yield chunk
