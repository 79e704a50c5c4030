"""Objects that never replace another one, also where a store passes over ``If-None-Match`` (as rclone does)."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from s3_servers import S3Server, TestBucket, new_bucket
from stub_store import Answer, stub_store

from s3img.buckets import open_bucket
from s3img.buckets.copying import copy_object
from s3img.buckets.key_claims import CLAIMS, put_new
from s3img.errors import AccessDenied, BucketError

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.buckets import Bucket

PUT = {"media_type": "image/png"}
KEYS = [f"i/{number}.png" for number in range(8)]

WRITER = """
import json, sys
from s3img.buckets import AccessKey, S3Options, open_bucket
from s3img.buckets.key_claims import put_new
from s3img.errors import BucketError
address, endpoint, key, secret, word = sys.argv[1:]
options = S3Options(endpoint_url=endpoint, access_key=AccessKey(key, secret), region="us-east-1", use_obstore=False)
bucket = open_bucket(address, options)
bucket.refuses_taken()
print("ready", flush=True)
stored = []
for name in json.loads(sys.stdin.readline()):
    try:
        put_new(bucket, name, word.encode(), media_type="image/png")
    except BucketError as error:
        assert error.reason == "condition-failed", error
    else:
        stored.append(name)
print(json.dumps(stored))
"""


@pytest.fixture
def ignoring(rclone: S3Server) -> TestBucket:
    """A bucket of a store that passes over the condition."""
    return new_bucket(rclone, use_obstore=False)


def names(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list()}


@pytest.mark.parametrize(("server", "wanted"), [("moto_server", True), ("seaweedfs", True), ("rclone", False)])
def test_store_is_asked_once_whether_it_refuses_taken_keys(
    request: pytest.FixtureRequest, server: str, *, wanted: bool
) -> None:
    bucket = new_bucket(request.getfixturevalue(server), use_obstore=False).bucket
    assert [bucket.refuses_taken() for _ in range(3)] == [wanted] * 3
    assert (bucket.requests["put"], names(bucket)) == (2, set())


def test_processes_never_replace_each_others_object(ignoring: TestBucket) -> None:
    server = ignoring.server
    where = [ignoring.address, server.endpoint_url, server.access_key, server.secret_key]
    command = [sys.executable, "-c", WRITER, *where]
    writers = [
        subprocess.Popen([*command, word], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for word in ("cat", "dog")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(json.dumps(KEYS) + "\n")
        writer.stdin.flush()
    first, second = (json.loads(writer.communicate(timeout=120)[0]) for writer in writers)
    assert sorted(first + second) == KEYS
    stored = {key: ignoring.bucket.get(key) for key in KEYS}
    assert stored == {key: b"cat" if key in first else b"dog" for key in KEYS}
    assert names(ignoring.bucket) == {*KEYS}


def test_threads_never_replace_each_others_object(ignoring: TestBucket) -> None:
    start = threading.Barrier(4)

    def put(number: int) -> bool:
        bucket = open_bucket(ignoring.address, ignoring.options)
        bucket.refuses_taken()
        start.wait()
        with suppress(BucketError):
            put_new(bucket, "a.png", bytes([number]), **PUT)
            return True
        return False

    with ThreadPoolExecutor(4) as pool:
        done = [*pool.map(put, range(4))]
    assert done.count(True) == 1
    assert ignoring.bucket.get("a.png") == bytes([done.index(True)])
    assert names(ignoring.bucket) == {"a.png"}


def test_copy_never_replaces_in_a_store_without_conditions(ignoring: TestBucket) -> None:
    bucket = ignoring.bucket
    for key in ("a.png", "b.png"):
        bucket.put(key, key.encode(), **PUT)
    with pytest.raises(BucketError, match="there already"):
        copy_object(bucket, "a.png", "b.png", only_new=True)
    copy_object(bucket, "a.png", "c.png", only_new=True)
    assert [bucket.get(key) for key in ("b.png", "c.png")] == [b"b.png", b"a.png"]
    assert names(bucket) == {"a.png", "b.png", "c.png"}


class Claimed:
    """A bucket without conditions, in whose listing of claims another process is seen; ``age`` in seconds."""

    def __init__(self, bucket: Bucket, *, age: float = 0, times: float = 1e9, name: str = "") -> None:
        self._bucket, self._age, self._times = bucket, age, times
        self._name = name or f"9-{0:032}"
        self.deleted: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)

    def refuses_taken(self) -> bool:
        return False

    def list(self, prefix: str = "") -> list[Any]:
        found = [*self._bucket.list(prefix)]
        if self._times <= 0 or not found:
            return found
        self._times -= 1
        other = replace(found[0], key=prefix + self._name, modified=found[0].modified - timedelta(seconds=self._age))
        return [*found, other]

    def delete(self, keys: Any) -> None:
        self.deleted += (taken := [*keys])
        self._bucket.delete(taken)


def folder_bucket(folder: Path) -> Bucket:
    return open_bucket(folder.as_uri())


def test_key_that_another_process_writes_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.buckets.key_claims._PATIENCE", 0.2)
    busy: Any = Claimed(folder_bucket(tmp_path))
    with pytest.raises(BucketError, match="being written by others") as caught:
        put_new(busy, "a.png", b"x", **PUT)
    assert caught.value.reason == "condition-failed"
    assert names(folder_bucket(tmp_path)) == set()


@pytest.mark.slow
def test_key_is_had_when_the_other_process_is_done(tmp_path: Path) -> None:
    for name in (f"99-{0:032}", f"99-{'f' * 32}"):  # before and behind one's own in the order of names
        busy: Any = Claimed(folder_bucket(tmp_path / name), times=2, name=name)
        put_new(busy, "a.png", b"x", **PUT)
        assert names(folder_bucket(tmp_path / name)) == {"a.png"}


def test_claim_of_a_killed_process_counts_no_longer_after_its_time(tmp_path: Path) -> None:
    late: Any = Claimed(folder_bucket(tmp_path), age=11)
    put_new(late, "a.png", b"x", **PUT)
    assert any(key.startswith(CLAIMS) and "/9-" in key for key in late.deleted)
    assert names(folder_bucket(tmp_path)) == {"a.png"}


@pytest.mark.slow
def test_listing_without_ones_own_claim_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.buckets.key_claims._PATIENCE", 0.2)
    empty: Any = Claimed(folder_bucket(tmp_path))
    empty.list = lambda prefix="": []
    with pytest.raises(BucketError, match="being written by others"):
        put_new(empty, "a.png", b"x", **PUT)
    assert names(folder_bucket(tmp_path)) == set()


def test_process_that_was_frozen_claims_the_key_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the others and the write, others may have seen its claim go out of date."""
    moments = itertools.chain([0.0, 0.0, 31.0], itertools.repeat(1.0))
    monkeypatch.setattr("s3img.buckets.key_claims.time.monotonic", lambda: next(moments))
    alone: Any = Claimed(folder_bucket(tmp_path), times=0)
    put_new(alone, "a.png", b"x", **PUT)
    assert len([key for key in alone.deleted if key.startswith(CLAIMS)]) == 2


def test_credentials_that_may_not_claim_leave_it_to_the_store(tmp_path: Path) -> None:
    class Uploads(Claimed):
        def put(self, key: str, source: bytes, **more: Any) -> None:
            if key.startswith(CLAIMS):
                raise AccessDenied("no", key=key)
            self._bucket.put(key, source, **more)

    limited: Any = Uploads(folder_bucket(tmp_path))
    put_new(limited, "a.png", b"x", **PUT)
    with pytest.raises(BucketError) as caught:
        put_new(limited, "a.png", b"y", **PUT)
    assert (caught.value.reason, limited.get("a.png")) == ("condition-failed", b"x")


def test_answer_that_tells_nothing_of_conditions_is_an_error() -> None:
    with stub_store(Answer.error(500, "InternalError")) as store:
        bucket = open_bucket("s3://pics", store.options(attempts=1))
        with pytest.raises(BucketError):
            bucket.refuses_taken()
        store.answer_by = lambda request: (
            Answer.error(501, "NotImplemented") if request.method == "PUT" else Answer(204)
        )
        assert not bucket.refuses_taken()
