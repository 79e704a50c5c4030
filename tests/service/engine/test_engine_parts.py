"""Parts of the engine by themselves: shared calls, locks between processes, worker pools, names."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from engine_bench import KEY, ask, job
from filelock import FileLock
from sites import photo

from s3img.errors import DeadlineExceeded, ImageError, S3ImgError
from s3img.pictures.result_names import RenderRecipe
from s3img.service.engine import Budget, SourceRef, concurrency
from s3img.service.engine.concurrency import ProcessLocks, QueuedPool, SingleFlight
from s3img.service.engine.metrics import Stopwatch
from s3img.service.engine.result_stores import MemoryCache, RecentValues
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine_bench import Bench

QUALITY = {"jpeg": 80, "webp": 82, "avif": 67}


def together(calls: SingleFlight[Any], work: Callable[[Budget], Any], budgets: list[Budget]) -> list[Any]:
    """Run the work for all budgets together: the first leads, and begins when the others wait."""
    leads = threading.Event()

    def led(budget: Budget) -> Any:
        leads.set()
        while sum(call.followers for call in calls._calls.values()) < len(budgets) - 1:
            time.sleep(0.001)
        return work(budget)

    def run(budget: Budget) -> Any:
        try:
            return calls.run("name", led if not leads.is_set() else work, budget)
        except S3ImgError as error:
            return error

    with ThreadPoolExecutor(len(budgets)) as pool:
        first = pool.submit(run, budgets[0])
        leads.wait(20)
        others = [pool.submit(run, budget) for budget in budgets[1:]]
        return [future.result(30) for future in (first, *others)]


def test_shared_call_shares_what_its_work_raises() -> None:
    calls = []

    def work(_: Budget) -> None:
        calls.append(1)
        raise ImageError("bad")

    found = together(SingleFlight(), work, [Budget.of(20)] * 3)
    assert {error.message for error in found} == {"bad"}
    assert len(calls) == 1


@pytest.mark.slow
def test_shared_call_goes_on_when_its_leader_has_no_time_left() -> None:
    def work(budget: Budget) -> str:
        while budget.left < 10:
            budget.check("work")
        return "done"

    late, done = together(SingleFlight(), work, [Budget.of(0.3), Budget.of(20)])
    assert isinstance(late, DeadlineExceeded)
    assert done == "done"


@pytest.mark.slow
def test_shared_call_lets_a_follower_leave_at_its_own_deadline() -> None:
    def work(_: Budget) -> str:
        time.sleep(0.6)
        return "done"

    done, late = together(SingleFlight(), work, [Budget.of(20), Budget.of(0.2)])
    assert done == "done"
    assert isinstance(late, DeadlineExceeded)


def test_lock_of_another_is_waited_for_half_the_budget_at_most(tmp_path: Path) -> None:
    locks = ProcessLocks(tmp_path, seconds=1000)
    with FileLock(tmp_path / "abc.lock"):
        budget = Budget.of(0.4)
        with locks.acquire("abcdef", budget):
            assert budget.left > 0


def test_lock_that_can_not_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with ProcessLocks(tmp_path / "file", seconds=1).acquire("abcdef", Budget.of(20)):
        pass


def test_pool_frees_its_worker_whatever_happens() -> None:
    pool = QueuedPool("work", workers=1, queue=0)
    for _ in range(3):
        with pytest.raises(ImageError):
            pool.run(_fail, Budget.of(20), Stopwatch())
    assert pool.run(lambda: 1, Budget.of(20), Stopwatch()) == 1
    pool.close()


def _fail() -> None:
    raise ImageError("bad")


@pytest.mark.slow
@pytest.mark.parametrize("isolate", [True, False])  # by default, it depends on whether processes could be started
@pytest.mark.parametrize("fails", ["probing", "decoding", "encoding", "encoding at once"])
def test_failed_request_keeps_nothing_in_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, isolate: bool, fails: str
) -> None:
    if fails.startswith("encoding"):
        monkeypatch.setattr(concurrency, "_encode", lambda _: _fail())
        isolate = False  # a process encodes what it decodes
    else:
        data = b"no image" if fails == "probing" else photo(300, 200)[:4000]
        bench.source.put(KEY, data, media_type="image/jpeg")
    bench.isolate = isolate
    engine = bench.engine()
    if fails == "encoding at once":
        monkeypatch.setattr(concurrency.ByteBudget, "take", lambda *_: False)
    gc.collect()
    gc.disable()
    try:
        try:
            ask(engine)
        except ImageError as error:
            left = weakref.ref(error)
        end = time.monotonic() + 20
        while left() is not None and time.monotonic() < end:
            time.sleep(0.01)  # the worker's thread lets go of it a moment later
        assert left() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("transform", "accept", "text"),
    [
        ("f-webp,w-300", None, "w-300,f-webp,q-82"),
        ("w-300,f-webp,q-82", None, "w-300,f-webp,q-82"),
        ("w-300", {"image/avif"}, "w-300\naccept=avif\nquality=[('avif', 67), ('jpeg', 80), ('webp', 82)]"),
        (
            "w-300",
            {"image/webp", "image/avif"},
            "w-300\naccept=avif,webp\nquality=[('avif', 67), ('jpeg', 80), ('webp', 82)]",
        ),
        ("w-300,q-50", {"image/webp"}, "w-300,q-50\naccept=webp\nquality=[('avif', 67), ('jpeg', 80), ('webp', 82)]"),
        ("w-300,f-png", {"image/webp"}, "w-300,f-png"),
        ("w-300", set(), "w-300\naccept=\nquality=[('avif', 67), ('jpeg', 80), ('webp', 82)]"),
        ("w-300", None, "w-300\naccept=any\nquality=[('avif', 67), ('jpeg', 80), ('webp', 82)]"),
    ],
)
def test_recipe_settles_what_it_can(transform: str, accept: Any, text: str) -> None:
    from s3img.transform.geometry import NO_HINTS

    taken = None if accept is None else frozenset(accept)
    assert RenderRecipe.of(Transform.parse(transform), taken, NO_HINTS, QUALITY).text == text


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        ("w-300,f-avif", "w-300,f-avif,q-67,cs-444"),
        ("w-300,f-jpg,cs-420", "w-300,f-jpeg,q-80,cs-420"),
        ("w-300,f-webp", "w-300,f-webp,q-82"),
    ],
)
def test_recipe_has_the_subsampling_of_the_settings(transform: str, text: str) -> None:
    from s3img.transform.geometry import NO_HINTS

    assert RenderRecipe.of(Transform.parse(transform), None, NO_HINTS, QUALITY, "4:4:4").text == text


def test_memory_keeps_what_was_used_last() -> None:
    from s3img.service.engine.disk_cache import CachedResult, ResultHeader

    cache = MemoryCache(1000)
    for number in range(40):
        cache.put(str(number), CachedResult(ResultHeader("image/webp"), bytes(50), 50))
        cache.get("0")
    cache.put("large", CachedResult(ResultHeader("image/webp"), bytes(500), 500))
    assert [name for name in map(str, range(40)) if cache.get(name)] == ["0", *map(str, range(21, 40))]
    assert cache.get("large") is None


def test_recent_forgets_the_oldest() -> None:
    recent: RecentValues[int] = RecentValues(3)
    for number in range(5):
        recent.set(number, number)
    assert [recent.get(number) for number in range(5)] == [None, None, 2, 3, 4]


def test_clock_that_went_back_makes_facts_old(bench: Bench) -> None:
    engine = bench.engine()
    ask(engine)
    bench.now -= 1000
    assert ask(engine).origin == "disk"
    assert bench.asked("head") == 1


def test_damaged_record_of_a_source_is_none(bench: Bench) -> None:
    ask(bench.engine())
    (record,) = (bench.folder / "cache" / "results").rglob("*.source")
    record.write_bytes(b"damaged")
    assert bench.engine().facts(SourceRef("pictures", KEY), Budget.of(20)).size > 0
    assert ask(bench.engine(), job()).origin == "disk"
