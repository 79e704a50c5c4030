"""What every store must do: a folder, and each server with obstore and without, over http and https."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from s3_servers import LANES, lane_bucket

from s3img.buckets import open_bucket
from s3img.errors import AssetError, ObjectChanged, ObjectNotFound

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.buckets import Bucket

HOSTILE_KEYS = [
    "space in name.png",
    "100%.png",
    "a%20b.png",
    "a%2Fb.png",
    "a+b.png",
    "a#b.png",
    "a?b=c.png",
    "it's.png",
    'say "x".png',
    "a&b<c>.png",
    "a;b=c,d@e:f!.png",
    "(1)*~$[2]{3}^`|.png",
    "caf\u00e9.png",
    "cafe\u0301.png",
    "日本語.png",
    "🐱.png",
    ".hidden",
    "deep/er/than/this/a.png",
    "x" * 200 + ".png",
]


@pytest.fixture(params=["directory", *LANES])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param == "directory":
        return open_bucket((tmp_path / "store").as_uri())
    return lane_bucket(request).bucket


@pytest.fixture(params=["directory", *LANES])
def prefixed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Bucket, Bucket]:
    """A bucket, and the same one opened with a prefix."""
    if request.param == "directory":
        return open_bucket(tmp_path.as_uri()), open_bucket((tmp_path / "a b" / "c").as_uri())
    made = lane_bucket(request)
    return made.bucket, open_bucket(f"{made.address}/a b/c", made.options)


def put(bucket: Bucket, key: str, data: bytes = b"data") -> None:
    bucket.put(key, data, media_type="image/png")


def test_get_returns_what_was_put(bucket: Bucket) -> None:
    put(bucket, "cat.png", b"\x89PNG\r\n\x1a\n\x00\xff")
    assert bucket.get("cat.png") == b"\x89PNG\r\n\x1a\n\x00\xff"


def test_open_reads_only_the_object_that_was_listed(bucket: Bucket) -> None:
    put(bucket, "cat.png", b"one")
    (info,) = bucket.list()
    with bucket.open("cat.png", etag=info.etag) as opened:
        assert opened.read() == b"one"
    put(bucket, "cat.png", b"another")
    with pytest.raises(ObjectChanged, match=r"'cat\.png' was changed meanwhile"):
        bucket.open("cat.png", etag=info.etag)
    with pytest.raises(ObjectNotFound):
        bucket.open("dog.png", etag=info.etag)


def test_put_accepts_an_empty_object(bucket: Bucket) -> None:
    put(bucket, "empty", b"")
    assert [(info.key, info.size) for info in bucket.list()] == [("empty", 0)]


def test_put_reads_a_file(bucket: Bucket, tmp_path: Path) -> None:
    file = tmp_path / "source #1.png"
    file.write_bytes(b"from a file")
    bucket.put("cat.png", file, media_type="image/png")
    assert bucket.get("cat.png") == b"from a file"


def test_put_replaces_an_object(bucket: Bucket) -> None:
    put(bucket, "cat.png", b"old and longer")
    put(bucket, "cat.png", b"new")
    assert bucket.get("cat.png") == b"new"


def test_hostile_keys_come_back_from_list_get_and_head(bucket: Bucket) -> None:
    for key in HOSTILE_KEYS:
        put(bucket, key, key.encode())
    heads = {key: bucket.head(key) for key in HOSTILE_KEYS}
    assert sorted(info.key for info in bucket.list()) == sorted(HOSTILE_KEYS)
    assert {key: bucket.get(key) for key in HOSTILE_KEYS} == {key: key.encode() for key in HOSTILE_KEYS}
    assert {key: head and head.size for key, head in heads.items()} == {key: len(key.encode()) for key in HOSTILE_KEYS}


def test_each_hostile_key_is_deleted_alone(bucket: Bucket) -> None:
    for key in HOSTILE_KEYS:
        put(bucket, key)
    left = list(HOSTILE_KEYS)
    while left:
        bucket.delete([left.pop()])
        assert sorted(info.key for info in bucket.list()) == sorted(left)


def test_composed_and_decomposed_letters_are_two_keys(bucket: Bucket) -> None:
    put(bucket, "caf\u00e9", b"composed")
    put(bucket, "cafe\u0301", b"decomposed")
    assert (bucket.get("caf\u00e9"), bucket.get("cafe\u0301")) == (b"composed", b"decomposed")


def test_head_describes_an_object(bucket: Bucket) -> None:
    put(bucket, "cat.png", b"12345")
    info = bucket.head("cat.png")
    assert info is not None
    assert (info.key, info.size, bool(info.etag), info.modified.utcoffset() is None) == ("cat.png", 5, True, False)


def test_head_and_list_agree(bucket: Bucket) -> None:
    put(bucket, "cat.png", b"12345")
    listed = next(iter(bucket.list()))
    head = bucket.head("cat.png")
    assert head is not None
    assert (head.key, head.size, head.etag) == (listed.key, listed.size, listed.etag)


def test_head_of_a_missing_object_is_none(bucket: Bucket) -> None:
    assert bucket.head("nothing/here.png") is None


def test_get_of_a_missing_object_says_so(bucket: Bucket) -> None:
    with pytest.raises(ObjectNotFound, match=r"nothing/here\.png"):
        bucket.get("nothing/here.png")


def test_delete_of_a_missing_object_is_no_error(bucket: Bucket) -> None:
    bucket.delete(["nothing/here.png"])
    assert list(bucket.list()) == []


def test_list_of_a_new_bucket_is_empty(bucket: Bucket) -> None:
    assert list(bucket.list()) == []


@pytest.mark.parametrize(
    ("prefix", "keys"),
    [
        ("", {"a", "ab/c", "ab/d", "abc", "b"}),
        ("a", {"a", "ab/c", "ab/d", "abc"}),
        ("ab", {"ab/c", "ab/d", "abc"}),
        ("ab/", {"ab/c", "ab/d"}),
        ("ab/d", {"ab/d"}),
        ("zz/none", set()),
        ("b/below a file", set()),
    ],
)
def test_list_keeps_to_the_prefix(bucket: Bucket, prefix: str, keys: set[str]) -> None:
    for key in ("a", "ab/c", "ab/d", "abc", "b"):
        put(bucket, key)
    assert {info.key for info in bucket.list(prefix)} == keys


@pytest.mark.slow
@pytest.mark.parametrize("bucket", ["directory", "seaweedfs, boto3", "seaweedfs, obstore"], indirect=True)
def test_list_and_delete_go_beyond_one_page(bucket: Bucket) -> None:
    keys = {f"k/{number:04}" for number in range(1005)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: put(bucket, key), keys))
    assert {info.key for info in bucket.list()} == keys
    assert bucket.requests["list"] <= 2
    bucket.delete(sorted(keys))
    assert list(bucket.list()) == []


def test_a_prefix_hides_the_rest_of_the_bucket(prefixed: tuple[Bucket, Bucket]) -> None:
    whole, inner = prefixed
    put(whole, "outside", b"o")
    put(inner, "in#side", b"i")
    assert whole.get("a b/c/in#side") == b"i"
    assert [info.key for info in inner.list()] == ["in#side"]
    inner.delete(["outside", "in#side"])
    assert [info.key for info in whole.list()] == ["outside"]


def test_put_refuses_bytes_that_are_not_the_planned_ones(bucket: Bucket) -> None:
    with pytest.raises(AssetError, match="changed"):
        bucket.put("cat.png", b"edited", media_type="image/png", sha256=hashlib.sha256(b"planned").hexdigest())
    assert bucket.head("cat.png") is None


def test_put_of_a_large_file_that_changed_leaves_nothing(bucket: Bucket, tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(bytes(17 << 20))
    with pytest.raises(AssetError, match=r"large\.png: changed"):
        bucket.put("large.png", file, media_type="image/png", sha256=hashlib.sha256(b"planned").hexdigest())
    assert list(bucket.list()) == []


def test_put_of_a_large_file_stores_all_of_it(bucket: Bucket, tmp_path: Path) -> None:
    data = bytes(range(256)) * (33 << 12)
    file = tmp_path / "large.png"
    file.write_bytes(data)
    bucket.put("large.png", file, media_type="image/png", sha256=hashlib.sha256(data).hexdigest())
    assert bucket.get("large.png") == data


def test_put_of_a_missing_file_names_it(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"gone\.png") as caught:
        bucket.put("cat.png", tmp_path / "gone.png", media_type="image/png")
    assert caught.value.path == str(tmp_path / "gone.png")


def test_requests_are_counted_by_operation(bucket: Bucket) -> None:
    put(bucket, "a")
    put(bucket, "b")
    list(bucket.list())
    bucket.get("a")
    bucket.head("a")
    bucket.delete(["a"])
    assert dict(bucket.requests) == {"put": 2, "list": 1, "get": 1, "head": 1, "delete": 1}


def test_credentials_are_there(bucket: Bucket) -> None:
    assert bucket.has_credentials()


# rclone's server lists a key twice for a while that several clients put at the same moment
@pytest.mark.parametrize("bucket", ["directory", *(name for name in LANES if "rclone" not in name)], indirect=True)
def test_concurrent_puts_of_one_key_leave_one_whole_object(bucket: Bucket) -> None:
    bodies = [bytes([number]) * 100_000 for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda body: put(bucket, "same", body), bodies))
    assert bucket.get("same") in bodies
    assert [info.key for info in bucket.list()] == ["same"]
