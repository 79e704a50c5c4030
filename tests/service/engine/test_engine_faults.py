"""Sources and targets that fail, over the network: what the client gets, and what the next one gets."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from engine_bench import KEY, ask, job
from fault_proxy import FaultProxy, fault_proxy
from sites import photo

from s3img.buckets import Bucket, open_bucket
from s3img.errors import (
    AccessDenied,
    BucketError,
    Busy,
    ClientGone,
    DeadlineExceeded,
    ObjectNotFound,
    StoreBusy,
    Unreachable,
)
from s3img.service.engine import Budget, Engine, EngineOptions, RenderJob, SourceRef, result_stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine_bench import Bench
    from s3_servers import S3Server, TestBucket


@pytest.fixture
def store(seaweedfs_bucket: TestBucket) -> TestBucket:
    seaweedfs_bucket.bucket.put(KEY, photo(80, 60), media_type="image/jpeg")
    return seaweedfs_bucket


@pytest.fixture
def proxy(store: TestBucket) -> Iterator[FaultProxy]:
    with fault_proxy(store.server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def faulty(store: TestBucket, proxy: FaultProxy) -> Bucket:
    """Return the store's bucket behind the proxy; it waits longer than the engine does."""
    options = store.server.options(endpoint_url=proxy.endpoint_url, attempts=1, read_timeout=20.0, use_obstore=False)
    return open_bucket(store.address, options)


def always(fault: str) -> Iterator[str]:
    return itertools.repeat(fault)


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("internal error", BucketError, 502),
        ("slow down", StoreBusy, 503),
        ("answer is cut", BucketError, 502),
        ("answer is lost", Unreachable, 504),
        ("silence", DeadlineExceeded, 504),
        ("garbage", Unreachable, 504),
        ("denied", AccessDenied, 502),
    ],
)
def test_failing_source_is_told_and_not_remembered(
    bench: Bench, faulty: Bucket, proxy: FaultProxy, fault: str, error: type[Exception], status: int
) -> None:
    engine = bench.engine(source=faulty, missing=0)
    proxy.faults = always(fault)
    with pytest.raises(error) as caught:
        ask(engine, seconds=2 if fault == "silence" else 20)
    assert caught.value.status == status  # type: ignore[attr-defined]
    proxy.faults = always("")
    assert ask(engine).width == 40


def test_source_that_breaks_off_once_is_read_again(bench: Bench, faulty: Bucket, proxy: FaultProxy) -> None:
    proxy.faults = itertools.chain(["answer is cut"], always(""))
    assert ask(bench.engine(source=faulty)).width == 40
    assert proxy.injected == 1


def test_slow_source_is_given_up_at_the_deadline(bench: Bench, faulty: Bucket, proxy: FaultProxy) -> None:
    proxy.faults = always("silence")
    with pytest.raises(DeadlineExceeded):  # at the end of its silence the proxy resets the connection
        ask(bench.engine(source=faulty), seconds=0.5)


def test_stalled_source_takes_no_place_for_rendering(store: TestBucket, faulty: Bucket, proxy: FaultProxy) -> None:
    origins = {"slow": faulty, "quick": store.bucket}
    engine = Engine(origins.__getitem__, EngineOptions(renders=1))
    proxy.faults = always("silence")
    transform = job().transform
    with ThreadPoolExecutor(4) as pool:
        slow = [
            pool.submit(engine.result, RenderJob(SourceRef("slow", f"{number}.jpg"), transform), Budget.of(1.5))
            for number in range(4)
        ]
        while proxy.injected < 4:
            time.sleep(0.01)
        assert engine.result(RenderJob(SourceRef("quick", KEY), transform), Budget.of(20)).width == 40
        assert not any(future.done() and not future.exception() for future in slow)
    engine.close()


def test_source_that_vanishes_is_missing(bench: Bench, store: TestBucket) -> None:
    engine = bench.engine(source=store.bucket)
    ask(engine)
    store.bucket.delete([KEY])
    with pytest.raises(ObjectNotFound):
        ask(engine, job("w-33"))
    with pytest.raises(ObjectNotFound):
        ask(engine)


