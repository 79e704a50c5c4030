"""A copy is the object or there is none; a key that is taken stays as it is."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest
from stub_store import Answer, Request, stub_store

from s3img.buckets import copy_object, copying, open_bucket
from s3img.errors import BucketError

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

MD5_OF_CAT = '"d077f244def8a70e5ea758bd8352fcd8"'
OPAQUE = '"00000000000000000000000000000000"'


def test_copy_has_the_bytes_and_headers_of_the_original(seaweedfs_bucket: TestBucket) -> None:
    bucket = seaweedfs_bucket.bucket
    headers = {"Content-Disposition": 'inline; filename="cat.png"', "Content-Language": "de"}
    bucket.put(
        "a.png", b"cat", media_type="image/png", cache_control="no-cache", metadata={"s3img": "1"}, headers=headers
    )
    copy_object(bucket, "a.png", "trash/a.png")
    first, second = bucket.head("a.png"), bucket.head("trash/a.png")
    assert first is not None
    assert second is not None
    assert bucket.get("trash/a.png") == b"cat"
    for name in ("size", "etag", "metadata", "media_type", "cache_control", "content_disposition", "content_language"):
        assert getattr(first, name) == getattr(second, name)
    assert first.content_language == "de"


def test_copy_in_a_folder_is_the_file(tmp_path: Path) -> None:
    bucket = open_bucket((tmp_path / "b").as_uri())
    bucket.put("a.png", b"cat", media_type="image/png")
    copy_object(bucket, "a.png", "trash/a.png")
    assert bucket.get("trash/a.png") == b"cat"


@pytest.mark.parametrize(
    ("read", "head", "copied"),
    [
        (b"ca", {"ETag": MD5_OF_CAT, "Content-Length": "3"}, True),
        (b"cot", {"ETag": MD5_OF_CAT, "Content-Length": "3"}, True),
        (b"cat", {"ETag": OPAQUE, "Content-Length": "3"}, True),
        (b"cat", {"ETag": MD5_OF_CAT, "Content-Length": "3"}, False),
    ],
    ids=["half of it", "another byte", "it was changed", "the copy is not there"],
)
def test_copy_that_is_not_the_original_is_an_error(read: bytes, head: dict[str, str], copied: object) -> None:
    def answer(request: Request) -> Answer:
        if request.method == "GET":
            return Answer(200, read, {"ETag": MD5_OF_CAT})
        if request.method == "HEAD":
            is_copy = request.target.endswith("/trash/a")
            return Answer(404, b"", {}) if is_copy and not copied else Answer(200, b"", head)
        return Answer(200, b"", {"ETag": MD5_OF_CAT if read == b"cat" else '"opaque"'})

    with stub_store() as store:
        store.answer_by = answer
        with pytest.raises(BucketError) as caught:
            copy_object(open_bucket("s3://pics", store.options()), "a", "trash/a")
    assert caught.value.reason == "object-changed"


def test_copy_of_an_encrypted_object_needs_no_md5() -> None:
    headers = {"ETag": OPAQUE, "x-amz-server-side-encryption": "aws:kms"}

    def answer(request: Request) -> Answer:
        return Answer(
            200,
            b"cat" if request.method == "GET" else b"",
            {**headers, "Content-Length": "0" if request.method == "PUT" else "3"},
        )

    with stub_store() as store:
        store.answer_by = answer
        copy_object(open_bucket("s3://pics", store.options()), "a", "trash/a")
        assert "PUT" in {request.method for request in store.requests}


@pytest.mark.parametrize("kind", ["folder", "seaweedfs"])
def test_only_new_leaves_what_is_there(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bucket = open_bucket(tmp_path.as_uri()) if kind == "folder" else request.getfixturevalue("seaweedfs_bucket").bucket
    bucket.put("a.png", b"cat", media_type="image/png", only_new=True)
    with pytest.raises(BucketError) as caught:
        bucket.put("a.png", b"dog", media_type="image/png", only_new=True)
    assert (caught.value.reason, bucket.get("a.png")) == ("condition-failed", b"cat")
    assert [info.key for info in bucket.list()] == ["a.png"]


def test_large_copy_without_room_for_its_file_is_a_failure_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = open_bucket(tmp_path.as_uri())
    bucket.put("a.png", b"12345", media_type="image/png")
    monkeypatch.setattr(copying, "LARGE", 4)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(BucketError, match=r"'a.png' can't be copied: No such file or directory. Free space"):
        copy_object(bucket, "a.png", "trash/a.png")
    assert [info.key for info in bucket.list()] == ["a.png"]
