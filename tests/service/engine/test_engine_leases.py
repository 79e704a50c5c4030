"""One machine of a fleet makes a result while the others wait; a lease that is lost costs a little time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from engine_bench import KEY, ask, job

from s3img.errors import AccessDenied, ImageError
from s3img.pictures.result_names import RESULTS
from s3img.service.engine import result_stores
from s3img.service.engine.result_leases import LEASES, ResultLeases

if TYPE_CHECKING:
    from engine_bench import Bench

    from s3img.service.engine import Engine, SourceFacts


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the folder however busy the machine is."""
    monkeypatch.setattr(result_stores, "PATIENCE", 60.0)


def machine(bench: Bench, name: str, seconds: float = 60) -> Engine:
    return bench.engine(target=bench.target, cache_folder=bench.folder / name, lease_seconds=seconds)


def leases(bench: Bench) -> list[str]:
    return [info.key for info in bench.target.list(LEASES)]


def test_one_machine_makes_what_all_are_asked_for(bench: Bench) -> None:
    machines = [machine(bench, name) for name in "abc"]
    jobs = [job(f"w-{width},f-webp") for width in (20, 30, 40, 50)]
    with ThreadPoolExecutor(12) as pool:
        asked = [(pool.submit(ask, one, what), str(what)) for what in jobs for one in machines]
        made = [name for future, name in asked if future.result().origin == "render"]
    assert sorted(made) == sorted(map(str, jobs))
    for one in machines:
        one.close()
    assert leases(bench) == []
    assert len([*bench.target.list(RESULTS)]) == 4


def test_lease_of_a_machine_that_died_is_taken_over(bench: Bench) -> None:
    """It is known by its age: nobody waits."""
    other = ResultLeases(bench.target, 3_600)
    engine = machine(bench, "a", seconds=3_600)
    first = ask(engine)
    engine.close()
    identity = next(bench.target.list(RESULTS)).key.rpartition("/")[2]
    bench.target.delete([info.key for info in bench.target.list(RESULTS)])
    assert other.take(identity)
    path = bench.folder / "target" / LEASES / identity
    os.utime(path, (path.stat().st_atime - 4_000, path.stat().st_mtime - 4_000))
    late = machine(bench, "b", seconds=3_600)
    second = ask(late, seconds=40)
    late.close()
    assert (second.origin, second.body) == ("render", first.body)
    assert leases(bench) == []


@pytest.mark.slow
def test_machine_that_takes_too_long_is_not_waited_for(bench: Bench) -> None:
    engine = machine(bench, "a")
    ask(engine)
    engine.close()
    identity = next(bench.target.list(RESULTS)).key.rpartition("/")[2]
    bench.target.delete([info.key for info in bench.target.list(RESULTS)])
    assert ResultLeases(bench.target, 60).take(identity)
    late = machine(bench, "b", seconds=0.2)
    assert ask(late).origin == "render"


def test_picture_that_can_not_be_rendered_gives_its_lease_back(bench: Bench) -> None:
    bench.source.put(KEY, b"\xff\xd8\xff\xe0 no picture", media_type="image/jpeg")
    engine = machine(bench, "a")
    with pytest.raises(ImageError):
        ask(engine)
    engine.close()
    assert leases(bench) == []


def test_store_that_refuses_leases_costs_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put = bench.target.put

    def refuse(key: str, *arguments: Any, **keywords: Any) -> None:
        if key.startswith(LEASES):
            raise AccessDenied("no", key=key)
        put(key, *arguments, **keywords)

    monkeypatch.setattr(bench.target, "put", refuse)
    engine = machine(bench, "a")
    assert ask(engine).origin == "render"
    engine.close()
    assert len([*bench.target.list(RESULTS)]) == 1


def test_copy_that_is_current_takes_no_lease(bench: Bench) -> None:
    def is_current(_: SourceFacts, __: str) -> bool:
        return True

    assert ask(machine(bench, "a"), inspect=is_current).unchanged
    assert bench.target.requests["put"] == 0


def test_without_leases_nothing_is_asked_for_them(bench: Bench) -> None:
    engine = machine(bench, "a", seconds=0)
    ask(engine)
    engine.close()
    assert bench.target.requests == {"get": 1, "put": 1}
    assert bench.source.requests["head"] == 0


def test_lease_that_is_over_is_left_to_who_has_it_now(bench: Bench) -> None:
    mine = ResultLeases(bench.target, 0.0)
    assert mine.take("ab")
    mine.release("ab")
    assert leases(bench) == [f"{LEASES}ab"]
    assert not ResultLeases(bench.target, 60).take("ab")
