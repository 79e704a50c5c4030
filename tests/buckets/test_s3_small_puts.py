"""Puts after the first one, which leave out most of botocore: the same requests, attempts and errors."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import pytest
from fault_proxy import fault_proxy
from moto import mock_aws
from stub_store import Answer, Request, StubStore, stub_store

from s3img.buckets import AccessKey, Bucket, S3Options, open_bucket
from s3img.buckets.s3.small_puts import Example
from s3img.errors import AccessDenied, AssetError, BucketError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from s3_servers import TestBucket

KEY = AccessKey("stubaccesskey", "stubsecretkey", "stub-session-token")
OWN = {"authorization", "x-amz-date", "amz-sdk-invocation-id", "amz-sdk-request"}
ERROR_IN_A_SUCCESS = Answer(200, b"<Error><Code>InternalError</Code><Message>no</Message></Error>")


def with_boto3(made: TestBucket, **changes: Any) -> Any:
    return open_bucket(made.address, made.server.options(transport="boto3", **changes))


def put(bucket: Bucket, key: str = "a.png", data: bytes = b"pixels", **changes: Any) -> None:
    bucket.put(key, data, **{"media_type": "image/png", **changes})


def is_short(request: Request) -> bool:
    """Tell the two ways apart: only botocore itself numbers its attempts."""
    return "amz-sdk-request" not in request.headers


def used(store: StubStore, **changes: Any) -> Bucket:
    """Open a bucket that has put one object."""
    bucket = open_bucket("s3://pics/docs", store.options(**changes))
    put(bucket, "first.png")
    return bucket


@pytest.mark.parametrize(("size", "expect"), [(3, None), (1 << 20, None), ((1 << 20) + 1, "100-continue")])
@pytest.mark.parametrize("before", [0, 1], ids=["first", "later"])
def test_only_a_large_put_waits_until_the_store_wants_it(size: int, expect: str | None, before: int) -> None:
    with stub_store() as store:
        bucket = open_bucket("s3://pics", store.options())
        for _ in range(before + 1):
            put(bucket, data=bytes(size))
    assert store.requests[before].headers.get("expect") == expect


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("ab/0f.webp", {"media_type": "image/webp", "metadata": {"s3img": "1", "Sha": "x, y"}}),
        ("a b/ä+(1)~&?#%20=.png", {"cache_control": ""}),
        ("/a//b/./c.png", {"cache_control": "no-store, max-age=0"}),
        ("empty.txt", {"media_type": "text/plain; charset=utf-8", "data": b""}),
        ("known.png", {"sha256": hashlib.sha256(b"pixels").hexdigest()}),
    ],
)
def test_later_put_sends_what_a_first_one_would(key: str, changes: dict[str, Any]) -> None:
    with stub_store() as store:
        for bucket in (used(store, access_key=KEY), open_bucket("s3://pics/docs", store.options(access_key=KEY))):
            put(bucket, key, **changes)
    _, later, first = store.requests
    assert (is_short(later), is_short(first)) == (True, False)
    assert (later.method, later.target, later.body) == (first.method, first.target, first.body)
    assert without(OWN, later.headers) == without(OWN, first.headers)
    assert signed_names(later) == signed_names(first)


def without(names: set[str], headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def signed_names(request: Request) -> str:
    return request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]


def test_aws_gets_its_own_checksum_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with stub_store() as store:
        monkeypatch.setenv("http_proxy", store.endpoint_url)
        used_bucket = used(store, endpoint_url="http://s3.eu-west-3.amazonaws.com", region="eu-west-3")
        put(used_bucket, data=b"other")
    first, later = store.requests
    assert is_short(later)
    assert later.target == first.target.replace("first.png", "a.png")
    assert first.headers["x-amz-checksum-sha256"] != later.headers["x-amz-checksum-sha256"]
    assert "/eu-west-3/s3/aws4_request" in later.headers["authorization"]


def test_a_strict_store_takes_what_many_threads_put(seaweedfs_bucket: TestBucket) -> None:
    contents = {f"d {n}/ö+{n}.png": bytes(range(n)) for n in range(1, 65)}
    bucket = with_boto3(seaweedfs_bucket)
    put(bucket, "first.png")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: put(bucket, key, contents[key]), contents))
    assert {key: bucket.get(key) for key in contents} == contents
    assert bucket.requests == {"put": 65, "get": 64}


@pytest.mark.parametrize(
    "refusal",
    [Answer.error(503, "SlowDown"), Answer.error(500, "InternalError"), Answer.error(429, "Slow"), ERROR_IN_A_SUCCESS],
    ids=["503", "500", "429", "error in a 200"],
)
def test_a_refused_later_put_is_tried_as_often_as_a_first_one(refusal: Answer) -> None:
    with stub_store(Answer(), refusal, refusal, Answer()) as store:
        bucket = used(store, attempts=3)
        put(bucket)
    assert [one.body for one in store.requests[1:]] == [b"pixels"] * 3
    assert [is_short(one) for one in store.requests] == [False, True, False, False]
    assert bucket.requests == {"put": 4}


@pytest.mark.parametrize(
    ("answer", "attempts", "sent"),
    [
        (Answer.error(403, "AccessDenied"), 5, 1),
        (Answer.error(503, "SlowDown"), 2, 2),
        (Answer.error(503, "SlowDown"), 1, 1),
        (Answer(200, headers={}), 5, 1),
        (Answer(200, b"<html>hello</html>", {}), 5, 1),
    ],
    ids=["denied", "busy", "busy, one attempt", "no ETag", "a web page"],
)
def test_a_later_put_fails_like_a_first_one(answer: Answer, attempts: int, sent: int) -> None:
    with stub_store(answer) as store:
        with pytest.raises(BucketError) as first:
            put(open_bucket("s3://pics/docs", store.options(attempts=attempts)))
        store.answers = [Answer(), answer]
        store.requests.clear()
        bucket = used(store, attempts=attempts)
        with pytest.raises(BucketError) as later:
            put(bucket)
        assert len(store.requests) == 1 + sent
    assert (type(later.value), str(later.value)) == (type(first.value), str(first.value))
    assert bucket.requests == {"put": 1 + sent}


@pytest.mark.parametrize("fault", ["half arrives", "answer is lost", "garbage", "silence"])
def test_a_connection_that_breaks_is_tried_again(seaweedfs_bucket: TestBucket, fault: str) -> None:
    with fault_proxy(seaweedfs_bucket.server.endpoint_url) as proxy:
        bucket = with_boto3(seaweedfs_bucket, endpoint_url=proxy.endpoint_url, read_timeout=1, attempts=3)
        put(bucket, "first.png")
        proxy.faults = chain([fault], repeat(""))
        put(bucket, data=bytes(50_000))
    assert (seaweedfs_bucket.bucket.get("a.png"), bucket.requests["put"]) == (bytes(50_000), 3)


def test_a_put_after_a_failed_one_is_not_taken_for_it() -> None:
    with stub_store(Answer(), Answer.error(403, "AccessDenied"), Answer()) as store:
        bucket = used(store)
        with pytest.raises(AccessDenied):
            put(bucket)
        put(bucket, data=b"other")
        put(bucket, data=bytes(2 << 20))
    assert [len(one.body) for one in store.requests] == [6, 6, 5, 2 << 20]


def test_a_changed_file_is_not_sent_the_short_way() -> None:
    with stub_store() as store:
        bucket = used(store)
        with pytest.raises(AssetError, match="changed"):
            put(bucket, sha256="0" * 64)
        assert len(store.requests) == 1


def test_where_the_short_way_is_closed_botocore_goes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.buckets.s3.client._KnownBody.payload", None)  # another version may have other insides
    with stub_store() as store:
        bucket = used(store)
        put(bucket)
    assert [is_short(one) for one in store.requests] == [False, False]
    assert bucket.requests == {"put": 2}


def test_unsigned_puts_stay_unsigned() -> None:
    with stub_store() as store:
        put(used(store, access_key=None, anonymous=True))
    assert [(is_short(one), "authorization" in one.headers) for one in store.requests] == [(False, False)] * 2


def test_credentials_that_end_soon_are_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, program, config = (tmp_path / name for name in ("calls", "credentials.py", "config"))
    program.write_text(_PROGRAM.format(calls=str(calls)))
    config.write_text(f"[profile short]\ncredential_process = {sys.executable} {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with stub_store() as store:
        put(used(store, access_key=None, profile="short"))
    first, later = (int(request.headers["x-amz-security-token"]) for request in store.requests)
    assert (is_short(store.requests[1]), later > first) == (True, True)


_PROGRAM = """
import datetime, json, os
open({calls!r}, "a").write(".")
end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)).isoformat()
token = str(os.path.getsize({calls!r}))
print(json.dumps(dict(Version=1, AccessKeyId="key", SecretAccessKey="secret", SessionToken=token, Expiration=end)))
"""


def test_mock_aws_answers_the_short_way_too() -> None:
    with mock_aws():
        bucket: Any = open_bucket(
            "s3://pics", S3Options(region="us-east-1", access_key=AccessKey("a", "b"), transport="boto3")
        )
        bucket._connected().create_bucket(Bucket="pics")
        for number in range(3):
            put(bucket, str(number), str(number).encode())
        assert [bucket.get(str(number)) for number in range(3)] == [b"0", b"1", b"2"]


PARAMS = {"Key": "a b.png", "ContentType": "image/png", "Metadata": {"s3img": "1"}, "Body": b""}
SENT = {"Content-Type": "image/png", "x-amz-meta-s3img": "1", "User-Agent": "s3img/1", "X-Amz-Date": "20250101T000000Z"}
SIGNED = "AWS4-HMAC-SHA256 Credential=KEY/20250101/auto/s3/aws4_request, SignedHeaders=host, Signature=0"
URL = "https://pics.example.org/a%20b.png"


def test_an_example_is_read_from_a_request() -> None:
    found = Example.of(URL, {**SENT, "Authorization": SIGNED}, PARAMS)
    assert found == Example("https://pics.example.org/", "auto", "s3", "s3img/1")


@pytest.mark.parametrize(
    ("url", "changes"),
    [
        (URL, {"Authorization": ""}),
        (URL, {"Authorization": SIGNED.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")}),
        (URL, {"x-amz-s3session-token": "express"}),
        (URL, {"Content-Encoding": "aws-chunked"}),
        (URL, {"x-amz-meta-s3img": "2"}),
        (f"{URL}?x-id=PutObject", {}),
    ],
)
def test_a_request_that_is_not_understood_is_no_example(url: str, changes: dict[str, str]) -> None:
    assert Example.of(url, {**SENT, "Authorization": SIGNED, **changes}, PARAMS) is None
