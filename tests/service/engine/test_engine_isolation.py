"""Sources are decoded in processes that can be ended: what one of them does holds up no other request."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import hostile_tasks
import pytest
from engine_bench import KEY, ask, job
from sites import photo

from s3img.errors import Busy, ClientGone, DeadlineExceeded, ImageError, ImageTooLarge
from s3img.imaging.isolation import RENDER_PROCESSES
from s3img.limits import Limits
from s3img.service.engine import Budget, SourceRef, isolated_rendering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine_bench import Bench

    from s3img.imaging.isolation import WorkerProcess
    from s3img.service.engine import Engine, Result

SOURCE = SourceRef("pictures", KEY)


@pytest.fixture
def bench(bench: Bench) -> Iterator[Bench]:
    bench.isolate = True
    yield bench
    for engine in bench.engines:
        engine.close()


def derive(
    engine: Engine, make: Callable[[bytes], bytes], until: float | threading.Event = 20, name: str = ""
) -> Result:
    """Ask for what ``make`` makes, for some seconds or until the client leaves."""
    budget = Budget.of(until) if isinstance(until, int | float) else Budget.of(120, until.is_set)
    return engine.derived(SOURCE, name or make.__name__, make, budget, decodes=True)


def test_rendering_and_facts_come_from_another_process(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.service.engine.engine.draw_in_time", None)
    engine = bench.engine()
    result = ask(engine, job("w-40,f-webp"))
    assert (result.width, result.media_type, result.origin) == (40, "image/webp", "render")
    assert {"fetch", "render-queue", "render", "encode"} <= {name for name, _ in result.timings}
    assert derive(engine, hostile_tasks.echo).body == bench.source.get(KEY)


@pytest.mark.slow
def test_deadline_holds_inside_a_decoder(bench: Bench) -> None:
    with pytest.raises(DeadlineExceeded, match="render"):
        derive(bench.engine(), hostile_tasks.hang, until=0.3)


@pytest.mark.slow
def test_limit_of_seconds_holds_inside_a_decoder(bench: Bench) -> None:
    engine = bench.engine(limits=Limits(isolate=True, seconds=0.1))
    with pytest.raises(ImageTooLarge, match=r"limits\.seconds"):
        derive(engine, hostile_tasks.hang)


@pytest.mark.parametrize(("make", "error"), [(hostile_tasks.crash, ImageError), (hostile_tasks.be_killed, Busy)])
def test_end_of_a_process_is_one_request_s_error(
    bench: Bench, make: Callable[[bytes], bytes], error: type[Exception]
) -> None:
    engine = bench.engine()
    with pytest.raises(error):
        derive(engine, make)
    assert ask(engine).width == 40


@pytest.mark.slow
def test_four_bad_requests_hold_up_no_good_one(bench: Bench) -> None:
    """On two places: the good one is answered while all four still run."""
    engine = bench.engine(renders=2)
    ended = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        bad = [pool.submit(derive, engine, hostile_tasks.hang, ended, f"hang/{number}") for number in range(4)]
        while engine._isolated.count() < 4:
            time.sleep(0.001)
        assert ask(engine, seconds=60).width == 40
        assert not any(future.done() for future in bad)
        ended.set()
        for future in bad:
            with pytest.raises(ClientGone):
                future.result(60)


@pytest.mark.slow
def test_rendering_keeps_its_place_while_nobody_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    slowed: list[WorkerProcess] = []
    monkeypatch.setattr("s3img.imaging.isolation.WorkerProcess.slow_down", slowed.append)
    with pytest.raises(DeadlineExceeded):
        derive(bench.engine(renders=1), hostile_tasks.hang, until=0.6)
    assert not slowed


@pytest.mark.slow
@pytest.mark.parametrize(("is_slow", "expected"), [(True, 0), (False, 1)])
def test_slow_format_keeps_its_place_longer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, is_slow: bool, expected: int
) -> None:
    slowed: set[int] = set()
    monkeypatch.setattr("s3img.imaging.isolation.WorkerProcess.slow_down", lambda process: slowed.add(process.pid))
    monkeypatch.setattr(isolated_rendering, "PATIENCE", 0.0)
    monkeypatch.setattr(isolated_rendering, "SLOW", 0.0)
    monkeypatch.setattr(isolated_rendering, "OVERDUE", 1)
    engine = bench.engine(renders=1, encodes=1)

    def hang(name: str) -> Result:
        return engine.rendered(SOURCE, name, lambda: hostile_tasks.hang_as_drawing, Budget.of(1), is_slow=is_slow)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(hang, f"hang/{number}") for number in range(2)]:
            with pytest.raises(DeadlineExceeded):
                future.result(60)
    assert len(slowed) == expected


def test_no_more_wait_than_have_a_place_in_the_queue(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with more threads than these can always answer what is there."""
    engine = bench.engine(fetches=1, renders=1, encodes=1, queue=1, retry_after=7)
    there = ask(engine).body
    with ExitStack() as others:
        for _ in range(3):
            others.enter_context(engine._maker.making.acquire(Budget.of(20)))
        with pytest.raises(Busy, match="make a result") as caught:
            ask(engine, job("w-41,f-webp"))
        assert ask(engine).body == there
    assert caught.value.retry_after == 7
    assert ask(engine, job("w-41,f-webp")).width == 41


