"""Give shards to an executor, a few at a time, and find the picture that kills workers."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.bulk.shard_report import NOTHING, PictureError, ShardReport
from s3img.transfer.executors import DEATHS, result_or_deaths
from s3img.transfer.workers import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from s3img.bulk.shards import Shard
    from s3img.transfer.executors import OpenExecutor

WORKER_DIED: Final = "worker-died"
"""Code of a picture that ends whatever process renders it."""


class ShardScheduler:
    """Run shards on an executor; ``run_shard`` is the task, a function of a module that takes a shard."""

    def __init__(self, pool: OpenExecutor, run_shard: Callable[[Shard], ShardReport]) -> None:
        self._pool = pool
        self._run_shard = run_shard
        # More than there are workers, so that none of them waits for this process; few, so that memory stays flat.
        self._most = 2 * pool.workers + 1
        self._suspects: deque[tuple[Shard, int]] = deque()

    def run(self, shards: Iterable[Shard]) -> Generator[tuple[Shard, ShardReport], None, None]:
        """Yield each shard with its report as it ends. Raise what a task raises; errors of pictures are values.

        When a worker dies, all shards under way may have been its own. Each is then tried again alone, so that the next
        death is surely that shard's.
        """
        waiting = iter(shards)
        running: dict[Future[ShardReport], Shard] = {}
        try:
            while True:
                if not self._suspects:
                    for shard in islice(waiting, self._most - len(running)):
                        running[submit(self._pool.executor, self._run_shard, shard)] = shard
                elif not running:
                    shard, deaths = self._suspects.popleft()
                    yield shard, self._run_alone(shard, deaths)
                    continue
                if not running:
                    return
                yield from self._ended(running)
        finally:
            for future in running:
                future.cancel()

    def _ended(self, running: dict[Future[ShardReport], Shard]) -> Iterator[tuple[Shard, ShardReport]]:
        is_broken = False
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            shard = running.pop(future)
            report = result_or_deaths(future)
            if isinstance(report, ShardReport):
                yield shard, report
            else:
                self._suspects.append((shard, report))
                is_broken = is_broken or report < DEATHS
        if is_broken:
            # The rest of a broken pool's tasks have failed with it.
            wait(running)
            for future in [*running]:
                shard, report = running.pop(future), result_or_deaths(future)
                if isinstance(report, ShardReport):
                    yield shard, report
                else:
                    self._suspects.append((shard, report))
            self._pool.reopen()

    def _run_alone(self, shard: Shard, deaths: int) -> ShardReport:
        """Run a shard while nothing else runs; cut it where it costs too many workers."""
        most = DEATHS if not shard.is_piece else 1
        while deaths < most:
            report = result_or_deaths(submit(self._pool.executor, self._run_shard, shard))
            if isinstance(report, ShardReport):
                return report
            deaths += report
            if report < DEATHS:
                self._pool.reopen()
        if len(shard.items) == 1:
            return _culprit(shard)
        total = NOTHING
        for piece in shard.halves():
            total += self._run_alone(piece, 0)
        return msgspec.structs.replace(total, shards=1)


def _culprit(shard: Shard) -> ShardReport:
    (item,) = shard.items
    message = "Every worker that rendered it died: most often the system ran out of memory. Lower limits.input_pixels."
    error = PictureError(item.key, WORKER_DIED, message)
    return ShardReport(pictures=1, failed=1, causes={WORKER_DIED: 1}, errors=(error,))
