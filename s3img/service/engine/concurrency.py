"""Bounds on what one process does at a time: worker pools with a queue, limits, bytes, and work that is shared.

Whatever waits here waits no longer than its request's `Budget`, and is refused with `Busy` where the queue is full.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec
from filelock import FileLock, Timeout

from s3img.errors import Busy, ClientGone, DeadlineExceeded, ImageTooLarge, S3ImgError
from s3img.service.engine.disk_cache import CachedResult, ResultHeader
from s3img.service.engine.jobs import busy, late
from s3img.service.log import LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s3img.imaging import Drawn
    from s3img.service.engine.jobs import Budget
    from s3img.service.engine.metrics import Stopwatch

T = TypeVar("T")


class QueuedPool:
    """Run one kind of work, the ``step`` of a request: ``workers`` at a time, and at most ``queue`` more that wait.

    Threads start when they are first needed, so a process may fork before.
    """

    def __init__(self, step: str, *, workers: int, queue: int, retry_after: int = 1) -> None:
        self.step = step
        self._most = workers + queue
        self._retry_after = retry_after
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"s3img-{step}")
        self._count = 0

    def run(self, work: Callable[[], T], budget: Budget, watch: Stopwatch) -> T:
        """Return what ``work`` returns; stop waiting for it when the budget ends, also while it runs.

        Raise `Busy`, `DeadlineExceeded`, `ClientGone` and what the work raises.
        """
        return self.wait_for(self.start(work, budget, watch), budget)

    def start(self, work: Callable[[], T], budget: Budget, watch: Stopwatch) -> Future[T]:
        """Start work whose result `wait_for` returns; raise `Busy`, `DeadlineExceeded`, `ClientGone`."""
        budget.check(self.step)
        queued = time.perf_counter()

        def timed() -> T:
            started = time.perf_counter()
            watch.add(f"{self.step}-queue", started - queued)
            try:
                return work()
            finally:
                watch.add(self.step, time.perf_counter() - started)

        return self._submit(timed)

    def wait_for(self, future: Future[T], budget: Budget) -> T:
        """Wait for what was started; raise `DeadlineExceeded` and what the work raises."""
        try:
            wait([future], timeout=max(0.0, budget.left))
            if not future.done():
                future.cancel()
                raise late(self.step)
            return future.result()
        finally:
            del future  # an exception's traceback would point back at it: a cycle that keeps a source's bytes alive

    def start_in_background(self, work: Callable[[], object]) -> bool:
        """Run work that nobody waits for; return False where the queue is full.

        An `S3ImgError` that it raises is dropped; anything else is a bug and logged.
        """

        def guarded() -> None:
            try:
                work()
            except S3ImgError:
                return
            except Exception:
                LOGGER.exception("%s failed in the background", self.step)

        try:
            self._submit(guarded)
        except Busy:
            return False
        return True

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._count >= self._most:
                raise busy(self.step, retry_after=self._retry_after)
            self._count += 1
        try:
            future = self._pool.submit(work)
        except RuntimeError as error:  # the pool is closed: the process ends
            self._leave()
            raise busy(self.step, retry_after=self._retry_after) from error
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _: object = None) -> None:
        with self._lock:
            self._count -= 1

    def count(self) -> int:
        """Return how many pieces of work run or wait."""
        return self._count

    def close(self) -> None:
        """Finish what was started, and stop the threads."""
        self._pool.shutdown(wait=True)


class ConcurrencyLimit:
    """Let at most ``most`` requests do something at a time, in their own threads; at most ``queue`` more wait."""

    def __init__(self, step: str, *, most: int, queue: int, retry_after: int = 1) -> None:
        self._step = step
        self._queue = queue
        self._retry_after = retry_after
        self._semaphore = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._waiting = 0

    @contextlib.contextmanager
    def acquire(self, budget: Budget) -> Iterator[Callable[[], None]]:
        """Count as one of them inside, or until what is yielded is called, which may be once and early.

        Raise `Busy`, `DeadlineExceeded` and `ClientGone`.
        """
        budget.check(self._step)
        if not self._semaphore.acquire(blocking=False):
            with self._lock:
                if self._waiting >= self._queue:
                    raise busy(self._step, retry_after=self._retry_after)
                self._waiting += 1
            try:
                if not self._semaphore.acquire(timeout=max(0.0, budget.left)):
                    raise late(self._step)
            finally:
                with self._lock:
                    self._waiting -= 1
        with contextlib.ExitStack() as stack:
            stack.callback(self._semaphore.release)
            yield stack.close  # which releases once: a closed stack has nothing left to call

    def count_waiting(self) -> int:
        """Return how many wait."""
        return self._waiting


class ByteBudget:
    """Bound the sum of bytes that several threads hold at a time."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take ``size`` bytes; return False where fewer are left."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += size


