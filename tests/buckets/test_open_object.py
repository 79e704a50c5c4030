"""Reading an object while it arrives: whole, a range of it, one version of it; on a folder, moto and SeaweedFS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stub_store import Answer, stub_store

from s3img.buckets import Bucket, open_bucket
from s3img.errors import BucketError, ObjectNotFound, RangeNotSatisfiable, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

DATA = bytes(range(256)) * 400


@pytest.fixture(params=["directory", "moto", "seaweedfs"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param == "directory":
        return open_bucket((tmp_path / "store").as_uri())
    return request.getfixturevalue(f"{request.param}_bucket").bucket


@pytest.fixture(params=["moto", "seaweedfs"])
def made(request: pytest.FixtureRequest) -> TestBucket:
    return request.getfixturevalue(f"{request.param}_bucket")


def put(bucket: Bucket, key: str = "cat.png", data: bytes = DATA) -> None:
    bucket.put(key, data, media_type="image/png", cache_control="max-age=60", metadata={"Made-By": "me"})


def test_open_reads_in_pieces(bucket: Bucket) -> None:
    put(bucket)
    with bucket.open("cat.png") as found:
        pieces = [found.read(100), found.read(0), found.read(50_000), found.read(), found.read(), found.read(9)]
    assert [len(piece) for piece in pieces] == [100, 0, 50_000, len(DATA) - 50_100, 0, 0]
    assert b"".join(pieces) == DATA


def test_open_describes_what_head_describes(bucket: Bucket) -> None:
    put(bucket)
    head = bucket.head("cat.png")
    with bucket.open("cat.png", start=7) as found:
        assert found.info == head
        assert (found.start, found.stop, found.info.size, found.version) == (7, len(DATA), len(DATA), "")


def test_open_and_head_bring_the_headers(made: TestBucket) -> None:
    put(made.bucket)
    head = made.bucket.head("cat.png")
    with made.bucket.open("cat.png") as found:
        assert (found.media_type, found.cache_control) == ("image/png", "max-age=60")
        assert found.info.metadata == {"made-by": "me"}
    assert head is not None
    assert (head.media_type, head.cache_control, head.metadata) == ("image/png", "max-age=60", {"made-by": "me"})


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, None, DATA),
        (0, 1, DATA[:1]),
        (5, 300, DATA[5:300]),
        (len(DATA) - 3, None, DATA[-3:]),
        (len(DATA) - 3, 10**9, DATA[-3:]),
        (0, len(DATA), DATA),
    ],
)
def test_open_reads_a_range(bucket: Bucket, start: int, stop: int | None, expected: bytes) -> None:
    put(bucket)
    with bucket.open("cat.png", start=start, stop=stop) as found:
        assert (found.start, found.stop, found.info.size) == (start, start + len(expected), len(DATA))
        assert found.read() == expected


@pytest.mark.parametrize(
    ("start", "stop"), [(len(DATA), None), (len(DATA) + 5, len(DATA) + 9), (4, 4), (4, 3), (0, 0), (-3, None)]
)
def test_a_range_without_a_byte_is_refused(bucket: Bucket, start: int, stop: int | None) -> None:
    put(bucket)
    with pytest.raises(RangeNotSatisfiable) as caught:
        bucket.open("cat.png", start=start, stop=stop)
    assert (caught.value.status, caught.value.code, caught.value.key) == (416, "InvalidRange", "cat.png")


def test_open_reads_an_empty_object(bucket: Bucket) -> None:
    put(bucket, data=b"")
    with bucket.open("cat.png") as found:
        assert (found.start, found.stop, found.read()) == (0, 0, b"")


@pytest.mark.parametrize("key", ["nothing/here.png", "cat.png/below", "deep", "x" * 300])
def test_open_of_a_missing_object_says_so(bucket: Bucket, key: str) -> None:
    put(bucket)
    put(bucket, "deep/er.png")
    with pytest.raises(ObjectNotFound) as caught:
        bucket.open(key)
    assert caught.value.key == key


@pytest.mark.parametrize(
    "key", ["100%.png", "a%2Fb.png", "a+b #?.png", "cafe\u0301.png", "caf\u00e9.png", "🐱&<>'\".png"]
)
def test_open_reads_hostile_keys(bucket: Bucket, key: str) -> None:
    put(bucket, key, key.encode())
    with bucket.open(key) as found:
        assert (found.info.key, found.read()) == (key, key.encode())


@pytest.mark.parametrize("key", ["../cat.png", "/etc/hostname", "a//b", "a\0b", "./cat.png"])
def test_open_never_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    (tmp_path / "cat.png").write_bytes(b"outside")
    with pytest.raises(ObjectNotFound):
        open_bucket((tmp_path / "store").as_uri()).open(key)


def test_an_object_closed_early_does_not_disturb_the_next(bucket: Bucket) -> None:
    put(bucket, data=DATA * 40)
    for _ in range(40):  # more often than there are connections
        with bucket.open("cat.png") as found:
            found.read(10)
    assert bucket.get("cat.png") == DATA * 40
    found.close()


def test_open_counts_as_one_get(bucket: Bucket) -> None:
    put(bucket)
    with bucket.open("cat.png") as found:
        found.read(1)
        found.read()
    assert bucket.requests["get"] == 1


def test_open_reads_a_version(made: TestBucket) -> None:
    client = made.server.client()
    client.put_bucket_versioning(Bucket=made.name, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=made.name, Key="cat.png", Body=b"first")["VersionId"]
    put(made.bucket, data=b"second")
    with made.bucket.open("cat.png", version=first) as found, made.bucket.open("cat.png") as newest:
        assert (found.read(), found.version) == (b"first", first)
        assert (newest.read(), newest.version not in {"", first}) == (b"second", True)


def test_a_missing_version_is_not_found(made: TestBucket) -> None:
    made.server.client().put_bucket_versioning(Bucket=made.name, VersioningConfiguration={"Status": "Enabled"})
    put(made.bucket)
    with pytest.raises(ObjectNotFound, match="no such version"):
        made.bucket.open("cat.png", version="0" * 32)


def test_a_delete_marker_is_no_version(made: TestBucket) -> None:
    client = made.server.client()
    client.put_bucket_versioning(Bucket=made.name, VersioningConfiguration={"Status": "Enabled"})
    made.bucket.put("cat.png", b"x", media_type="image/png")
    marker = client.delete_object(Bucket=made.name, Key="cat.png")["VersionId"]
    with pytest.raises(ObjectNotFound):
        made.bucket.open("cat.png", version=marker)


def test_a_folder_has_no_versions(tmp_path: Path) -> None:
    put(bucket := open_bucket(tmp_path.as_uri()))
    with pytest.raises(ObjectNotFound):
        bucket.open("cat.png", version="1")


def test_a_store_that_ignores_ranges_says_what_it_sends() -> None:
    modified = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    with stub_store(Answer(200, b"0123456789", modified)) as store:
        with open_bucket("s3://pics", store.options()).open("k", start=3, stop=5) as found:
            assert (found.start, found.stop, found.read()) == (0, 10, b"0123456789")
        assert store.requests[0].headers["range"] == "bytes=3-4"


def test_an_object_that_breaks_off_is_unreachable() -> None:
    headers = {
        "Content-Length": "9",
        "ETag": '"e"',
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "Connection": "close",
    }
    with stub_store(Answer(200, b"half", headers)) as store:
        found = open_bucket("s3://pics", store.options()).open("cat.png")
        with found, pytest.raises(Unreachable) as caught:
            found.read()
    assert (caught.value.action, caught.value.key) == ("get", "cat.png")


def test_a_file_that_becomes_shorter_is_unreachable(tmp_path: Path) -> None:
    bucket = open_bucket(tmp_path.as_uri())
    put(bucket)
    with bucket.open("cat.png") as found:
        (tmp_path / "cat.png").write_bytes(b"short")
        with pytest.raises(Unreachable, match="early"):
            found.read()


def test_a_website_in_place_of_a_store_is_no_object() -> None:
    with stub_store(Answer(200, b"<html>welcome", {"Content-Type": "text/html"})) as store:
        for read in (open_bucket("s3://pics", store.options()).open, open_bucket("s3://pics", store.options()).head):
            with pytest.raises(BucketError, match="not that of an S3 store"):
                read("cat.png")
