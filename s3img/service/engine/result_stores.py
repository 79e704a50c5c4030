"""Where results are kept: in memory, on disk, in a bucket; each is asked in this order and none has to be there."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar

import msgspec

from s3img import buckets, imaging
from s3img.errors import AccessDenied, Busy, DeadlineExceeded, ImageError, ObjectNotFound, S3ImgError
from s3img.pictures.result_names import RESULTS
from s3img.service.engine.disk_cache import CachedResult, ResultHeader
from s3img.service.log import RateLimitedLog, operator_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from s3img.buckets import Bucket
    from s3img.limits import Limits
    from s3img.pictures.result_names import ResultLocation
    from s3img.service.engine.concurrency import QueuedPool
    from s3img.service.engine.disk_cache import DiskCache
    from s3img.service.engine.jobs import Budget
    from s3img.service.engine.metrics import Stopwatch
    from s3img.service.engine.result_leases import ResultLeases

T = TypeVar("T")

MARKER: Final = {"s3img": "result"}
"""Metadata of those; results that a sync makes as well carry a sync's, so that gc knows them for its own."""
PATIENCE: Final = 2.0
"""Seconds to wait for a bucket to find a result: most are made sooner."""
_FIRST_POLL: Final = 0.05
_LAST_POLL: Final = 0.8
"""Seconds between looks for the result of another machine; they double."""
_REST: Final = 10.0
"""Seconds without a further request after the bucket has failed."""
_SHARE: Final = 16
"""A result larger than this part of the memory would push out too many others."""


class MemoryCache:
    """Keep the results used last in at most ``limit`` bytes; off where that is 0."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, CachedResult] = OrderedDict()
        self._size = 0

    def get(self, name: str) -> CachedResult | None:
        """Return what is kept under a name."""
        if not self._limit:
            return None
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None:
                self._entries.move_to_end(name)
            return entry

    def put(self, name: str, entry: CachedResult) -> None:
        """Keep a result of bytes, if it is small enough, in place of those used longest ago."""
        if entry.size > self._limit // _SHARE or not isinstance(entry.body, bytes):
            return
        with self._lock:
            known = self._entries.pop(name, None)
            self._size += entry.size - (known.size if known else 0)
            self._entries[name] = entry
            while self._size > self._limit:
                self._size -= self._entries.popitem(last=False)[1].size


class RecentValues(Generic[T]):
    """Remember the values of the names that were set last, ``limit`` of them at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._values: dict[object, T] = {}

    def get(self, name: object) -> T | None:
        """Return a value, None without one."""
        return self._values.get(name)

    def set(self, name: object, value: T) -> None:
        """Remember a value in place of the one that was set longest ago."""
        with self._lock:
            self._values.pop(name, None)
            self._values[name] = value
            if len(self._values) > self._limit:
                del self._values[next(iter(self._values))]

    def drop(self, name: object) -> None:
        """Forget a value."""
        with self._lock:
            self._values.pop(name, None)


class ResultBucket:
    """Keep results as plain objects, each with its media type, where other machines find them.

    A bucket that fails is left alone for a while, and never fails a request.
    """

    def __init__(self, bucket: Bucket, limits: Limits) -> None:
        self._bucket = bucket
        self._limits = limits
        self._log = RateLimitedLog()
        self._resting = {"read": 0.0, "write": 0.0}

    def get(self, key: str, media_type: str = "") -> CachedResult | None:
        """Return a result, None without one or without the bucket; ``media_type`` is given for what is not an image."""
        try:
            with self._bucket.open(key) as opened:
                if opened.info.size > self._limits.input_bytes:  # somebody else put it there
                    return None
                data = opened.read()
        except (ObjectNotFound, AccessDenied):  # without s3:ListBucket a missing object is denied
            return None
        except S3ImgError as error:
            self.fail("read", error)
            return None
        if media_type:
            return CachedResult(ResultHeader(media_type), data, len(data))
        try:  # a folder keeps no media types, and whoever writes to the bucket may be wrong: the bytes decide
            info = imaging.probe(data, limits=self._limits)
        except ImageError:
            return None
        return CachedResult(ResultHeader(info.media_type, info.width, info.height), data, len(data))

    def get_first(self, keys: Iterable[str], media_type: str = "") -> CachedResult | None:
        """Return the result under the first of several keys that has one."""
        return next((entry for key in keys if (entry := self.get(key, media_type)) is not None), None)

    def put(self, key: str, entry: CachedResult) -> bool:
        """Store a result; return whether that went well."""
        if self.rests("write") or not isinstance(entry.body, bytes):
            return False
        try:
            own = buckets.MARKER | {buckets.HOME: buckets.home_of(self._bucket.name)}
            marker = MARKER if key.startswith(RESULTS) else own
            self._bucket.put(key, entry.body, media_type=entry.header.media_type, metadata=marker)
        except S3ImgError as error:
            self.fail("write", error)
            return False
        return True

    def fail(self, action: Literal["read", "write"], error: S3ImgError) -> None:
        """Log that the bucket failed, and leave it alone for a while."""
        self._resting[action] = time.monotonic() + _REST
        text = "Results can't be %s %s: %s They are made here until they can."
        self._log.warn(
            action, text, "read from" if action == "read" else "stored in", self._bucket.name, operator_text(error)
        )

    def rests(self, action: Literal["read", "write"]) -> bool:
        """Tell whether the bucket failed a moment ago."""
        return time.monotonic() < self._resting[action]