@pytest.mark.parametrize("fault", ["internal error", "answer is lost", "silence"])
def test_result_is_served_while_its_source_is_down(bench: Bench, faulty: Bucket, proxy: FaultProxy, fault: str) -> None:
    engine = bench.engine(source=faulty, fresh=60, stale_if_error=600, missing=10)
    first = ask(engine)
    proxy.faults = always(fault)
    bench.now += 61
    assert [ask(engine, seconds=2).body for _ in range(3)] == [first.body] * 3
    assert proxy.injected == 1  # asked once, and then left alone for a while
    bench.now += 601
    with pytest.raises((BucketError, DeadlineExceeded)):
        ask(engine, seconds=1)


def test_result_is_not_served_to_those_the_source_denies(bench: Bench, faulty: Bucket, proxy: FaultProxy) -> None:
    engine = bench.engine(source=faulty, fresh=60)
    ask(engine)
    proxy.faults = always("denied")
    bench.now += 61
    with pytest.raises(AccessDenied):
        ask(engine)


@pytest.mark.parametrize("fault", ["denied", "internal error", "answer is lost", "silence"])
def test_failing_target_costs_a_warning_and_no_answer(
    bench: Bench, faulty: Bucket, proxy: FaultProxy, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    proxy.faults = always(fault)
    engine = bench.engine(target=faulty)
    with caplog.at_level(logging.WARNING, "s3img.service"):
        for width in (20, 21, 22):
            assert ask(engine, job(f"w-{width}"), seconds=4).origin == "render"
        engine.close()
    assert 1 <= len(caplog.records) <= 2  # reading and writing


def test_stalled_target_is_waited_for_once(bench: Bench, faulty: Bucket, proxy: FaultProxy) -> None:
    proxy.faults = always("silence")
    engine = bench.engine(target=faulty, stores=1)
    steps = [dict(ask(engine, job(f"w-{width}"), seconds=20).timings) for width in range(10, 14)]
    assert ["target-queue" in step for step in steps] == [True, False, False, False]


def test_target_that_takes_no_writes_still_gives_results(
    bench: Bench,
    store: TestBucket,
    seaweedfs: S3Server,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(result_stores, "PATIENCE", 60.0)  # on a busy machine it would render without waiting
    engine = bench.engine(target=store.bucket)
    body = ask(engine).body
    engine.close()
    reader = open_bucket(store.address, seaweedfs.options(anonymous=True, access_key=None))
    other = bench.engine(target=reader, cache_folder=bench.folder / "other")
    with caplog.at_level(logging.WARNING, "s3img.service"):
        assert (ask(other).origin, ask(other).body) == ("target", body)
        assert ask(other, job("w-21")).origin == "render"
        other.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_warnings_hold_no_secret(
    bench: Bench, faulty: Bucket, proxy: FaultProxy, store: TestBucket, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.faults = always("denied")
    engine = bench.engine(target=faulty)
    ask(engine)
    engine.close()
    assert caplog.records
    assert not any(secret in caplog.text for secret in (store.server.access_key, store.server.secret_key))


def test_client_that_has_left_ends_the_work(bench: Bench) -> None:
    engine = bench.engine(target=bench.target)
    with pytest.raises(ClientGone):
        engine.result(job(), Budget.of(20, lambda: bench.asked() > 0))  # leaves while the source is fetched
    engine.close()
    assert bench.entries() == []


def test_client_that_leaves_does_not_end_the_work_for_others(bench: Bench) -> None:
    engine = bench.engine()
    waiting, left = threading.Event(), threading.Event()
    plain = bench.source.open

    def slowly(key: str, **more: Any) -> Any:
        waiting.set()
        left.wait(20)
        return plain(key, **more)

    bench.source.open = slowly  # type: ignore[method-assign] # a folder is never slow
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(engine.result, job(), Budget.of(20, left.is_set))
        waiting.wait(20)
        follower = pool.submit(ask, engine)
        (call,) = engine._calls._calls.values()
        while not call.followers:
            time.sleep(0.001)
        left.set()
        assert follower.result(20).width == 40
        assert leader.result(20).width == 40
    assert bench.asked() == 1


def test_full_queue_is_busy(bench: Bench) -> None:
    engine = bench.engine(fetches=1, queue=1, retry_after=7)
    go = threading.Event()
    plain = bench.source.open

    def slowly(key: str, **more: Any) -> Any:
        go.wait(20)
        return plain(key, **more)

    bench.source.open = slowly  # type: ignore[method-assign] # a folder is never slow
    with ThreadPoolExecutor(2) as pool:
        taken = [pool.submit(ask, engine, job(f"w-{width}")) for width in (10, 11)]
        while engine._fetching.count() < 2:
            time.sleep(0.001)
        with pytest.raises(Busy) as caught:
            ask(engine, job("w-12"))
        go.set()
        assert sorted(future.result(20).width for future in taken) == [10, 11]
    assert caught.value.retry_after == 7
    assert ask(engine, job("w-12")).width == 12


@pytest.mark.slow
def test_deadline_holds_in_the_queue(bench: Bench) -> None:
    bench.isolate = False
    engine = bench.engine(renders=1)
    go = threading.Event()
    busy = threading.Thread(target=engine._rendering.run, args=(go.wait, Budget.of(30), _Nobody()))
    busy.start()
    with pytest.raises(DeadlineExceeded, match="render"):
        ask(engine, seconds=0.3)
    go.set()
    busy.join()
    assert ask(engine).width == 40


class _Nobody:
    def add(self, step: str, seconds: float) -> None:
        return


@pytest.mark.slow
def test_render_is_ended_by_the_deadline(bench: Bench) -> None:
    bench.source.put(KEY, photo(2000, 2000, format="PNG"), media_type="image/png")
    with pytest.raises(DeadlineExceeded):
        ask(bench.engine(), job("w-1990,bl-40:w-1980,bl-40:w-1970,bl-40,f-avif"), seconds=0.15)


def test_original_that_breaks_off_is_an_error_after_its_first_bytes(
    bench: Bench, faulty: Bucket, proxy: FaultProxy, store: TestBucket
) -> None:
    store.bucket.put("long.bin", bytes(3_000_000), media_type="application/octet-stream")
    proxy.faults = always("answer is cut")
    original = bench.engine(source=faulty).original(SourceRef("pictures", "long.bin"), Budget.of(20))
    with pytest.raises(BucketError):
        list(original.chunks)


def test_original_and_its_ranges_are_streamed(bench: Bench, store: TestBucket, tmp_path: Path) -> None:
    data = photo(900, 700)
    store.bucket.put(KEY, data, media_type="image/jpeg")
    engine, source = bench.engine(source=store.bucket), SourceRef("pictures", KEY)
    whole = engine.original(source, Budget.of(20))
    pieces = list(whole.chunks)
    assert (b"".join(pieces), whole.facts.media_type, whole.start, whole.stop) == (data, "image/jpeg", 0, len(data))
    assert max(map(len, pieces)) <= 1 << 16
    part = engine.original(source, Budget.of(20), start=100, stop=70_100)
    assert (b"".join(part.chunks), part.start, part.stop) == (data[100:70_100], 100, 70_100)
    assert part.facts == whole.facts
    early = engine.original(source, Budget.of(20))
    next(early.chunks)
    early.close()


def test_missing_original_is_asked_for_once_in_a_while(bench: Bench) -> None:
    engine = bench.engine()
    for _ in range(2):
        with pytest.raises(ObjectNotFound):
            engine.original(SourceRef("pictures", "none"), Budget.of(20))
    assert bench.asked() == 1


def test_sources_in_memory_are_bounded_while_rendering_is_slow(bench: Bench) -> None:
    bench.isolate = False
    engine = bench.engine(fetches=2, renders=1, queue=50)
    go = threading.Event()
    busy = threading.Thread(target=engine._rendering.run, args=(go.wait, Budget.of(60), _Nobody()))
    busy.start()
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, engine, job(f"w-{width}"), seconds=60) for width in range(10, 22)]
        while engine._maker.in_memory._waiting < 9:
            time.sleep(0.001)
        assert bench.asked() <= 3
        go.set()
        assert sorted(future.result(60).width for future in asked) == [*range(10, 22)]
    busy.join()
