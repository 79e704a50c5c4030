"""The decision is pure: listing, live keys, marks, time and grace in, keys out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from s3img.buckets import ObjectInfo
from s3img.gc.marks import Mark
from s3img.gc.references import UNNAMED, SiteReference, superseded
from s3img.gc.rules import GcPlan, is_too_much, plan

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def info(key: str, age: timedelta) -> ObjectInfo:
    return ObjectInfo(key, 1, "e", NOW - age)


def mark(at: timedelta, modified: timedelta) -> Mark:
    return Mark(NOW - at, NOW - modified)


@pytest.mark.parametrize(
    ("age", "live", "marks", "wanted"),
    [
        (30 * DAY, {"k"}, {}, GcPlan()),
        (30 * DAY, set(), {}, GcPlan(mark=("k",))),
        (7 * DAY, set(), {}, GcPlan(mark=("k",))),
        (7 * DAY - timedelta(seconds=1), set(), {}, GcPlan(young=("k",))),
        (-DAY, set(), {}, GcPlan(young=("k",))),
        (30 * DAY, set(), {"k": mark(7 * DAY, 30 * DAY)}, GcPlan(sweep=("k",))),
        (30 * DAY, set(), {"k": mark(6 * DAY, 30 * DAY)}, GcPlan(waiting=("k",))),
        (30 * DAY, set(), {"k": mark(-9 * DAY, 30 * DAY)}, GcPlan(waiting=("k",))),
        (30 * DAY, {"k"}, {"k": mark(8 * DAY, 30 * DAY)}, GcPlan(unmark=("k",))),
        (1 * DAY, set(), {"k": mark(8 * DAY, 30 * DAY)}, GcPlan(unmark=("k",))),
        (40 * DAY, set(), {"k": mark(8 * DAY, 30 * DAY)}, GcPlan(unmark=("k",))),
        (30 * DAY, set(), {"gone": mark(8 * DAY, 30 * DAY)}, GcPlan(mark=("k",), unmark=("gone",))),
    ],
    ids=[
        "in use", "old", "just old enough", "young", "from the future", "marked long ago", "marked lately",
        "marked by a clock ahead", "in use again", "put again", "replaced by an older copy", "mark of nothing",
    ],
)  # fmt: skip
def test_plan_of_one_object(age: timedelta, live: set[str], marks: dict[str, Mark], wanted: GcPlan) -> None:
    assert plan({"k": info("k", age)}, live, marks, now=NOW) == wanted


def test_plan_ignores_fractions_of_a_second_of_an_object() -> None:
    listed = ObjectInfo("k", 1, "e", datetime(2026, 1, 1, 0, 0, 0, 999_000, tzinfo=UTC))
    marks = {"k": Mark(NOW - 8 * DAY, datetime(2026, 1, 1, tzinfo=UTC))}
    assert plan({"k": listed}, set(), marks, now=NOW).sweep == ("k",)


def test_plan_sorts_keys() -> None:
    listing = {key: info(key, 30 * DAY) for key in ("c", "a", "b")}
    assert plan(listing, set(), {}, now=NOW).mark == ("a", "b", "c")


def test_more_than_half_is_too_much() -> None:
    pairs = [(0, 0), (1, 2), (2, 3), (1, 1)]
    assert [is_too_much(going, own) for going, own in pairs] == [False, False, True, True]


def reference(key: str, age: timedelta) -> SiteReference:
    return SiteReference(info(key, age), frozenset())


def old(*references: SiteReference, history: timedelta = 30 * DAY) -> list[str]:
    return [found.info.key for found in superseded(references, before=NOW - history)]


def test_the_last_reference_of_a_site_never_expires() -> None:
    assert old(reference("r/a/1", 900 * DAY), reference("r/a/2", 800 * DAY), reference("r/b/1", 700 * DAY)) == ["r/a/1"]


def test_a_superseded_reference_counts_for_a_time() -> None:
    assert old(reference("r/a/1", 29 * DAY), reference("r/a/2", DAY)) == []


def test_references_of_one_second_are_both_the_last() -> None:
    assert old(reference("r/a/1", 90 * DAY), reference("r/a/2", 90 * DAY - timedelta(microseconds=9))) == []


def test_references_of_unnamed_sites_never_expire() -> None:
    assert old(reference(f"{UNNAMED}1", 900 * DAY), reference(f"{UNNAMED}2", DAY)) == []


def test_public_names_come_from_the_package() -> None:
    from s3img import gc
    from s3img.gc import Rules, collect

    assert (Rules.__name__, collect.__name__) == ("Rules", "collect")
    assert {"Rules", "collect"} <= {*dir(gc)}
    assert not hasattr(gc, "sweep_all")
