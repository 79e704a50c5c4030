"""Every order of the requests of builds and clean-ups: no build ever points at an object that is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from interleaving import START, Store, bucket_of, every_ending

from s3img import transfer
from s3img.buckets import MARKER
from s3img.gc.clean_up import collect
from s3img.gc.marks import Mark, read_marks, write_marks
from s3img.gc.references import FOLDER, ReferenceReader, write_reference
from s3img.gc.rules import Rules
from s3img.gc.trash import FOLDER as TRASH_FOLDER
from s3img.transfer import Upload
from s3img.transfer.delivery import Delivery, claim, take_snapshot

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


def referenced() -> Store:
    """The site's last reference names the key, which has been in the bucket for long."""
    store = unreferenced()
    write_reference(Direct(store), [KEY], site=SITE, build="0")  # type: ignore[arg-type]
    return store


def begun() -> Store:
    """A build of the same content ended right after it wrote its reference: the key is still marked."""
    store = marked()
    write_reference(Direct(store), [KEY], site=SITE, build="0")  # type: ignore[arg-type]
    return store


def rolled_back() -> Store:
    """The key is named by a reference that another one superseded within the history."""
    store = referenced()
    write_reference(Direct(store, 35 * DAY), ["new.jpg"], site=SITE, build="0")  # type: ignore[arg-type]
    return store


def trashed() -> Store:
    """The site's reference was superseded so long ago that a clean-up has taken the object to the trash."""
    store = new()
    write_reference(Direct(store), [KEY], site=SITE, build="0")  # type: ignore[arg-type]
    write_reference(Direct(store, 35 * DAY), ["new.jpg"], site=SITE, build="0")  # type: ignore[arg-type]
    store.put(f"{TRASH_FOLDER}{KEY}", b"cat", MARKER, START - DAY)
    return store


STARTS = [new, unreferenced, marked, superseded, referenced, begun, rolled_back]


def build(cat: Path, number: int = 1) -> Actor:
    """Do what publishing does, request by request."""

    def act(bucket: Any) -> None:
        delivery = Delivery(lambda: bucket, workers=1)
        delivery.claim({KEY}, site=SITE, build=str(number))
        assert not delivery.send([Upload(KEY, cat, 3, "image/jpeg")]).failed

    return act


def put(bucket: Any, cat: Path, present: dict[str, int]) -> None:
    plan = transfer.plan_uploads([Upload(KEY, cat, 3, "image/jpeg")], present)
    assert not transfer.run_uploads(plan, bucket, workers=1).failed


def clean_up(bucket: Any) -> None:
    assert not collect(bucket, rules=RULES, apply=True, workers=1, now=START).failed


def losses(endings: list[Ending]) -> list[Ending]:
    return [ending for ending in endings if KEY not in ending.store.objects]


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_no_order_loses_an_object(start: Callable[[], Store], cat: Path) -> None:
    endings = list(every_ending(start, {"build": build(cat), "gc": clean_up}, joined=["delete"]))
    assert endings
    assert losses(endings) == []


@pytest.mark.slow
@pytest.mark.parametrize("start", [marked, superseded])
def test_only_a_whole_build_between_two_requests_could_lose_one(start: Callable[[], Store], cat: Path) -> None:
    """A store without conditional deletion leaves this much: the last look and the deletion are two requests."""
    lost_in = losses(list(every_ending(start, {"build": build(cat), "gc": clean_up})))
    assert lost_in
    for ending in lost_in:
        look_at = max(n for n, step in enumerate(ending.trace) if step == ("gc", "list", FOLDER))
        delete = ending.trace.index(("gc", "delete", KEY))
        between = [(action, key) for name, action, key in ending.trace[look_at:delete] if name == "build"]
        assert (between[0][0], between[0][1].startswith(FOLDER), between[-1]) == ("put", True, ("head", KEY))
        assert {name for name, *_ in ending.trace[delete:]} == {"gc"}


@pytest.mark.parametrize("start", [referenced, begun])
def test_a_reference_that_is_there_already_leaves_no_order_at_all(start: Callable[[], Store], cat: Path) -> None:
    endings = list(every_ending(start, {"build": build(cat), "gc": clean_up}))
    assert [ending for ending in endings if ("build", "delete", KEY) in ending.trace] == losses(endings) == []
    assert not [key for ending in endings for who, what, key in ending.trace if who == "build" and FOLDER in key]


@pytest.mark.slow
@pytest.mark.parametrize("start", [new, marked, begun, rolled_back])
def test_two_builds_and_a_clean_up_lose_nothing(start: Callable[[], Store], cat: Path) -> None:
    actors = {"build": build(cat, 1), "twin": build(cat, 2), "gc": clean_up}
    assert losses(list(every_ending(start, actors, joined=["delete", "head", "get"]))) == []


def another(bucket: Any) -> None:
    """Publish the same site with other content."""
    claim(bucket, {"new.jpg"}, take_snapshot(bucket), site=SITE, build="9")


