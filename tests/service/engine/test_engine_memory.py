"""``limits.memory``: sources wait for room in memory, and are refused where none comes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from engine_bench import ask, job
from sites import photo

from s3img.errors import Busy, ImageTooLarge
from s3img.imaging import probe
from s3img.imaging.memory_estimate import decoding_bytes
from s3img.limits import Limits
from s3img.service.engine import Budget
from s3img.service.engine.concurrency import MemoryBudget

if TYPE_CHECKING:
    from engine_bench import Bench

PICTURE = photo(80, 60)
COST = decoding_bytes(probe(PICTURE), len(PICTURE), job().transform)


def test_room_is_waited_for() -> None:
    memory = MemoryBudget(100)
    give_back = memory.take(60, Budget.of(20))
    taken = threading.Event()
    thread = threading.Thread(target=lambda: (memory.take(60, Budget.of(20)), taken.set()))
    thread.start()
    assert not taken.wait(0.05)
    memory.take(40, Budget.of(20))  # what fits does not wait
    give_back()
    assert taken.wait(10)
    thread.join(10)


def test_room_is_given_back_once() -> None:
    memory = MemoryBudget(100)
    give_back = memory.take(60, Budget.of(20))
    give_back()
    give_back()
    memory.take(100, Budget.of(20))
    with pytest.raises(Busy) as caught:
        memory.take(1, Budget.of(0.02))
    assert caught.value.status == 503


@pytest.mark.slow
def test_picture_waits_and_is_refused_while_others_have_the_memory(bench: Bench) -> None:
    engine = bench.engine(limits=Limits(memory=COST))
    give_back = engine._maker.memory.take(COST, Budget.of(20))
    with pytest.raises(Busy, match=r"limits\.memory"):
        ask(engine, seconds=0.5)
    give_back()
    assert ask(engine).body


def test_memory_comes_back_after_each_picture(bench: Bench) -> None:
    engine = bench.engine(limits=Limits(memory=COST), renders=4)
    errors: list[Exception] = []

    def render(width: int) -> None:
        try:
            ask(engine, job(f"w-{width},f-webp"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=render, args=(width,)) for width in range(30, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    engine._maker.memory.take(COST, Budget.of(20))


def test_picture_that_never_fits_is_too_large(bench: Bench) -> None:
    with pytest.raises(ImageTooLarge) as caught:
        ask(bench.engine(limits=Limits(memory=COST - 1)))
    assert (caught.value.status, caught.value.limit) == (413, "memory")


def test_damaged_picture_gives_its_memory_back(bench: Bench) -> None:
    bench.source.put("a/cat.jpg", PICTURE[: len(PICTURE) // 2], media_type="image/jpeg")
    engine = bench.engine(limits=Limits(memory=2 * COST))
    for width in (30, 31, 32):
        with pytest.raises(Exception, match="JPEG"):
            ask(engine, job(f"w-{width},f-webp"))
    engine._maker.memory.take(2 * COST, Budget.of(20))
