"""Places for one kind of work, a bounded queue for them, and a deadline that holds whatever the work does."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from s3img.errors import Busy, S3ImgError
from s3img.service.engine.cache_entry import Entry, EntryHeader
from s3img.service.engine.errors import busy, late

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3img.imaging import Drawn
    from s3img.service.engine.metrics import Stopwatch
    from s3img.service.engine.requests import Budget

T = TypeVar("T")

log = logging.getLogger("s3img.service")


class Lane:
    """Do one kind of work, the ``step`` of a request, at most ``places`` at a time with at most ``queue`` waiting.

    Threads are made when they are first needed, so a process may fork before.
    """

    def __init__(self, step: str, *, places: int, queue: int, retry_after: int = 1) -> None:
        self.step = step
        self._room = places + queue
        self._retry_after = retry_after
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(places, thread_name_prefix=f"s3img-{step}")
        self._taken = 0

    def run(self, work: Callable[[], T], budget: Budget, watch: Stopwatch) -> T:
        """Return what ``work`` returns; give up waiting for it when the budget ends, also while it runs.

        Raise `Busy`, `DeadlineExceeded`, `ClientGone` and what the work raises.
        """
        return self.finish(self.start(work, budget, watch), budget)

    def start(self, work: Callable[[], T], budget: Budget, watch: Stopwatch) -> Future[T]:
        """Begin work for a request, which has to call ``finish``; raise `Busy`, `DeadlineExceeded`, `ClientGone`."""
        budget.check(self.step)
        asked = time.perf_counter()

        def timed() -> T:
            started = time.perf_counter()
            watch.add(f"{self.step}-queue", started - asked)
            try:
                return work()
            finally:
                watch.add(self.step, time.perf_counter() - started)

        return self._submit(timed)

    def finish(self, future: Future[T], budget: Budget) -> T:
        """Wait for what was begun; raise `DeadlineExceeded` and what the work raises."""
        try:
            wait([future], timeout=max(0.0, budget.left))
            if not future.done():
                future.cancel()
                raise late(self.step)
            return future.result()
        finally:
            del future  # with what it raised it would be a cycle, which keeps a source's bytes until it is collected

    def begin(self, work: Callable[[], object]) -> bool:
        """Do the work some time later; return False where there is no room for it.

        What it raises of ours ends with it; anything else is a bug, and logged.
        """

        def guarded() -> None:
            try:
                work()
            except S3ImgError:
                return
            except Exception:
                log.exception("%s failed in the background", self.step)

        try:
            self._submit(guarded)
        except Busy:
            return False
        return True

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._taken >= self._room:
                raise busy(self.step, retry_after=self._retry_after)
            self._taken += 1
        try:
            future = self._pool.submit(work)
        except RuntimeError as error:  # closed, as the process ends
            self._leave()
            raise busy(self.step, retry_after=self._retry_after) from error
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _: object = None) -> None:
        with self._lock:
            self._taken -= 1

    def count(self) -> int:
        """Return how much work is under way or waiting."""
        return self._taken

    def close(self) -> None:
        """Finish what was begun."""
        self._pool.shutdown(wait=True)


class Room:
    """Bound the bytes of what waits between two steps."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many bytes; return False where they are not there."""
        with self._lock:
            is_there = size <= self._left
            self._left -= size if is_there else 0
            return is_there

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += size


class Gate:
    """Let at most ``places`` requests do something at a time, in their own threads, with at most ``queue`` waiting."""

    def __init__(self, step: str, *, places: int, queue: int, retry_after: int = 1) -> None:
        self._step = step
        self._queue = queue
        self._retry_after = retry_after
        self._places = threading.BoundedSemaphore(places)
        self._lock = threading.Lock()
        self._waiting = 0

    @contextmanager
    def held(self, budget: Budget) -> Iterator[None]:
        """Hold a place; raise `Busy`, `DeadlineExceeded` and `ClientGone`."""
        budget.check(self._step)
        if not self._places.acquire(blocking=False):
            self._wait(budget)
        try:
            yield
        finally:
            self._places.release()

    def _wait(self, budget: Budget) -> None:
        with self._lock:
            if self._waiting >= self._queue:
                raise busy(self._step, retry_after=self._retry_after)
            self._waiting += 1
        try:
            if not self._places.acquire(timeout=max(0.0, budget.left)):
                raise late(self._step)
        finally:
            with self._lock:
                self._waiting -= 1


_SLOW: Final = "avif"


class Encoders:
    """Encode pictures in the places of two lanes; of those that wait decoded, ``room`` bounds the bytes."""

    def __init__(self, quick: Lane, slow: Lane, room: Room) -> None:
        self.lanes = (quick, slow)
        self._room = room

    def begin(self, drawn: Drawn, budget: Budget, watch: Stopwatch) -> Entry | Future[Entry]:
        """Return what will be the result, or the result itself of a picture that there is no room for.

        The caller, who has drawn it, keeps its place for that until then. Raise what `Lane.start` raises, and
        ``ImageError``.
        """
        lane = self.lanes[drawn.format == _SLOW]
        memory = drawn.memory
        future = lane.start(lambda: _entry(drawn), budget, watch)
        if not self._room.take(memory):
            return lane.finish(future, budget)
        future.add_done_callback(lambda _: self._room.give(memory))
        return future

    def finish(self, begun: Entry | Future[Entry], budget: Budget) -> Entry:
        """Return the result; raise `DeadlineExceeded` and ``ImageError``."""
        return begun if isinstance(begun, Entry) else self.lanes[0].finish(begun, budget)


def _entry(drawn: Drawn) -> Entry:
    rendered = drawn.encode()
    return Entry(EntryHeader(rendered.media_type, rendered.width, rendered.height), rendered.data, len(rendered.data))