@pytest.mark.slow
def test_renderings_without_a_place_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_rendering, "OVERDUE", 1)
    engine = bench.engine(renders=1, queue=8)
    with ThreadPoolExecutor(3) as pool:
        bad = [pool.submit(derive, engine, hostile_tasks.hang, 1, f"hang/{number}") for number in range(3)]
        for future in bad:
            with pytest.raises(DeadlineExceeded):
                future.result(60)
    assert ask(engine).width == 40  # every place is given back


@pytest.mark.slow
def test_full_queue_is_busy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_rendering, "OVERDUE", 0)
    engine = bench.engine(renders=1, queue=1, retry_after=7)
    ended = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        for number in range(2):
            pool.submit(derive, engine, hostile_tasks.hang, ended, f"hang/{number}")
            while engine._isolated.count() <= number:
                time.sleep(0.001)
        while not engine._isolated._quick.count_waiting():
            time.sleep(0.001)
        with pytest.raises(Busy) as caught:
            engine.ready(Budget.of(1))
        ended.set()
    assert caught.value.retry_after == 7
    engine.ready(Budget.of(20))


def test_client_that_leaves_ends_the_process(bench: Bench) -> None:
    gone, engine = threading.Event(), bench.engine()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(derive, engine, hostile_tasks.hang, gone)
        while not engine._isolated.count():
            time.sleep(0.001)
        gone.set()
        with pytest.raises(ClientGone):
            waiting.result(30)


def test_slow_format_holds_up_no_other(bench: Bench) -> None:
    """What waits for AVIF takes no place of a source in memory."""
    engine = bench.engine(fetches=1, renders=1, encodes=1)
    with ThreadPoolExecutor(6) as pool, engine._isolated._slow.acquire(Budget.of(60)):
        for width in range(10, 16):
            pool.submit(ask, engine, job(f"w-{width},f-avif"), seconds=60)
        while engine._isolated._slow.count_waiting() < 6:
            time.sleep(0.001)
        assert derive(engine, hostile_tasks.echo).size == len(bench.source.get(KEY))


def test_closing_ends_idle_processes(bench: Bench) -> None:
    engine = bench.engine()
    ask(engine)
    assert RENDER_PROCESSES._idle
    engine.close()
    assert not RENDER_PROCESSES._idle


def test_large_photo_is_rendered_like_in_this_process(bench: Bench) -> None:
    bench.source.put(KEY, photo(900, 700), media_type="image/jpeg")
    there = ask(bench.engine(), job("w-300,f-jpg")).body
    bench.isolate = False
    assert ask(bench.engine(cache_folder=bench.folder / "other"), job("w-300,f-jpg")).body == there