@pytest.mark.parametrize("start", STARTS)
def test_a_build_counts_for_the_history_after_it_is_superseded(start: Callable[[], Store], cat: Path) -> None:
    """The reference may be much older than the history when it is relied on, and superseded right after."""
    for ending in every_ending(start, {"build": build(cat), "another": another}):
        for days in (0, 10, 20, 29):
            clean_up_later(ending.store, days, Rules(grace=timedelta(0), force=True))
        assert KEY in ending.store.objects


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_an_object_in_use_outlives_later_clean_ups(start: Callable[[], Store], cat: Path) -> None:
    for ending in every_ending(start, {"build": build(cat), "gc": clean_up}, joined=["delete"]):
        for days in (20, 40, 400):
            clean_up_later(ending.store, days, RULES)
        assert KEY in ending.store.objects


def clean_up_later(store: Store, days: int, rules: Rules) -> None:
    collect(bucket_of(store), rules=rules, apply=True, workers=1, now=START + days * DAY)


def publish_again(bucket: Any) -> None:
    """Do what publishing does where no page has anything left to do, and the picture may not be at hand."""
    delivery = Delivery(lambda: bucket, workers=1)
    if not delivery.has_last_claim({KEY}, site=SITE):
        delivery.claim({KEY}, site=SITE, build="5")
        assert not delivery.hold({KEY})


AGAIN = [referenced, rolled_back, superseded, trashed]


@pytest.mark.slow
@pytest.mark.parametrize("start", AGAIN)
def test_no_order_of_a_roll_back_and_a_clean_up_loses_an_object(start: Callable[[], Store]) -> None:
    endings = list(every_ending(start, {"again": publish_again, "gc": clean_up}, joined=["delete"]))
    assert endings
    assert losses(endings) == []
    for ending in endings:
        for days in (20, 40, 400):
            clean_up_later(ending.store, days, RULES)
    assert losses(endings) == []


@pytest.mark.parametrize("start", AGAIN)
def test_a_roll_back_counts_for_the_history_after_it_is_superseded(start: Callable[[], Store]) -> None:
    for ending in every_ending(start, {"again": publish_again, "another": another}):
        for days in (0, 10, 20, 29):
            clean_up_later(ending.store, days, Rules(grace=timedelta(0), force=True))
        assert KEY in ending.store.objects


@pytest.mark.slow
@pytest.mark.parametrize("start", [rolled_back, superseded, trashed])
def test_a_restored_deployment_and_a_new_build_lose_nothing(start: Callable[[], Store], cat: Path) -> None:
    actors = {"again": publish_again, "build": build(cat), "gc": clean_up}
    assert losses(list(every_ending(start, actors, joined=["delete", "head", "get"]))) == []


def believing(bucket: Any) -> None:
    """Do as publishing did before: what was published once needs nothing."""
    bucket.head(KEY)


@pytest.mark.parametrize("start", [rolled_back, superseded])
def test_a_roll_back_that_asks_nobody_loses_objects(start: Callable[[], Store]) -> None:
    (ending, *_) = every_ending(start, {"again": believing})
    for days in (1, 20, 40):
        clean_up_later(ending.store, days, RULES)
    assert KEY not in ending.store.objects


def reference_last(cat: Path) -> Actor:
    def act(bucket: Any) -> None:
        put(bucket, cat, take_snapshot(bucket).present)
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


def no_second_look(cat: Path) -> Actor:
    def act(bucket: Any) -> None:
        snapshot = take_snapshot(bucket)
        write_reference(bucket, [KEY], site=SITE, build="1")
        put(bucket, cat, snapshot.present)

    return act


def unnoticed(endings: list[Ending]) -> list[Ending]:
    """Return the losses before the end of the build, which it could have seen."""
    return [ending for ending in losses(endings) if _last(ending, "build") > _last(ending, "gc", "delete")]


def _last(ending: Ending, name: str, action: str = "") -> int:
    return max(n for n, (who, what, _) in enumerate(ending.trace) if who == name and what.startswith(action))


@pytest.mark.slow
@pytest.mark.parametrize("naive", [reference_last, marks_ignored, marks_after_the_list, no_second_look])
def test_a_build_in_another_order_loses_objects(naive: Callable[[Path], Actor], cat: Path) -> None:
    def act(bucket: Any) -> None:
        naive(cat)(bucket)
        bucket.head(KEY)  # whether it looks before or after the deletion makes two orders

    assert unnoticed(list(every_ending(marked, {"build": act, "gc": clean_up})))
    assert not unnoticed(list(every_ending(marked, {"build": build(cat), "gc": clean_up})))


def test_a_superseded_reference_is_not_enough(cat: Path) -> None:
    def act(bucket: Any) -> None:
        infos = [info for info in bucket.list() if info.key.startswith(FOLDER)]
        assert len(infos) == 3  # one of them names the key, but a later one of its site does not

    (ending,) = every_ending(rolled_back, {"build": act})
    for days in (1, 20, 40):
        clean_up_later(ending.store, days, RULES)
    assert KEY not in ending.store.objects


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
