"""What is special about S3: headers, signatures, checksums, retries, credentials."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from stub_store import Answer, stub_store

from s3img.buckets import IMMUTABLE, AccessKey, S3Options, open_bucket
from s3img.errors import BucketError

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import S3Server, TestBucket


@pytest.fixture(params=["moto", "seaweedfs"])
def made(request: pytest.FixtureRequest) -> TestBucket:
    return request.getfixturevalue(f"{request.param}_bucket")


@pytest.mark.parametrize("size", [3, 17 << 20], ids=["one request", "parts"])
def test_put_stores_the_headers(made: TestBucket, size: int) -> None:
    made.bucket.put("a.webp", bytes(size), media_type="image/webp", metadata={"s3img": "1"})
    head = made.server.client().head_object(Bucket=made.name, Key="a.webp")
    assert (head["ContentType"], head["CacheControl"], head["Metadata"]) == ("image/webp", IMMUTABLE, {"s3img": "1"})
    assert head.get("ContentEncoding") is None


def test_put_without_a_cache_header_sends_none(made: TestBucket) -> None:
    made.bucket.put("a.webp", b"x", media_type="image/webp", cache_control="")
    assert "CacheControl" not in made.server.client().head_object(Bucket=made.name, Key="a.webp")


def test_anyone_can_read_through_the_public_url(made: TestBucket) -> None:
    made.bucket.put("d/a b.png", b"pixels", media_type="image/png")
    with urllib.request.urlopen(f"{made.public_url}/d/a%20b.png", timeout=10) as response:
        assert (response.read(), response.headers["Content-Type"]) == (b"pixels", "image/png")


def test_nobody_else_can_write_through_the_public_url(seaweedfs_bucket: TestBucket) -> None:
    request = urllib.request.Request(f"{seaweedfs_bucket.public_url}/a.png", data=b"x", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request, timeout=10):
        pass
    caught.value.close()
    assert caught.value.code == 403


@pytest.mark.parametrize("size", [3, 17 << 20], ids=["one request", "parts"])
def test_over_tls_the_bytes_are_stored_without_chunk_framing(
    seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    server = seaweedfs_bucket.server
    monkeypatch.setenv("AWS_CA_BUNDLE", server.ca_file)
    bucket = open_bucket(seaweedfs_bucket.address, server.options(endpoint_url=server.https_url))
    bucket.put("a.png", bytes(size), media_type="image/png")
    head = server.client().head_object(Bucket=seaweedfs_bucket.name, Key="a.png")
    assert (bucket.get("a.png"), head.get("ContentEncoding")) == (bytes(size), None)


def test_put_signs_the_content_and_sends_one_checksum() -> None:
    with stub_store() as store:
        open_bucket("s3://pics", store.options()).put("a.png", b"pixels", media_type="image/png")
    headers = store.requests[0].headers
    assert headers["x-amz-content-sha256"] == hashlib.sha256(b"pixels").hexdigest()
    assert headers["content-md5"] == base64.b64encode(hashlib.md5(b"pixels").digest()).decode()
    assert [name for name in headers if "checksum" in name or name in {"x-amz-trailer", "content-encoding"}] == []


def test_aws_gets_its_own_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    with stub_store() as store:
        monkeypatch.setenv("http_proxy", store.endpoint_url)
        options = store.options(endpoint_url="http://s3.us-east-1.amazonaws.com")
        open_bucket("s3://pics", options).put("a.png", b"pixels", media_type="image/png")
    headers = store.requests[0].headers
    assert headers["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(b"pixels").digest()).decode()
    assert not {"content-md5", "x-amz-trailer", "x-amz-checksum-crc32"} & set(headers)


def test_put_sends_no_acl_and_asks_for_nothing_else() -> None:
    with stub_store() as store:
        open_bucket("s3://pics/docs", store.options()).put("a b.png", b"x", media_type="image/png")
    assert [(one.method, one.target) for one in store.requests] == [("PUT", "/pics/docs/a%20b.png")]
    assert not [name for name in store.requests[0].headers if "acl" in name]


@pytest.mark.parametrize(
    "refusal",
    [Answer.error(503, "SlowDown"), Answer.error(500, "InternalError"), Answer.error(429, "TooManyRequests")],
    ids=lambda answer: str(answer.status),
)
def test_a_refused_put_is_tried_again(refusal: Answer) -> None:
    with stub_store(refusal, refusal, Answer()) as store:
        bucket = open_bucket("s3://pics", store.options(attempts=5))
        bucket.put("a.png", b"pixels", media_type="image/png")
    assert [one.body for one in store.requests] == [b"pixels"] * 3
    assert bucket.requests == {"put": 3}


def test_a_denied_put_is_not_tried_again() -> None:
    with stub_store(Answer.error(403, "AccessDenied")) as store:
        with pytest.raises(BucketError):
            open_bucket("s3://pics", store.options(attempts=5)).put("a.png", b"x", media_type="image/png")
        assert len(store.requests) == 1


def test_a_put_gives_up_after_its_attempts() -> None:
    with stub_store(Answer.error(503, "SlowDown")) as store:
        with pytest.raises(BucketError, match="overloaded"):
            open_bucket("s3://pics", store.options(attempts=3)).put("a.png", b"x", media_type="image/png")
        assert len(store.requests) == 3


def test_a_large_object_is_sent_in_parts(seaweedfs_bucket: TestBucket) -> None:
    seaweedfs_bucket.bucket.put("a.png", bytes(33 << 20), media_type="image/png")
    assert seaweedfs_bucket.bucket.requests == {"put": 5, "head": 1}


def test_a_changed_large_file_leaves_no_open_multipart_upload(seaweedfs_bucket: TestBucket) -> None:
    with pytest.raises(Exception, match="changed"):
        seaweedfs_bucket.bucket.put("a.png", bytes(17 << 20), media_type="image/png", sha256="0" * 64)
    assert not seaweedfs_bucket.server.client().list_multipart_uploads(Bucket=seaweedfs_bucket.name).get("Uploads")


def test_delete_goes_one_by_one_where_there_is_no_batch() -> None:
    with stub_store(Answer.error(501, "NotImplemented"), Answer(204, headers={})) as store:
        open_bucket("s3://pics", store.options()).delete(["a", "b"])
    assert [(one.method, one.target) for one in store.requests[1:]] == [("DELETE", "/pics/a"), ("DELETE", "/pics/b")]


def test_delete_names_the_object_that_could_not_be_removed() -> None:
    refused = (
        b"<DeleteResult><Error><Key>docs/b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"
    )
    with (
        stub_store(Answer(200, refused, {})) as store,
        pytest.raises(BucketError, match=r"s3:DeleteObject") as caught,
    ):
        open_bucket("s3://pics/docs", store.options()).delete(["a", "b"])
    assert (caught.value.bucket, caught.value.key) == ("s3://pics/docs", "b")


def test_one_client_serves_all_threads(moto_bucket: TestBucket) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: moto_bucket.bucket.put(str(n), str(n).encode(), media_type="text/plain"), range(64)))
    assert {info.key for info in moto_bucket.bucket.list()} == {str(n) for n in range(64)}


def test_anonymous_requests_are_not_signed(seaweedfs_bucket: TestBucket) -> None:
    seaweedfs_bucket.bucket.put("a.png", b"pixels", media_type="image/png")
    options = seaweedfs_bucket.server.options(access_key=None, anonymous=True)
    bucket = open_bucket(seaweedfs_bucket.address, options)
    assert (bucket.has_credentials(), bucket.get("a.png")) == (True, b"pixels")


def test_a_role_is_assumed_with_its_external_id(moto_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_bucket.server.endpoint_url)
    arn = "arn:aws:iam::123456789012:role/pictures"
    bucket = open_bucket(moto_bucket.address, moto_bucket.server.options(role_arn=arn, external_id="ours"))
    bucket.put("a.png", b"pixels", media_type="image/png")
    assert moto_bucket.bucket.get("a.png") == b"pixels"


def test_a_role_request_carries_the_role_and_the_external_id(monkeypatch: pytest.MonkeyPatch) -> None:
    with stub_store(Answer(403)) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", store.endpoint_url)
        options = store.options(role_arn="arn:aws:iam::123456789012:role/pictures", external_id="ours")
        with pytest.raises(BucketError):
            open_bucket("s3://pics", options).get("a.png")
    body = store.requests[0].body.decode()
    assert all(part in body for part in ("Action=AssumeRole", "role%2Fpictures", "ExternalId=ours"))


def test_a_profile_signs(seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = seaweedfs_bucket.server
    keys = f"aws_access_key_id={server.access_key}\naws_secret_access_key={server.secret_key}\n"
    (tmp_path / "credentials").write_text(f"[work]\n{keys}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    bucket = open_bucket(seaweedfs_bucket.address, server.options(access_key=None, profile="work"))
    assert (bucket.has_credentials(), list(bucket.list())) == (True, [])


def test_the_environment_signs(seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    server = seaweedfs_bucket.server
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    bucket = open_bucket(seaweedfs_bucket.address, server.options(access_key=None))
    assert (bucket.has_credentials(), list(bucket.list())) == (True, [])


def test_an_endpoint_without_a_region_is_signed_for_us_east_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with stub_store() as store:
        open_bucket("s3://pics", store.options()).put("a", b"x", media_type="image/png")
    assert "/us-east-1/s3/aws4_request" in store.requests[0].headers["authorization"]


def test_nothing_shows_the_secret(seaweedfs: S3Server) -> None:
    options = seaweedfs.options()
    bucket = open_bucket("s3://pics", options)
    shown = f"{options!r}{options}{options.access_key!r}{bucket!r}{bucket.name}"
    assert seaweedfs.secret_key not in shown
    assert seaweedfs.access_key not in shown


def test_a_bucket_opens_without_importing_boto3(tmp_path: Path) -> None:
    code = (
        "import sys; import s3img.buckets, s3img.transfer as t;"
        "s3 = s3img.buckets.open_bucket('s3://pics/docs'); s3.name;"
        f"d = s3img.buckets.open_bucket({tmp_path.as_uri()!r}); d.put('a', b'x', media_type='image/png');"
        "t.run_uploads(t.plan_uploads([], {}), s3);"
        "print([m for m in sys.modules if m.partition('.')[0] in {'boto3', 'botocore', 'urllib3', 's3transfer'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_options_without_anything_are_valid() -> None:
    assert S3Options() == S3Options(access_key=None)


def test_an_access_key_is_found_without_botocore() -> None:
    assert open_bucket("s3://pics", S3Options(access_key=AccessKey("a", "b"))).has_credentials()


def test_upload_of_a_killed_run_is_given_up_by_the_next_under_its_key(
    seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = seaweedfs_bucket.server.client()
    for key in ("a.png", "a.png.b"):
        client.create_multipart_upload(Bucket=seaweedfs_bucket.name, Key=key)
    seaweedfs_bucket.bucket.put("a.png", bytes(17 << 20), media_type="image/png")
    assert len(seaweedfs_bucket.bucket.unfinished()) == 2  # too young: another process may be at it
    monkeypatch.setattr("s3img.buckets.s3.s3_bucket._CLOCKS_DIFFER", -(10**6))
    seaweedfs_bucket.bucket.put("a.png", bytes(17 << 20), media_type="image/png")
    assert [upload.key for upload in seaweedfs_bucket.bucket.unfinished()] == ["a.png.b"]
