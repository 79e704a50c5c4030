"""What a clean-up deletes stays in the trash for a while, and comes back whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from s3img.buckets import MARKER, open_bucket
from s3img.errors import AccessDenied, BucketError
from s3img.gc import trash
from s3img.gc.clean_up import collect, sweep
from s3img.gc.marks import Mark
from s3img.gc.rules import Rules
from s3img.manage import restore_from_trash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3img.buckets import Bucket
    from s3img.gc.rules import GcResult

DAY = timedelta(days=1)
IN_USE, OLD, GONE = "a.png", "img/c ä.png", "img/d.png"
HEADERS: dict[str, Any] = {"media_type": "image/png", "cache_control": "max-age=9", "metadata": {**MARKER, "a": "b"}}


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture(params=["directory", "moto", "seaweedfs"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    """A bucket with a prefix and three objects."""
    if request.param == "directory":
        found = open_bucket((tmp_path / "docs").as_uri())
    else:
        made = request.getfixturevalue(f"{request.param}_bucket")
        found = open_bucket(f"{made.address}/docs", made.options)
    for key in (IN_USE, OLD, GONE):
        found.put(key, key.encode(), **HEADERS)
    return found


@pytest.fixture(params=["moto", "seaweedfs"])
def store(request: pytest.FixtureRequest) -> Bucket:
    """A bucket that keeps metadata, so that a clean-up knows its own objects by themselves."""
    made = request.getfixturevalue(f"{request.param}_bucket")
    found = open_bucket(f"{made.address}/docs", made.options)
    for key in (IN_USE, OLD, GONE):
        found.put(key, key.encode(), **HEADERS)
    return found


def gc(bucket: Bucket, days: float, **rules: Any) -> GcResult:
    now = datetime.now(UTC) + days * DAY
    return collect(bucket, kept=[IN_USE], rules=Rules(force=True, **rules), apply=True, workers=4, now=now)


def swept(bucket: Bucket, **rules: Any) -> GcResult:
    gc(bucket, 8, **rules)
    return gc(bucket, 16, **rules)


def keys(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list() if not info.key.startswith(".s3img/")}


def trashed(bucket: Bucket) -> set[str]:
    return {info.key.removeprefix(".s3img/trash/") for info in bucket.list(".s3img/trash/")}


def deleted(bucket: Bucket, pool: ThreadPoolExecutor, *doomed: str, live: frozenset[str] = frozenset()) -> list[str]:
    """Sweep objects as they are."""
    infos = {info.key: info for info in bucket.list() if info.key in doomed}
    marks = {key: Mark(infos[key].modified, infos[key].modified) for key in doomed}
    return sweep(bucket, doomed, marks, live=lambda: live, pool=pool).deleted


def test_what_is_deleted_is_in_the_trash_with_its_headers(store: Bucket) -> None:
    assert swept(store).deleted == (OLD, GONE)
    assert (keys(store), trashed(store)) == ({IN_USE}, {OLD, GONE})
    with store.open(trash.FOLDER + OLD) as found:
        info = found.info
        assert found.read() == OLD.encode()
    assert (info.media_type, info.cache_control) == ("image/png", "max-age=9")
    assert (info.metadata or {}).items() >= {**MARKER, "a": "b"}.items()


def test_the_trash_is_emptied_after_its_time(store: Bucket) -> None:
    swept(store)
    assert (gc(store, 29).expired, trashed(store)) == ((), {OLD, GONE})
    dry = collect(store, kept=[IN_USE], workers=4, now=datetime.now(UTC) + 31 * DAY)
    assert (dry.expired, trashed(store)) == ((OLD, GONE), {OLD, GONE})
    result = gc(store, 31)
    assert (result.expired, trashed(store), keys(store)) == ((OLD, GONE), set(), {IN_USE})
    assert "2 deleted from the trash" in str(result)


def test_without_a_time_for_it_there_is_no_trash(store: Bucket) -> None:
    swept(store, trash=timedelta(0))
    assert (keys(store), trashed(store)) == ({IN_USE}, set())


def test_what_comes_back_is_as_it_was_and_young(store: Bucket) -> None:
    swept(store)
    result = restore_from_trash(store, ["img/c*"], apply=True)
    assert (result.done, keys(store), trashed(store)) == ((OLD,), {IN_USE, OLD}, {GONE})
    info = store.head(OLD)
    assert info
    assert (info.media_type, info.cache_control, (info.metadata or {}).get("a")) == ("image/png", "max-age=9", "b")
    assert gc(store, 6).marked == ()
    assert gc(store, 8).marked == (OLD,)


def test_a_folder_has_a_trash_too(bucket: Bucket, pool: ThreadPoolExecutor) -> None:
    assert deleted(bucket, pool, OLD, GONE) == [OLD, GONE]
    assert (keys(bucket), trashed(bucket)) == ({IN_USE}, {OLD, GONE})
    assert restore_from_trash(bucket, ["*"], apply=True).done == (OLD, GONE)
    assert (bucket.get(GONE), keys(bucket), trashed(bucket)) == (GONE.encode(), {IN_USE, OLD, GONE}, set())


def test_what_turns_out_to_be_in_use_stays(bucket: Bucket, pool: ThreadPoolExecutor) -> None:
    assert deleted(bucket, pool, OLD, GONE, live=frozenset({GONE})) == [OLD]
    assert keys(bucket) == {IN_USE, GONE}
    assert restore_from_trash(bucket, ["*"], apply=True).failed == ()
    assert (keys(bucket), trashed(bucket)) == ({IN_USE, OLD, GONE}, set())


def test_what_another_clean_up_has_just_deleted_is_no_failure(bucket: Bucket, pool: ThreadPoolExecutor) -> None:
    bucket.delete([OLD])
    trash.keep(bucket, [OLD, GONE], pool)
    assert trashed(bucket) == {GONE}


def test_what_was_put_again_is_not_replaced_and_nothing_is_lost(bucket: Bucket, pool: ThreadPoolExecutor) -> None:
    deleted(bucket, pool, OLD)
    bucket.put(OLD, b"again", media_type="image/png")
    result = restore_from_trash(bucket, ["*"], apply=True)
    assert (result.done, bucket.get(OLD), trashed(bucket)) == ((), b"again", {OLD})
    assert [problem.key for problem in result.failed] == [OLD]


def test_nothing_is_deleted_that_could_not_be_kept(
    bucket: Bucket, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = type(bucket).put

    def refused(self: Bucket, key: str, *arguments: Any, **options: Any) -> None:
        if key == trash.FOLDER + GONE:
            raise AccessDenied("no", action="put", key=key)
        put(self, key, *arguments, **options)

    monkeypatch.setattr(type(bucket), "put", refused)
    infos = {info.key: info for info in bucket.list()}
    marks = {key: Mark(infos[key].modified, infos[key].modified) for key in (OLD, GONE)}
    done = sweep(bucket, marks, marks, live=frozenset, pool=pool)
    assert isinstance(done.failure, BucketError)
    assert (done.deleted, keys(bucket)) == ([], {IN_USE, OLD, GONE})


def test_a_trash_that_can_not_be_emptied_is_part_of_the_result(store: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    swept(store)

    def refused(*_: object) -> None:
        raise AccessDenied("no", action="delete")

    monkeypatch.setattr(type(store), "delete", refused)
    result = gc(store, 60)
    assert (result.failed.startswith("no"), result.exit_code, result.expired) == (True, 4, ())
    assert trashed(store) == {OLD, GONE}
