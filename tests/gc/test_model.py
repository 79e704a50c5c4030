"""Every order of the requests of builds and clean-ups: no build ever points at an object that is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from interleaving import START, Gate, SteppedBucket, Store, every_ending

from s3img import sync
from s3img.gc.build import look, lost
from s3img.gc.marks import Mark, read_marks, write_marks
from s3img.gc.plan import Rules
from s3img.gc.references import FOLDER, ReferenceReader, write_reference
from s3img.gc.run import collect
from s3img.sync import MARKER, Upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interleaving import Ending

    Actor = Callable[[Any], object]

KEY = "cat.jpg"
SITE = "https://site.example"
DAY = timedelta(days=1)
RULES = Rules(force=True)


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    (tmp_path / KEY).write_bytes(b"cat")
    return tmp_path / KEY


class Direct:
    """Write into a store before the actors begin."""

    def __init__(self, store: Store, age: timedelta = 40 * DAY) -> None:
        self.store = store
        self.age = age

    def put(self, key: str, source: bytes, **_: Any) -> None:
        self.store.put(key, source, MARKER, START - self.age)


def new() -> Store:
    """A bucket of another site, which keeps the clean-up from having nothing to go by."""
    store = Store()
    store.put("dog.jpg", b"dog", MARKER, START - 40 * DAY)
    write_reference(Direct(store), ["dog.jpg"], site="https://other.example", build="0")  # type: ignore[arg-type]
    return store


def unreferenced() -> Store:
    store = new()
    store.put(KEY, b"cat", MARKER, START - 40 * DAY)
    return store


def marked() -> Store:
    store = unreferenced()
    write_marks(Direct(store), {KEY: Mark(START - 20 * DAY, START - 40 * DAY)})  # type: ignore[arg-type]
    return store


def superseded() -> Store:
    """A reference of the site named the key, and a later one, longer ago than the history, did not."""
    store = marked()
    write_reference(Direct(store), [KEY], site=SITE, build="0")  # type: ignore[arg-type]
    write_reference(Direct(store, 35 * DAY), [], site=SITE, build="0")  # type: ignore[arg-type]
    return store


def build(cat: Path, number: int = 1) -> Actor:
    def act(bucket: Any) -> None:
        write_reference(bucket, [KEY], site=SITE, build=str(number))
        stock = look(bucket)
        put(bucket, cat, stock.present)
        if lost(bucket, stock.marked & {KEY}):
            put(bucket, cat, {})

    return act


def put(bucket: Any, cat: Path, present: dict[str, int]) -> None:
    plan = sync.plan([Upload(KEY, cat, 3, "image/jpeg")], present)
    assert not sync.run(plan, bucket, workers=1).failed


def clean_up(bucket: Any) -> None:
    assert not collect(bucket, rules=RULES, apply=True, workers=1, now=START).failed


def losses(endings: list[Ending]) -> list[Ending]:
    return [ending for ending in endings if KEY not in ending.store.objects]


@pytest.mark.parametrize("start", [new, unreferenced, marked, superseded])
def test_no_order_loses_an_object(start: Callable[[], Store], cat: Path) -> None:
    endings = list(every_ending(start, {"build": build(cat), "gc": clean_up}, joined=["delete"]))
    assert len(endings) > 1
    assert losses(endings) == []


def test_only_a_whole_build_between_two_requests_could_lose_one(cat: Path) -> None:
    """A store without conditional deletion leaves this much: the last look and the deletion are two requests."""
    lost_in = losses(list(every_ending(marked, {"build": build(cat), "gc": clean_up})))
    assert [[name for name, *_ in ending.trace] for ending in lost_in] == [["gc"] * 7 + ["build"] * 6 + ["gc"] * 2]
    assert [ending.trace[6][1:] for ending in lost_in] == [("list", FOLDER)]
    assert [ending.trace[13][1:] for ending in lost_in] == [("delete", KEY)]


@pytest.mark.parametrize("start", [unreferenced, marked, superseded])
def test_an_object_in_use_outlives_later_clean_ups(start: Callable[[], Store], cat: Path) -> None:
    for ending in every_ending(start, {"build": build(cat), "gc": clean_up}, joined=["delete"]):
        for days in (20, 40, 400):
            later = SteppedBucket(ending.store, OpenGate(), frozenset())
            collect(later, rules=RULES, apply=True, workers=1, now=START + days * DAY)  # type: ignore[arg-type]
        assert KEY in ending.store.objects


class OpenGate(Gate):
    """Let everything pass."""

    def pass_through(self) -> None:
        return


def reference_last(cat: Path) -> Actor:
    def act(bucket: Any) -> None:
        put(bucket, cat, look(bucket).present)
        write_reference(bucket, [KEY], site=SITE, build="1")

    return act


def marks_ignored(cat: Path) -> Actor:
    def act(bucket: Any) -> None:
        write_reference(bucket, [KEY], site=SITE, build="1")
        put(bucket, cat, {info.key: info.size for info in bucket.list()})

    return act


def marks_after_the_list(cat: Path) -> Actor:
    def act(bucket: Any) -> None:
        write_reference(bucket, [KEY], site=SITE, build="1")
        there = {info.key: info.size for info in bucket.list()}
        put(bucket, cat, {key: size for key, size in there.items() if key not in read_marks(bucket)})

    return act


def unnoticed(endings: list[Ending]) -> list[Ending]:
    """Return the losses before the end of the build, which it could have seen."""
    return [ending for ending in losses(endings) if _last(ending, "build") > _last(ending, "gc", "delete")]


def _last(ending: Ending, name: str, action: str = "") -> int:
    return max(n for n, (who, what, _) in enumerate(ending.trace) if who == name and what.startswith(action))


@pytest.mark.parametrize("naive", [reference_last, marks_ignored, marks_after_the_list])
def test_a_build_in_another_order_loses_objects(naive: Callable[[Path], Actor], cat: Path) -> None:
    def act(bucket: Any) -> None:
        naive(cat)(bucket)
        bucket.head(KEY)  # whether it looks before or after the deletion makes two orders

    assert unnoticed(list(every_ending(marked, {"build": act, "gc": clean_up})))
    assert not unnoticed(list(every_ending(marked, {"build": build(cat), "gc": clean_up})))


def one_phase(bucket: Any) -> None:
    keys = [info.key for info in bucket.list() if not info.key.startswith(".s3img/")]
    live = frozenset().union(*(reference.keys for reference in ReferenceReader(bucket, workers=1).read()))
    bucket.delete([key for key in keys if key not in live])


def no_last_look(bucket: Any) -> None:
    marks = read_marks(bucket)
    live = frozenset().union(*(reference.keys for reference in ReferenceReader(bucket, workers=1).read()))
    bucket.delete([key for key in marks if key not in live])


@pytest.mark.parametrize(("naive", "start"), [(one_phase, unreferenced), (no_last_look, marked)])
def test_a_clean_up_in_fewer_steps_loses_objects(naive: Actor, start: Callable[[], Store], cat: Path) -> None:
    assert losses(list(every_ending(start, {"build": build(cat), "gc": naive})))
