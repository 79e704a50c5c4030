"""What is known of sources: asked once, believed for a while, and kept where other processes find it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.errors import AccessDenied, BucketError, Busy, DeadlineExceeded, ObjectNotFound, Unreachable
from s3img.service.engine.cache_entry import EntryHeader
from s3img.service.engine.fetch import facts_of
from s3img.service.engine.flights import Flights
from s3img.service.engine.identity import source_name
from s3img.service.engine.memory import Recent
from s3img.service.engine.requests import Budget, Facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.buckets import Bucket
    from s3img.service.engine.disk import DiskCache
    from s3img.service.engine.lanes import Lane
    from s3img.service.engine.metrics import Stopwatch
    from s3img.service.engine.requests import EngineOptions, SourceRef

_REMEMBERED: Final = 20_000
_MISSING: Final = 4_096
"""Sources that are not there; whoever asks for them chooses their names, which may be long."""

_RECORD: Final = EntryHeader("application/vnd.s3img.source")
_PASSING: Final = frozenset({BucketError, Unreachable, DeadlineExceeded, Busy})
"""Errors that say nothing about the source itself; a denied access is the owner's word."""


class _Known(msgspec.Struct, frozen=True, array_like=True):
    """Hold facts, when the origin said so, and until when they are believed; times in seconds since 1970."""

    facts: Facts
    checked: float
    until: float


class Sources:
    """Know the facts of sources; ``origin`` opens the bucket of an origin by its name."""

    def __init__(
        self,
        origin: Callable[[str], Bucket],
        options: EngineOptions,
        lane: Lane,
        disk: DiskCache | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._origin = origin
        self._options = options
        self._lane = lane
        self._disk = disk
        self._clock = clock
        self._known: Recent[_Known] = Recent(_REMEMBERED)
        self._missing: Recent[tuple[float, BucketError]] = Recent(_MISSING)
        self._renewing: Recent[bool] = Recent(_REMEMBERED)
        self._flights: Flights[Facts] = Flights()

    def usable(self, source: SourceRef) -> Facts | None:
        """Return facts that need no question to the origin now, None without any.

        Raise `ObjectNotFound` for a source that was missing a moment ago, `AccessDenied` where that is all that an
        origin says.
        """
        now = self._clock()
        missing = self._missing.get(source)
        if missing is not None and now < missing[0]:
            raise _again(missing[1])
        known = self._latest(source, now)
        if known is None:
            return None
        if known.checked <= now < known.until:
            return known.facts
        if known.checked <= now < known.until + self._options.stale_while_revalidate:
            self._renew_later(source)
            return known.facts
        return None

    def is_known(self, source: SourceRef) -> bool:
        """Tell whether anything is known of a source, however old."""
        return self._latest(source, self._clock()) is not None

    def facts(self, source: SourceRef, budget: Budget, watch: Stopwatch) -> Facts:
        """Return a source's facts, asking its origin where they are not usable; old ones if it does not answer."""
        found = self.usable(source)
        if found is not None:
            return found
        return self._flights.run(source_name(source), partial(self._renewed, source, watch), budget)

    def learn(self, source: SourceRef, facts: Facts) -> None:
        """Remember what an origin has just said, unless it said the same a short while ago."""
        now = self._clock()
        self._missing.drop(source)
        known = self._known.get(source)
        if known is not None and known.facts == facts and known.checked <= now < (known.checked + known.until) / 2:
            return
        known = _Known(facts, now, float("inf") if source.version else now + self._options.fresh)
        self._known.set(source, known)
        if self._disk is not None:
            self._disk.put(_record_name(source), _RECORD, msgspec.msgpack.encode(known))

    def lose(self, source: SourceRef, error: ObjectNotFound | AccessDenied) -> None:
        """Remember that an origin has just said that there is no such source, or (without s3:ListBucket) denied it."""
        self._missing.set(source, (self._clock() + self._options.missing, _again(error)))
        self._known.drop(source)
        if self._disk is not None:
            self._disk.drop(_record_name(source))

    def _latest(self, source: SourceRef, now: float) -> _Known | None:
        """Return what this process knows, or another one that has asked later."""
        known = self._known.get(source)
        if self._disk is None or (known is not None and now < known.until):
            return known
        recorded = self._recorded(source)
        if recorded is not None and (known is None or recorded.checked > known.checked):
            self._known.set(source, recorded)
            return recorded
        return known

    def _recorded(self, source: SourceRef) -> _Known | None:
        entry = self._disk.get(_record_name(source)) if self._disk else None
        if entry is None or not isinstance(entry.body, bytes):
            return None
        try:
            return msgspec.msgpack.decode(entry.body, type=_Known)
        except msgspec.MsgspecError:
            return None

    def _renewed(self, source: SourceRef, watch: Stopwatch, budget: Budget) -> Facts:
        known = self._latest(source, self._clock())
        patience = msgspec.structs.replace(budget, deadline=budget.deadline - budget.left / 2) if known else budget
        try:
            facts = self._lane.run(partial(self._head, source), patience, watch)
        except (ObjectNotFound, AccessDenied) as error:
            self.lose(source, error)
            raise
        except (BucketError, DeadlineExceeded, Busy) as error:
            if known is None or not self._may_stand_in(known, error):
                raise
            self._known.set(source, msgspec.structs.replace(known, until=self._clock() + self._options.missing))
            return known.facts
        self.learn(source, facts)
        return facts

    def _may_stand_in(self, known: _Known, error: Exception) -> bool:
        lasting = self._options.fresh + self._options.stale_if_error
        return type(error) in _PASSING and self._clock() < known.checked + lasting

    def _head(self, source: SourceRef) -> Facts:
        bucket = self._origin(source.origin)
        if source.version:  # HEAD names no version in every store's interface
            with bucket.open(source.key, version=source.version) as opened:
                return facts_of(opened.info, opened.version)
        info = bucket.head(source.key)
        if info is None:
            raise not_found(source)
        return facts_of(info)

    def _renew_later(self, source: SourceRef) -> None:
        """Ask in the background, once at a time for each source."""
        if self._renewing.get(source):
            return
        self._renewing.set(source, value=True)
        if not self._lane.begin(partial(self._renew, source)):
            self._renewing.drop(source)

    def _renew(self, source: SourceRef) -> None:
        try:
            self.learn(source, self._head(source))
        except (ObjectNotFound, AccessDenied) as error:
            self.lose(source, error)
        finally:
            self._renewing.drop(source)


def not_found(source: SourceRef) -> ObjectNotFound:
    """Return the error for a source that is not there."""
    message = f"origin {source.origin}: there is no {source.key!r}."
    return ObjectNotFound(message, code="NoSuchKey", action="get", key=source.key, fix="Check the key.")


def _again(error: BucketError) -> BucketError:
    """Return the same error without where it was raised, which would keep a request's frames in memory."""
    return type(error)(
        error.message, code=error.code, action=error.action, bucket=error.bucket, key=error.key, fix=error.fix
    )


def _record_name(source: SourceRef) -> str:
    return f"{source_name(source)}.source"
