"""In threads, encoding has places of its own: what waits there holds up neither decoding nor what is encoded quickly."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from engine_bench import KEY, ask, job
from sites import photo

from s3img.errors import Busy, DeadlineExceeded, ImageError
from s3img.imaging import smallest
from s3img.service.engine import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine_bench import Bench
    from PIL import Image

    from s3img.imaging.encode import Encoding
    from s3img.service.engine import Engine


class Held:
    """Hold up the encoding of one format, as many large pictures do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.format = "avif"
        self.go = threading.Event()
        self.under_way = self.most = 0
        self._lock = threading.Lock()
        self._encode = smallest.encode
        monkeypatch.setattr(smallest, "encode", self)

    def __call__(self, picture: Image.Image, encoding: Encoding) -> bytes:
        if encoding.format != self.format:
            return self._encode(picture, encoding)
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        self.go.wait(30)
        with self._lock:
            self.under_way -= 1
        return self._encode(picture, encoding)


@pytest.fixture(autouse=True)
def _in_threads(bench: Bench) -> None:
    bench.isolate = False


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


@pytest.fixture
def pool(held: Held) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(12) as pool:
        yield pool
        held.go.set()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def waiting(engine: Engine, count: int, *, avif: bool = True) -> Callable[[], bool]:
    """Tell when so many are encoded or wait for it."""
    return lambda: engine._encoders.pools[avif].count() == count


def test_slow_format_holds_up_no_other(bench: Bench, held: Held, pool: ThreadPoolExecutor) -> None:
    engine = bench.engine(fetches=1, renders=1, encodes=1)
    slow = [pool.submit(ask, engine, job(f"w-{width},f-avif")) for width in range(10, 16)]
    until(waiting(engine, 6))
    assert ask(engine, job("w-20,f-webp")).width == 20
    assert not any(future.done() for future in slow)
    held.go.set()
    assert [future.result(20).width for future in slow] == [*range(10, 16)]


def test_encoding_holds_no_place_for_decoding(bench: Bench, held: Held, pool: ThreadPoolExecutor) -> None:
    engine = bench.engine(fetches=1, renders=1, encodes=1)
    held.format = "webp"
    for width in (10, 11, 12):
        pool.submit(ask, engine, job(f"w-{width},f-webp"))
    until(waiting(engine, 3, avif=False))
    assert engine._rendering.count() == 0
    engine.ready(Budget.of(20))


def test_encodings_at_a_time_are_bounded(bench: Bench, held: Held, pool: ThreadPoolExecutor) -> None:
    engine = bench.engine(encodes=2)
    slow = [pool.submit(ask, engine, job(f"w-{width},f-avif")) for width in range(10, 16)]
    until(lambda: waiting(engine, 6)() and held.under_way == 2)
    held.go.set()
    assert len([future.result(20) for future in slow]) == 6
    assert held.most == 2


@pytest.mark.slow
def test_deadline_holds_while_encoding_is_waited_for(bench: Bench, held: Held, pool: ThreadPoolExecutor) -> None:
    engine = bench.engine(encodes=1)
    pool.submit(ask, engine, job("w-10,f-avif"))
    until(lambda: held.under_way == 1)
    with pytest.raises(DeadlineExceeded, match="encode"):
        ask(engine, job("w-11,f-avif"), seconds=0.4)
    until(waiting(engine, 1))  # it waits no more


def test_full_queue_for_encoding_is_busy(bench: Bench, held: Held, pool: ThreadPoolExecutor) -> None:
    engine = bench.engine(encodes=1, queue=1, retry_after=7)
    for width in (10, 11):
        pool.submit(ask, engine, job(f"w-{width},f-avif"))
        until(waiting(engine, width - 9))
    with pytest.raises(Busy) as caught:
        ask(engine, job("w-12,f-avif"))
    assert caught.value.retry_after == 7


@pytest.mark.slow
def test_picture_too_large_to_wait_keeps_its_place(bench: Bench, held: Held, pool: ThreadPoolExecutor) -> None:
    engine = bench.engine(renders=1, encodes=1, drawn_bytes=4 * 20 * 15 - 1)
    large = pool.submit(ask, engine, job("w-20,h-15,f-avif"))
    until(lambda: held.under_way == 1)
    assert engine._rendering.count() == 1
    with pytest.raises(DeadlineExceeded, match="render"):
        ask(engine, job("w-10,f-webp"), seconds=0.3)
    held.go.set()
    assert large.result(20).width == 20


def test_room_is_given_back_whatever_happens(bench: Bench, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = bench.engine(encodes=1, drawn_bytes=50_000)
    held.go.set()
    ask(engine, job("w-20,f-avif"))

    def fail(*_: Any) -> None:
        raise ImageError("bad")

    monkeypatch.setattr(smallest, "encode", fail)
    with pytest.raises(ImageError, match="bad"):
        ask(engine, job("w-21,f-avif"))
    until(lambda: engine._encoders._waiting._left == 50_000)


def test_result_is_no_larger_than_its_source(bench: Bench) -> None:
    source = photo(80, 60)
    bench.source.put(KEY, source, media_type="image/jpeg")
    assert ask(bench.engine(), job("q-100,f-jpg")).size <= len(source)
