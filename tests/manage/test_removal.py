"""What is removed lies in the trash and comes back; nothing is lost, and one failure is one line of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from s3img.buckets import open_bucket
from s3img.errors import AccessDenied
from s3img.manage import copy_objects, remove, restore_from_trash
from s3img.manage.removal import TRASH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3_servers import TestBucket

    from s3img.buckets import Bucket, ObjectInfo

HEADERS: dict[str, Any] = {"media_type": "image/png", "cache_control": "max-age=9", "metadata": {"a": "b"}}
HOSTILE = ["<img src=x>.png", "a&b #1?%2F+.png", "\u202egnp.exe", "e\u0301/ä b.png", "*.png", "[x].png", "-rf.png"]


def put(bucket: Bucket, *keys: str) -> None:
    for key in keys:
        bucket.put(key, key.encode(), **HEADERS)


def keys(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list()}


def test_removed_object_comes_back_with_its_bytes_and_headers(bucket: Bucket) -> None:
    put(bucket, "a.png", "b.png", "c.png")
    before = bucket.head("a.png")
    assert remove(bucket, ["a.png"], apply=True).done == ("a.png",)
    assert keys(bucket) == {f"{TRASH}a.png", "b.png", "c.png"}
    assert restore_from_trash(bucket, ["a.png"], apply=True).done == ("a.png",)
    after = bucket.head("a.png")
    assert keys(bucket) == {"a.png", "b.png", "c.png"}
    assert before
    assert after
    assert bucket.get("a.png") == b"a.png"
    assert (after.media_type, after.cache_control, after.metadata) == (
        before.media_type,
        before.cache_control,
        before.metadata,
    )


@pytest.mark.parametrize("key", HOSTILE)
def test_any_key_is_removed_and_restored_by_its_name(bucket: Bucket, key: str) -> None:
    put(bucket, key, "x.png", "y.png")
    assert remove(bucket, [key], apply=True).done == (key,)
    assert keys(bucket) == {TRASH + key, "x.png", "y.png"}
    assert restore_from_trash(bucket, [key], apply=True).failed == ()
    assert bucket.get(key) == key.encode()


def test_without_apply_nothing_changes(bucket: Bucket) -> None:
    put(bucket, "a.png", "b.png", "c.png")
    result = remove(bucket, ["a.png"])
    assert (result.done, result.applied, result.bytes) == (("a.png",), False, 5)
    assert keys(bucket) == {"a.png", "b.png", "c.png"}
    assert dict(bucket.requests).get("put") == 3


def test_folder_is_not_its_namesake(bucket: Bucket) -> None:
    put(bucket, "i/2024/a.png", "i/2024-old/a.png", "x.png", "y.png")
    assert remove(bucket, ["i/2024/"], apply=True).done == ("i/2024/a.png",)
    assert "i/2024-old/a.png" in keys(bucket)


def test_pattern_stays_in_its_folder_unless_it_has_two_stars(folder_bucket: Bucket) -> None:
    put(folder_bucket, "i/a.png", "i/b.jpg", "i/n/c.png", "x", "y", "z", "w")
    assert remove(folder_bucket, ["i/*.png"]).done == ("i/a.png",)
    assert remove(folder_bucket, ["i/**.png"]).done == ("i/a.png", "i/n/c.png")
    assert remove(folder_bucket, ["i/?.jpg"]).done == ("i/b.jpg",)


def test_more_than_half_of_a_bucket_needs_force(bucket: Bucket) -> None:
    put(bucket, "i/a.png", "i/b.png", "x.png")
    result = remove(bucket, ["i/"], apply=True)
    assert (result.exit_code, result.applied, "--force" in result.refused) == (1, False, True)
    assert keys(bucket) == {"i/a.png", "i/b.png", "x.png"}
    assert len(remove(bucket, ["i/"], apply=True, force=True).done) == 2


def test_only_object_is_removed_by_its_key(folder_bucket: Bucket) -> None:
    put(folder_bucket, "a.png")
    assert remove(folder_bucket, ["a.png"], apply=True).done == ("a.png",)
    put(folder_bucket, "b.png")
    assert remove(folder_bucket, ["*.png"], apply=True).refused


def test_missing_key_is_one_failure_and_the_others_go(folder_bucket: Bucket) -> None:
    put(folder_bucket, "a.png", "i/b.png", "c.png", "d.png")
    result = remove(folder_bucket, ["nope.png", "a.png", "i"], apply=True)
    assert result.done == ("a.png",)
    assert [(problem.key, problem.code) for problem in result.failed] == [("i", "no-object"), ("nope.png", "no-object")]
    assert "write i/" in result.failed[0].message


@pytest.mark.parametrize("name", [".s3img/trash/a.png", ".s3img/", ".s3img"])
def test_own_records_are_not_removed(folder_bucket: Bucket, name: str) -> None:
    put(folder_bucket, ".s3img/trash/a.png", "b.png", "c.png", "d.png")
    assert [problem.code for problem in remove(folder_bucket, [name], apply=True).failed] == ["reserved"]
    assert remove(folder_bucket, ["**"], force=True).done == ("b.png", "c.png", "d.png")


def test_restore_leaves_in_the_trash_what_another_object_has_taken_the_place_of(bucket: Bucket) -> None:
    put(bucket, "a.png", "b.png", "c.png")
    remove(bucket, ["a.png"], apply=True)
    bucket.put("a.png", b"another", media_type="image/png")
    result = restore_from_trash(bucket, ["*"], apply=True)
    assert [problem.code for problem in result.failed] == ["key-taken"]
    assert (bucket.get("a.png"), bucket.get(f"{TRASH}a.png")) == (b"another", b"a.png")


def test_no_trash_deletes_at_once(folder_bucket: Bucket) -> None:
    put(folder_bucket, "a.png", "b.png", "c.png")
    remove(folder_bucket, ["a.png"], apply=True, to_trash=False)
    assert keys(folder_bucket) == {"b.png", "c.png"}


class _Denies:
    """A bucket that denies one action on one key."""

    def __init__(self, bucket: Bucket, action: str, key: str) -> None:
        self._bucket, self._action, self._key = bucket, action, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)

    def put(self, key: str, *arguments: Any, **options: Any) -> None:
        self._deny("put", key)
        self._bucket.put(key, *arguments, **options)

    def delete(self, keys: Iterable[str]) -> None:
        found = [*keys]
        for key in found:
            self._deny("delete", key)
        self._bucket.delete(found)

    def head(self, key: str) -> ObjectInfo | None:
        self._deny("head", key)
        return self._bucket.head(key)

    def _deny(self, action: str, key: str) -> None:
        if (action, key) == (self._action, self._key):
            raise AccessDenied(f"{key!r}: denied.", code="AccessDenied", reason="denied")


def test_store_that_denies_one_action_fails_for_one_key_and_keeps_it(bucket: Bucket) -> None:
    put(bucket, "a.png", "b.png", "c.png", "d.png", "e.png")
    for action, key in (("put", f"{TRASH}a.png"), ("delete", "b.png")):
        denying: Any = _Denies(bucket, action, key)
        failed = key.removeprefix(TRASH)
        result = remove(denying, [failed, "c.png"], apply=True)
        assert [(problem.key, problem.code) for problem in result.failed] == [(failed, "denied")]
        assert failed in keys(bucket)
        assert "c.png" not in keys(bucket)
        restore_from_trash(bucket, ["c.png"], apply=True)


def test_key_that_can_not_be_looked_up_keeps_no_other_chosen_one(folder_bucket: Bucket) -> None:
    put(folder_bucket, "a.png", "b.png", "c.png")
    denying: Any = _Denies(folder_bucket, "head", "a.png")
    copied = copy_objects(denying, {"a.png": "n/a.png", "b.png": "n/b.png"})
    assert ([one.new for one in copied.copied], [one.key for one in copied.failed]) == (["n/b.png"], ["a.png"])
    result = remove(denying, ["a.png", "b.png"], apply=True, force=True, literal=True)
    assert (result.done, [(one.key, one.code) for one in result.failed]) == (("b.png",), [("a.png", "denied")])
    denying = _Denies(folder_bucket, "head", f"{TRASH}a.png")
    result = restore_from_trash(denying, ["a.png", "b.png"], apply=True, literal=True)
    assert (result.done, [(one.key, one.code) for one in result.failed]) == (("b.png",), [("a.png", "denied")])


def test_large_object_is_removed_in_parts(moto_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.buckets.copying.LARGE", 1000)
    bucket = open_bucket(moto_bucket.address, moto_bucket.options)
    data = bytes(range(256)) * 8
    bucket.put("big.tif", data, **HEADERS)
    put(bucket, "x", "y")
    assert remove(bucket, ["big.tif"], apply=True).failed == ()
    assert bucket.get(f"{TRASH}big.tif") == data
    found = bucket.head(f"{TRASH}big.tif")
    assert found
    assert (found.media_type, found.metadata) == ("image/png", {"a": "b"})
