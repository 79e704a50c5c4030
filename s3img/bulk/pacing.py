"""Leave a store alone for a while when it says that it has too much to do."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from s3img.errors import BucketError

if TYPE_CHECKING:
    from collections.abc import Callable

Made = TypeVar("Made")

ATTEMPTS: Final = 12
"""Tries of one request: of three in ten that are refused, all of them are so once in two million."""

_PASSING: Final = frozenset(
    {"store-busy", "store-failed", "connection-broken", "no-connection", "no-answer", "port-closed"}
)
"""Reasons of failures that a busy store has as well, or whatever stands before it: the next try may go well."""

SHORTEST: Final = 0.05
LONGEST: Final = 20.0
"""Seconds of a pause, at least and at most; it doubles with each refusal and halves with each success."""


class Pace:
    """The pace of all requests of one shard: one refusal slows all of them down, as each would be refused as well.

    Pauses are of random length (full jitter), so that shards that were refused together do not come back together.
    The store's client should not repeat requests itself: it would do so at a pace of its own, for each request alone.
    """

    def __init__(
        self,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._pause = SHORTEST
        self._until = 0.0
        self._refused = 0.0
        self.waited = 0.0

    def run(self, work: Callable[[], Made]) -> Made:
        """Return what ``work`` returns, tried again while the store is busy; raise `BucketError` where it stays so."""
        for attempt in range(1, ATTEMPTS + 1):
            left = self._until - self._clock()
            if left > 0:
                self._sleep(left)
            begun = self._clock()
            try:
                made = work()
            except BucketError as error:
                # An answer to HEAD has no body: there a busy store is just one that failed.
                if error.reason not in _PASSING or attempt == ATTEMPTS:
                    raise
                self._slow_down(begun)
            else:
                with self._lock:
                    self._pause = max(SHORTEST, self._pause / 2)
                return made
        raise AssertionError  # the last attempt returns or raises

    def _slow_down(self, begun: float) -> None:
        with self._lock:
            if begun < self._refused:
                # Sent before the last refusal was known: one moment of the store, whatever the number of its refusals.
                return
            pause = self._jitter(0, self._pause)
            self._pause = min(LONGEST, 2 * self._pause)
            now = self._refused = self._clock()
            if now + pause > self._until:
                self.waited += now + pause - max(now, self._until)
                self._until = now + pause
