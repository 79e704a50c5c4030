"""One at a time: requests for one result share the work of the first of them, in a process and between processes."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec
from filelock import FileLock, Timeout

from s3img.errors import ClientGone, DeadlineExceeded
from s3img.service.engine.errors import late

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s3img.service.engine.requests import Budget

T = TypeVar("T")

_LOCKS: Final = 3
"""Hex digits that name a lock: 4096 files that stay, because removing a lock that others wait for breaks it."""

_POLL: Final = 0.01
_WAITING: Final = "wait for another request"


@dataclass(slots=True)
class _Flight(Generic[T]):
    future: Future[T] = field(default_factory=Future)
    followers: int = 0


class Flights(Generic[T]):
    """Do the same work once for all threads that ask for it at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight[T]] = {}

    def run(self, name: str, work: Callable[[Budget], T], budget: Budget) -> T:
        """Return what ``work`` returns, or raise what it raises, done by this thread or by another.

        The work gets a budget whose client is only gone when nobody else waits. Where the one who did the work ran
        out of time, the next one who has some left begins again.
        """
        while True:
            flight, is_new = self._boarded(name)
            if is_new:
                return self._led(name, flight, work, budget)
            try:
                return self._followed(flight, budget)
            except (DeadlineExceeded, ClientGone):
                budget.check(_WAITING)

    def _boarded(self, name: str) -> tuple[_Flight[T], bool]:
        """Return the flight of a name, and whether it is a new one."""
        with self._lock:
            flight = self._flights.get(name)
            if flight is not None:
                flight.followers += 1
                return flight, False
            flight = self._flights[name] = _Flight()
            return flight, True

    def _led(self, name: str, flight: _Flight[T], work: Callable[[Budget], T], budget: Budget) -> T:
        shared = msgspec.structs.replace(budget, is_gone=lambda: not flight.followers and budget.is_gone())
        try:
            result = work(shared)
        except BaseException as error:
            self._land(name)
            if flight.followers:  # else it would only form a cycle that keeps the source's bytes
                flight.future.set_exception(error)
            raise
        self._land(name)
        flight.future.set_result(result)
        return result

    def _land(self, name: str) -> None:
        with self._lock:
            del self._flights[name]

    def _followed(self, flight: _Flight[T], budget: Budget) -> T:
        try:
            wait([flight.future], timeout=max(0.0, budget.left))
        finally:
            with self._lock:
                flight.followers -= 1
        if not flight.future.done():
            raise late(_WAITING)
        return flight.future.result()


class ProcessLocks:
    """Let one process of a machine at a time work on a result; without a folder, or a lock in time, all may."""

    def __init__(self, folder: Path | None, *, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds

    @contextlib.contextmanager
    def held(self, name: str, budget: Budget) -> Iterator[None]:
        """Hold the lock of a result (hex) while its work is done; doing it twice is better than not at all.

        Half of a budget is kept for that.
        """
        lock = self._acquired(name, min(self._seconds, budget.left / 2))
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def _acquired(self, name: str, seconds: float) -> FileLock | None:
        if self._folder is None:
            return None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / f"{name[:_LOCKS]}.lock", thread_local=False)
            lock.acquire(timeout=max(0.0, seconds), poll_interval=_POLL)
        except (OSError, Timeout, NotImplementedError):
            return None
        return lock
