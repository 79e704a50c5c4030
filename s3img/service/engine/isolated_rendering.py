"""Rendering in processes that can be ended, and who gets a place to render in.

Places are as many as ``renders`` for the quick formats and ``encodes`` for AVIF, as in threads. A rendering that takes
longer than `PATIENCE` while others wait gives its place to the next one, and soon goes on with what the processors have
left, so that a few pictures that take for ever hold up nobody. Only `OVERDUE` of them may, for each has memory.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from s3img.errors import ForkServerFailed, ImageTooLarge
from s3img.imaging import MEDIA_TYPES
from s3img.imaging.isolation import RENDER_PROCESSES, is_isolated
from s3img.service.engine.concurrency import ByteBudget, ConcurrencyLimit
from s3img.service.engine.disk_cache import CachedResult, ResultHeader
from s3img.service.engine.jobs import late

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.imaging.isolation import WorkerProcess
    from s3img.imaging.isolation.process_messages import Task
    from s3img.limits import Limits
    from s3img.pictures.result_names import RenderRecipe
    from s3img.service.engine.jobs import Budget, EngineOptions
    from s3img.service.engine.metrics import Stopwatch

PATIENCE: Final = 0.2
"""Seconds for which a rendering keeps its place from others: an ordinary one is done by then."""
SLOW_PATIENCE: Final = 2.0
"""The same of AVIF, which takes as much longer; if it gave its place away sooner, each would take longer still."""
SLOW: Final = 1.0
"""Seconds after which one without a place has the processors after all others."""
OVERDUE: Final = 4
"""Renderings that may go on without a place."""
_STEP: Final = "render"


class IsolatedRendering:
    """Run tasks in processes, a bounded number at a time; safe to share between threads, and to make before a fork."""

    def __init__(self, options: EngineOptions, limits: Limits) -> None:
        self._limits = limits
        self._is_on = is_isolated(limits)
        self._overdue = threading.BoundedSemaphore(OVERDUE)
        self._waiting = ByteBudget(options.drawn_bytes)
        self._quick, self._slow = (
            ConcurrencyLimit(step, most=most, queue=options.queue, retry_after=options.retry_after)
            for step, most in ((_STEP, options.renders), ("encode-avif", options.encodes))
        )
        self._count = 0
        self._lock = threading.Lock()

    def run(
        self,
        task: Task,
        data: bytes,
        *,
        budget: Budget,
        watch: Stopwatch,
        leave: Callable[[], None],
        is_slow: bool = False,
    ) -> CachedResult:
        """Return the one result of a task; ``is_slow`` for what may be encoded to AVIF.

        ``leave`` gives the place of a source in memory to the next one; it is called where the bytes of those that
        wait here are below their own bound, so that slow ones hold up no others.
        Raise what the task raises, `Busy`, `DeadlineExceeded`, `ClientGone` and `ForkServerFailed`.
        """
        with self._lock:
            self._count += 1
        places, patience = (self._slow, SLOW_PATIENCE) if is_slow else (self._quick, PATIENCE)
        if is_counted := self._waiting.take(len(data)):
            leave()
        try:
            return self._run(task, data, budget, watch, places, patience)
        finally:
            if is_counted:
                self._waiting.give(len(data))
            with self._lock:
                self._count -= 1

    def _run(
        self,
        task: Task,
        data: bytes,
        budget: Budget,
        watch: Stopwatch,
        places: ConcurrencyLimit,
        patience: float,
    ) -> CachedResult:
        queued = time.perf_counter()
        with places.acquire(budget) as leave:
            watch.add(f"{_STEP}-queue", time.perf_counter() - queued)
            place = _Place(leave, places, patience, self._overdue, budget)
            try:
                result = RENDER_PROCESSES.run(task, data, limits=self._limits, until=budget.deadline, look=place.look)
            except TimeoutError as error:
                raise late(_STEP) from error
            except ImageTooLarge as error:
                if error.limit == "seconds" and budget.left <= 0:  # the request's time ended, not the picture's
                    raise late(_STEP) from error
                raise
            finally:
                place.end()
        for step, seconds in result.seconds.items():
            watch.add(step, seconds)
        (picture,) = result.pictures
        if isinstance(picture, Exception):
            try:
                raise picture
            finally:
                del picture, result  # the traceback would point back at them, and keep the source's bytes
        header = ResultHeader(picture.media_type, picture.width, picture.height)
        return CachedResult(header, picture.data, len(picture.data))

    @property
    def is_on(self) -> bool:
        """Tell whether tasks are run here; ``"auto"`` gives up where processes have never started."""
        return self._is_on and (self._limits.isolate is True or RENDER_PROCESSES.can_start)

    def start(self) -> None:
        """Start loading the codecs without waiting for it; a failure is told to the request that needs them."""
        with suppress(ForkServerFailed):
            RENDER_PROCESSES.start()

    def close(self) -> None:
        """End the processes that are idle."""
        RENDER_PROCESSES.end_idle()

    def count(self) -> int:
        """Return how many tasks run or wait."""
        return self._count

    def check_ready(self, budget: Budget) -> None:
        """Raise `Busy` while no further task could wait, and `DeadlineExceeded`."""
        with self._quick.acquire(budget):
            return


class _Place:
    """The place of one rendering, until it gives it to the next one."""

    def __init__(
        self,
        leave: Callable[[], None],
        places: ConcurrencyLimit,
        patience: float,
        overdue: threading.BoundedSemaphore,
        budget: Budget,
    ) -> None:
        self._leave = leave
        self._places = places
        self._patience = patience
        self._overdue = overdue
        self._budget = budget
        self._is_overdue = False

    def look(self, process: WorkerProcess, seconds: float) -> None:
        """Give the place away once it was had for long, others wait and one more may go on without."""
        self._budget.check(_STEP)
        if not self._is_overdue and seconds >= self._patience and self._places.count_waiting():
            self._is_overdue = self._overdue.acquire(blocking=False)
            if self._is_overdue:
                self._leave()
        # Not at once: where other programs have the processors, ordinary renderings would be starved as well.
        if self._is_overdue and seconds >= SLOW and not process.is_slow:
            process.slow_down()

    def end(self) -> None:
        """Let another one go on without a place."""
        if self._is_overdue:
            self._overdue.release()


def is_slow(recipe: RenderRecipe) -> bool:
    """Tell whether a recipe's result may be AVIF, which takes several times as long as the others."""
    if recipe.transform is None:
        return False
    wanted = recipe.transform.format
    return wanted == "avif" or (wanted == "auto" and MEDIA_TYPES["avif"] in (recipe.accept or ()))