@dataclass(frozen=True, slots=True)
class ResultStores:
    """Find results and keep them; what takes long (the bucket, making room) happens in the background in ``pool``.

    With ``leases``, a machine waits for another one that makes the same result.
    """

    memory: MemoryCache
    disk: DiskCache | None
    target: ResultBucket | None
    pool: QueuedPool
    leases: ResultLeases | None = None

    def find(self, identity: str) -> tuple[CachedResult, str] | None:
        """Return a result from memory or disk, and the name of the one it was in."""
        entry = self.memory.get(identity)
        if entry is not None:
            return entry, "memory"
        entry = self.disk.get(identity) if self.disk else None
        if entry is None:
            return None
        self.memory.put(identity, entry)
        return entry, "disk"

    def find_in_bucket(
        self, location: ResultLocation, media_type: str, budget: Budget, watch: Stopwatch
    ) -> tuple[CachedResult, str] | None:
        """Return a result from the bucket, and keep it on this machine; give up in time to make it here.

        ``media_type`` is that of what is not an image.
        """
        if self.target is None or self.target.rests("read"):
            return None
        entry = self._ask(partial(self.target.get_first, (*location.others, location.key), media_type), budget, watch)
        if entry is None:
            return None
        self.keep(location, entry, is_stored=True)
        return entry, "target"

    def wait_for_others(
        self, location: ResultLocation, media_type: str, budget: Budget, watch: Stopwatch
    ) -> tuple[CachedResult, str] | None:
        """Take the lease of a result, or wait for what the machine that has it puts into the bucket.

        None means that the result is to be made here: it is this machine's turn, or the other one takes too long, or
        the bucket does not answer. Raise `ClientGone`.
        """
        if self.target is None or self.leases is None or self.target.rests("read"):
            return None
        end = time.monotonic() + min(self.leases.seconds, budget.left / 2)
        pause = _FIRST_POLL
        is_free = True
        while True:
            if is_free and self._ask(partial(self.leases.take, location.identity), budget, watch) is not False:
                # The other machine may have put it after this one has looked, and then given its lease back.
                return self.find_in_bucket(location, media_type, budget, watch)
            budget.check("wait for another machine")
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
            pause = min(2 * pause, _LAST_POLL)
            found = self.find_in_bucket(location, media_type, budget, watch)
            if found is not None or self.target.rests("read") or time.monotonic() >= end:
                return found
            is_free = self._ask(partial(self.leases.is_free, location.identity), budget, watch) is not False

    def release(self, identity: str) -> None:
        """Give back the lease of a result that is not made after all, in the background."""
        if self.leases is not None:
            self.pool.start_in_background(partial(self.leases.release, identity))

    def _ask(self, question: Callable[[], T], budget: Budget, watch: Stopwatch) -> T | None:
        """Return what the bucket answers in time; None where it does not, and then leave it alone for a while."""
        deadline = budget.deadline - budget.left + min(PATIENCE, budget.left / 2)
        try:
            return self.pool.run(question, msgspec.structs.replace(budget, deadline=deadline), watch)
        except (Busy, DeadlineExceeded) as error:
            if self.target is not None:
                self.target.fail("read", error)
            return None

    def keep(self, location: ResultLocation, entry: CachedResult, *, is_stored: bool = False) -> None:
        """Keep a result; the bucket gets it after the answer, unless it has it already."""
        self.memory.put(location.identity, entry)
        if self.disk is not None and isinstance(entry.body, bytes):
            self.disk.put(location.identity, entry.header, entry.body)
            if self.disk.is_due():
                self.pool.start_in_background(self.disk.sweep)
        if self.target is not None and not is_stored:
            self.pool.start_in_background(partial(self._store, self.target, location, entry))

    def _store(self, target: ResultBucket, location: ResultLocation, entry: CachedResult) -> None:
        """Put a result, and only then let other machines make it: whoever waits finds it."""
        target.put(location.key, entry)
        if self.leases is not None:
            self.leases.release(location.identity)