class MemoryBudget:
    """Keep the sum of what sources take while they are decoded below ``size`` bytes (0: no bound); others wait."""

    def __init__(self, size: int, *, retry_after: int = 1) -> None:
        self._size = size
        self._retry_after = retry_after
        self._held = 0
        self._condition = threading.Condition()

    @property
    def is_bounded(self) -> bool:
        """Tell whether anything has to be taken from it."""
        return self._size > 0

    def take(self, size: int, budget: Budget) -> Callable[[], None]:
        """Take ``size`` bytes when there is room; return what gives them back, once however often it is called.

        Raise `ImageTooLarge` for more than there ever is, `Busy` where no room comes in half of the request's time:
        the other half is kept for the work itself.
        """
        if size > self._size:
            what = f"Decoding this picture may take {size:,} bytes; {self._size:,} is the limit."
            raise ImageTooLarge(what, limit="memory", fix="Make it smaller, or raise limits.memory.")
        with self._condition:
            patience = max(0.0, budget.left / 2)
            if not self._condition.wait_for(lambda: self._held + size <= self._size, timeout=patience):
                raise busy("wait for memory, which limits.memory bounds", retry_after=self._retry_after)
            self._held += size
        with contextlib.ExitStack() as stack:
            stack.callback(self._give, size)
            return stack.pop_all().close

    def _give(self, size: int) -> None:
        with self._condition:
            self._held -= size
            self._condition.notify_all()


class EncoderPools:
    """Encode pictures, AVIF apart from the quick formats; ``waiting`` bounds the bytes of decoded ones in the queue."""

    def __init__(self, quick: QueuedPool, slow: QueuedPool, waiting: ByteBudget) -> None:
        self.pools = (quick, slow)
        self._waiting = waiting

    def start(self, drawn: Drawn, budget: Budget, watch: Stopwatch) -> CachedResult | Future[CachedResult]:
        """Return the result to come, or the result itself where the queue has no room for this picture's pixels.

        The caller then keeps its own worker until the picture is encoded, so that no further one is decoded. Raise
        what `QueuedPool.start` raises, and ``ImageError``.
        """
        pool = self.pools[drawn.format == "avif"]
        memory = drawn.memory
        future = pool.start(lambda: _encode(drawn), budget, watch)
        if not self._waiting.take(memory):
            try:
                return pool.wait_for(future, budget)
            finally:
                del future  # as there
        future.add_done_callback(lambda _: self._waiting.give(memory))
        return future

    def wait_for(self, started: CachedResult | Future[CachedResult], budget: Budget) -> CachedResult:
        """Return the result; raise `DeadlineExceeded` and ``ImageError``."""
        try:
            return started if isinstance(started, CachedResult) else self.pools[0].wait_for(started, budget)
        finally:
            del started  # as there


def _encode(drawn: Drawn) -> CachedResult:
    rendered = drawn.encode()
    header = ResultHeader(rendered.media_type, rendered.width, rendered.height)
    return CachedResult(header, rendered.data, len(rendered.data))


_WAITING: Final = "wait for another request"


@dataclass(slots=True)
class _SharedCall(Generic[T]):
    future: Future[T] = field(default_factory=Future)
    followers: int = 0


class SingleFlight(Generic[T]):
    """Do the same work once for all threads that ask for it at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, _SharedCall[T]] = {}

    def run(self, name: str, work: Callable[[Budget], T], budget: Budget) -> T:
        """Return what ``work`` returns, or raise what it raises, in this thread or in the one that came first.

        The work gets a budget whose client is only gone when nobody else waits. Where the thread that came first ran
        out of time, the next one that has some left starts again.
        """
        while True:
            with self._lock:
                call = self._calls.get(name)
                is_first = call is None
                if call is None:
                    call = self._calls[name] = _SharedCall()
                else:
                    call.followers += 1
            if is_first:
                return self._lead(name, call, work, budget)
            try:
                return self._follow(call, budget)
            except (DeadlineExceeded, ClientGone):
                budget.check(_WAITING)

    def _lead(self, name: str, call: _SharedCall[T], work: Callable[[Budget], T], budget: Budget) -> T:
        shared = msgspec.structs.replace(budget, is_gone=lambda: not call.followers and budget.is_gone())
        try:
            result = work(shared)
        except BaseException as error:
            self._end(name)
            if call.followers:  # with nobody to read it, it would only be a cycle that keeps the source's bytes
                call.future.set_exception(error)
            raise
        self._end(name)
        call.future.set_result(result)
        return result

    def _end(self, name: str) -> None:
        """Let the next thread start anew: only those that already wait share this result."""
        with self._lock:
            del self._calls[name]

    def _follow(self, call: _SharedCall[T], budget: Budget) -> T:
        try:
            wait([call.future], timeout=max(0.0, budget.left))
        finally:
            with self._lock:
                call.followers -= 1
        if not call.future.done():
            raise late(_WAITING)
        return call.future.result()


class ProcessLocks:
    """Let one process of a machine at a time work on a result; without a folder, or a lock in time, all may."""

    def __init__(self, folder: Path | None, *, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds

    @contextlib.contextmanager
    def acquire(self, name: str, budget: Budget) -> Iterator[None]:
        """Lock the result ``name`` (hex) inside; where that takes too long, go on without: twice is better than never.

        Half of the budget is kept for the work itself.
        """
        lock = self._lock(name, min(self._seconds, budget.left / 2))
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def _lock(self, name: str, seconds: float) -> FileLock | None:
        if self._folder is None:
            return None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Three hex digits: 4,096 files that stay. Removing a lock's file while others wait for it breaks the lock.
            lock = FileLock(self._folder / f"{name[:3]}.lock", thread_local=False)
            lock.acquire(timeout=max(0.0, seconds), poll_interval=0.01)
        except (OSError, Timeout, NotImplementedError):
            return None
        return lock
