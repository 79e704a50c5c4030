"""Executors by name: threads and processes of this machine, a Dask cluster, or whatever a function of yours returns."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import threading
from collections import deque
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from s3img.errors import BucketError, ConfigError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

Made = TypeVar("Made")

Task = TypeVar("Task")

DEATHS: Final = 3
"""Workers that one task may cost before it is given up."""

NAMES: Final = "threads, processes, dask, dask=tcp://HOST:8786 or MODULE:FUNCTION"

_DASK_SECONDS: Final = 10
"""Seconds to wait for a scheduler."""


class OpenExecutor:
    """An executor that is open, with ``workers`` places, and can be opened again when its workers have died.

    Use it as a context manager. One that is not our own (``is_own``) is neither closed nor opened again.
    """

    def __init__(
        self,
        open_again: Callable[[], Executor],
        *,
        workers: int,
        close: Callable[[], None] | None = None,
        is_own: bool = True,
    ) -> None:
        self._is_own = is_own
        self._open_again = open_again
        self._close = close
        self.workers = workers
        self.executor = open_again()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Whoever submitted tasks cancels them: not every executor's `shutdown` can.
        if self._is_own:
            self.executor.shutdown(wait=kind is None)
        if self._close:
            self._close()

    def reopen(self) -> None:
        """Take new workers in place of those that died."""
        if self._is_own:
            self.executor.shutdown(wait=False)
            self.executor = self._open_again()


def open_executor(name: str, *, workers: int = 0, environ: Mapping[str, str] | None = None) -> OpenExecutor:
    """Open the executor that ``name`` stands for; ``workers`` 0 takes one for each processor.

    ``environ`` is added to the environment of processes that start here; workers elsewhere have their own. Raise
    ConfigError for an unknown name and for a function that can't be had, Unreachable without a scheduler.
    """
    count = workers or os.cpu_count() or 1
    if name == "threads":
        return OpenExecutor(partial(ThreadPoolExecutor, count, thread_name_prefix="s3img-shard"), workers=count)
    if name == "processes":
        # Not forked: other threads of this program may be in the middle of anything.
        context = multiprocessing.get_context("spawn")
        start = partial(ProcessPoolExecutor, count, mp_context=context, initializer=_start_worker)
        return OpenExecutor(partial(start, initargs=(dict(environ or {}),)), workers=count)
    if name == "dask" or name.startswith("dask="):
        return _open_dask(name.partition("=")[2], count)
    if name.count(":") == 1:
        return OpenExecutor(_named_function(name), workers=count)
    raise ConfigError([f"executor: {name!r} is unknown: write {NAMES}"])


def result_or_deaths(future: Future[Made]) -> Made | int:
    """Return what a task returned, or how many workers have died of it; raise what it raised.

    Raise `BucketError` where the executor has given up all of its tasks.
    """
    try:
        return future.result()
    except CancelledError as error:
        message = "The executor gave up its tasks: most often its scheduler has ended."
        fix = "Start the same command again: what is finished is not done twice."
        raise BucketError(message, code="BrokenExecutor", fix=fix) from error
    except BrokenExecutor:
        return 1
    except Exception as error:
        # Dask has tried the task several times itself by then. Not imported: most programs have no Dask.
        if type(error).__name__ == "KilledWorker":
            return DEATHS
        raise


class TaskRunner(Generic[Task, Made]):
    """Do many tasks on an executor whose workers may die, a few at a time; ``start`` submits one."""

    def __init__(self, pool: OpenExecutor, start: Callable[[Task], Future[Made]]) -> None:
        self._pool = pool
        self._start = start
        # More than there are workers, so that none of them waits for this process; few, so that memory stays flat.
        self._most = 2 * pool.workers + 1

    def run(
        self, tasks: Iterable[Task], alone: Callable[[Task, int], Made]
    ) -> Generator[tuple[Task, Made], None, None]:
        """Yield each task with what it returned, as it ends. Raise what a task raises.

        When a worker dies, all tasks under way may have been its own. Each is then done again alone, so that the next
        death is surely that task's: ``alone`` does it, and is told how many workers have died of it.
        """
        waiting = iter(tasks)
        running: dict[Future[Made], Task] = {}
        suspects: deque[tuple[Task, int]] = deque()
        is_broken = False
        try:
            while True:
                if not suspects:
                    for task in islice(waiting, self._most - len(running)):
                        running[self._start(task)] = task
                    if not running:
                        return
                elif not running:
                    if is_broken:
                        self._pool.reopen()
                        is_broken = False
                    task, deaths = suspects.popleft()
                    yield task, alone(task, deaths)
                    continue
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    task, made = running.pop(future), result_or_deaths(future)
                    if isinstance(made, int):
                        suspects.append((task, made))
                        is_broken = is_broken or made < DEATHS
                    else:
                        yield task, made
        finally:
            for future in running:
                future.cancel()

    def alone(self, task: Task, deaths: int, *, most: int = DEATHS) -> Made | None:
        """Do a task while nothing else is done; return None where it costs ``most`` workers."""
        while deaths < most:
            made = result_or_deaths(self._start(task))
            if not isinstance(made, int):
                return made
            deaths += made
            if made < DEATHS:
                self._pool.reopen()
        return None


def _start_worker(environ: Mapping[str, str]) -> None:
    os.environ.update(environ)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        """End with the program that was killed: its queue stays open in every worker, which would wait for ever."""
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, name="s3img-follow", daemon=True).start()


def _named_function(name: str) -> Callable[[], Executor]:
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError([f"executor: {name!r} can't be imported: {error}"]) from error

    def start() -> Executor:
        made = found()
        if not isinstance(made, Executor):
            what = f"{name} returns {type(made).__name__}, and no concurrent.futures.Executor"
            raise ConfigError([f"executor: {what}: write {NAMES}"])
        return made

    return start


def _open_dask(address: str, count: int) -> OpenExecutor:
    """Connect to a scheduler, or start one with ``count`` worker processes of one thread each.

    One thread, because Pillow and the codecs hold up each other in one process; several processes do not.
    """
    try:
        from distributed import Client, LocalCluster  # an extra
    except ImportError:
        raise ConfigError(["executor: dask needs its package: install s3img[dask]"]) from None
    with ExitStack() as stack:
        if address:
            place: object = address
        else:
            place = stack.enter_context(LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None))
        try:
            client = stack.enter_context(Client(place, timeout=_DASK_SECONDS))
        except (OSError, ValueError) as error:
            fix = "Start it with `dask scheduler`, or check its address."
            raise Unreachable(f"No Dask scheduler answers at {address}: {error}.", action="connect", fix=fix) from error
        workers = sum(client.ncores().values()) or count
        # Not pure: two runs of one shard are two tasks, and none is taken for the result of the other.
        return OpenExecutor(partial(client.get_executor, pure=False), workers=workers, close=stack.pop_all().close)
