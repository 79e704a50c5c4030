"""Threads that a process does not wait for when it ends: one may hang on a store that never finishes an answer."""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


class Workers:
    """Run jobs in daemon threads; the pools of `concurrent.futures` join theirs at exit, however long that takes."""

    def __init__(self, count: int) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._count = count
        for number in range(count):
            Thread(target=self._work, name=f"s3img-upload-{number}", daemon=True).start()

    def submit(self, job: Callable[_Given, _Made], /, *args: _Given.args, **kwargs: _Given.kwargs) -> Future[_Made]:
        """Begin a job as soon as a thread is free."""
        future: Future[_Made] = Future()
        self._jobs.put((future, lambda: job(*args, **kwargs)))
        return future

    def close(self) -> None:
        """Let the threads end after the jobs that were submitted."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            future, call = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
