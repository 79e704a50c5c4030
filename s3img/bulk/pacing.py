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

ATTEMPTS: Final = 8
"""Tries of one request, each of which the client of the store has repeated itself."""

_PASSING: Final = frozenset({"store-busy", "store-failed", "connection-broken"})
"""Reasons of failures that a busy store has as well, or whatever stands before it: the next try may go well."""

_SHORTEST: Final = 0.25
_LONGEST: Final = 20.0
"""Seconds of a pause, at least and at most; it doubles with each refusal and halves with each success."""


class Pace:
    """The pace of all requests of one shard: one refusal slows all of them down, as each would be refused as well.

    Pauses are of random length (full jitter), so that shards that were refused together do not come back together.
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
        self._pause = _SHORTEST
        self._until = 0.0
        self.waited = 0.0

    def run(self, work: Callable[[], Made]) -> Made:
        """Return what ``work`` returns, tried again while the store is busy; raise `BucketError` where it stays so."""
        for attempt in range(1, ATTEMPTS + 1):
            self._wait()
            try:
                made = work()
            except BucketError as error:
                # An answer to HEAD has no body: there a busy store is just one that failed.
                if error.reason not in _PASSING or attempt == ATTEMPTS:
                    raise
                self._slow_down()
            else:
                with self._lock:
                    self._pause = max(_SHORTEST, self._pause / 2)
                return made
        raise AssertionError  # the last attempt returns or raises

    def _slow_down(self) -> None:
        with self._lock:
            pause = self._jitter(0, self._pause)
            self._pause = min(_LONGEST, 2 * self._pause)
            now = self._clock()
            if now + pause > self._until:
                self.waited += now + pause - max(now, self._until)
                self._until = now + pause

    def _wait(self) -> None:
        left = self._until - self._clock()
        if left > 0:
            self._sleep(left)
