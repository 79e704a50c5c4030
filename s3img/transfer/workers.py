"""Pools that do the work: daemon threads of our own, or any executor of threads, processes or machines."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Executor, Future
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Given = ParamSpec("Given")

Made = TypeVar("Made")


class WorkerPool:
    """Run jobs in daemon threads; the pools of `concurrent.futures` join theirs at exit, however long that takes."""

    def __init__(self, count: int) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._count = count
        for number in range(count):
            Thread(target=self._work, name=f"s3img-upload-{number}", daemon=True).start()

    def submit(self, job: Callable[Given, Made], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Made]:
        """Start a job as soon as a thread is free."""
        future: Future[Made] = Future()
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


def submit(
    pool: Executor | WorkerPool, job: Callable[Given, Made], /, *args: Given.args, **kwargs: Given.kwargs
) -> Future[Made]:
    """Submit a job; a pool whose workers have died gives a future that has failed, as it does for the jobs it had."""
    try:
        return pool.submit(job, *args, **kwargs)
    except BrokenExecutor as error:
        broken: Future[Made] = Future()
        broken.set_exception(error)
        return broken
