"""A window of shards on an executor whose workers may die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import TYPE_CHECKING, Any

import pytest

from s3img.bulk.bulk_run import WORKER_DIED, ShardScheduler
from s3img.bulk.shard_report import ShardReport
from s3img.bulk.shards import BulkJob, Shard, ShardItem
from s3img.errors import BucketError, ConfigError
from s3img.transfer.executors import OpenExecutor, open_executor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

JOB = BulkJob("r", "bucket", b"{}", "e")


def shard(*names: str) -> Shard:
    return Shard(JOB, tuple(ShardItem(name, "e", 1) for name in names))


def count(shard: Shard) -> ShardReport:
    return ShardReport(pictures=len(shard.items), rendered=len(shard.items))


def die_of_poison(shard: Shard) -> ShardReport:
    """The task of a real process, which a picture named poison ends."""
    if any("poison" in item.key for item in shard.items):
        os.kill(os.getpid(), signal.SIGKILL)
    return count(shard)


class Fragile(Executor):
    """Run a task at once, and break for good when it finds a picture named poison, as a pool of processes does."""

    def __init__(self, deaths: list[tuple[str, ...]]) -> None:
        self.deaths = deaths
        self.is_broken = False

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        future: Future[Any] = Future()
        names = tuple(item.key for item in arguments[0].items)
        if self.is_broken:
            future.set_exception(BrokenExecutor("a worker died before"))
        elif any("poison" in name for name in names):
            self.is_broken = True
            self.deaths.append(names)
            future.set_exception(BrokenExecutor("a worker died"))
        else:
            future.set_result(fn(*arguments, **keywords))
        return future


def totals(found: Iterator[tuple[Shard, ShardReport]]) -> dict[str, ShardReport]:
    return {shard.items[0].key: report for shard, report in found}


def test_few_shards_are_under_way_whatever_their_number() -> None:
    drawn = 0

    def shards() -> Iterator[Shard]:
        nonlocal drawn
        for number in range(200):
            drawn += 1
            yield shard(f"{number}.jpg")

    with open_executor("threads", workers=2) as pool:
        for done, _ in enumerate(ShardScheduler(pool, count).run(shards()), 1):
            assert drawn - done < 2 * 5
    assert drawn == 200


def test_picture_that_kills_workers_is_named_and_the_others_are_done() -> None:
    deaths: list[tuple[str, ...]] = []
    pool = OpenExecutor(lambda: Fragile(deaths), workers=2)
    shards = [shard("a.jpg"), shard("b.jpg", "c.jpg", "poison.jpg", "d.jpg", "e.jpg"), shard("f.jpg")]
    found = totals(ShardScheduler(pool, count).run(shards))
    assert found.keys() == {"a.jpg", "b.jpg", "f.jpg"}
    cut = found["b.jpg"]
    assert (cut.shards, cut.pictures, cut.rendered, cut.failed) == (1, 5, 4, 1)
    assert [(error.key, error.code) for error in cut.errors] == [("poison.jpg", WORKER_DIED)]
    assert [names for names in deaths if len(names) == 5] == [("b.jpg", "c.jpg", "poison.jpg", "d.jpg", "e.jpg")] * 3
    assert found["a.jpg"].failed == found["f.jpg"].failed == 0


def test_worker_that_died_for_another_reason_costs_nothing() -> None:
    """A shard that was under way beside the culprit is done as a whole."""
    deaths: list[tuple[str, ...]] = []
    pool = OpenExecutor(lambda: Fragile(deaths), workers=2)
    found = totals(ShardScheduler(pool, count).run([shard("poison.jpg"), shard("b.jpg", "c.jpg")]))
    assert found["b.jpg"] == count(shard("b.jpg", "c.jpg"))
    assert found["poison.jpg"].failed == 1


@pytest.mark.nightly
def test_real_process_that_dies_is_replaced() -> None:
    with open_executor("processes", workers=2) as pool:
        found = totals(ShardScheduler(pool, die_of_poison).run([shard("a.jpg"), shard("poison.jpg", "b.jpg")]))
    assert (found["a.jpg"].rendered, found["poison.jpg"].rendered, found["poison.jpg"].failed) == (1, 1, 1)


PROGRAM = """
import os, time
from s3img.transfer.executors import open_executor
if __name__ == "__main__":
    pool = open_executor("processes", workers=1)
    print(pool.executor.submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""


@pytest.mark.nightly
def test_workers_end_with_a_program_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with subprocess.Popen([sys.executable, str(tmp_path / "program.py")], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert int(program.stdout.readline())
        program.kill()
        # Ends when nobody has the pipe any more: the worker has inherited it.
        assert program.stdout.read() == b""


class Cancelling(Fragile):
    """Give up every task, as a client does whose scheduler has ended."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_scheduler_that_ends_is_an_error_that_says_how_to_go_on() -> None:
    pool = OpenExecutor(lambda: Cancelling([]), workers=1)
    with pytest.raises(BucketError, match="Start the same command again"):
        totals(ShardScheduler(pool, count).run([shard("a.jpg")]))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("fibers", "'fibers' is unknown"),
        ("no.such.module:run", "can't be imported"),
        ("concurrent.futures:Nothing", "can't be imported"),
        ("builtins:dict", "returns dict"),
    ],
)
def test_executor_that_can_not_be_had_is_a_setting_that_is_wrong(name: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        open_executor(name)


def test_executor_of_a_function_is_used() -> None:
    with open_executor("concurrent.futures:ThreadPoolExecutor", workers=2) as pool:
        assert [*ShardScheduler(pool, count).run([shard("a.jpg")])] == [(shard("a.jpg"), count(shard("a.jpg")))]
