"""Each way a store can fail becomes an error of ours that names what, where and what to do, and no secret."""

from __future__ import annotations

import socket
import traceback
from typing import TYPE_CHECKING

import pytest
from stub_store import Answer, stub_store

from s3img.buckets import AccessKey, S3Options, open_bucket
from s3img.buckets.s3.explain import scrub
from s3img.errors import AccessDenied, BucketError, CredentialsError, ObjectNotFound, StoreBusy, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s3_servers import S3Server, TestBucket

    from s3img.buckets import Bucket

ACTIONS: dict[str, Callable[[Bucket], object]] = {
    "put": lambda bucket: bucket.put("pic/cat.png", b"x", media_type="image/png"),
    "get": lambda bucket: bucket.get("pic/cat.png"),
    "head": lambda bucket: bucket.head("pic/cat.png"),
    "list": lambda bucket: list(bucket.list("pic/")),
    "delete": lambda bucket: bucket.delete(["pic/cat.png"]),
}
PERMISSIONS = {
    "put": "s3:PutObject",
    "get": "s3:GetObject",
    "head": "s3:GetObject",
    "list": "s3:ListBucket",
    "delete": "s3:DeleteObject",
}


def failure(bucket: Bucket, action: str = "put") -> BucketError:
    with pytest.raises(BucketError) as caught:
        ACTIONS[action](bucket)
    assert type(caught.value).__module__ == "s3img.errors"
    assert caught.value.fix
    assert "During handling" not in "".join(traceback.format_exception(caught.value))
    return caught.value


def answered(answer: Answer, action: str = "put") -> BucketError:
    with stub_store(answer) as store:
        return failure(open_bucket("s3://pics", store.options()), action)


@pytest.mark.parametrize("action", ["put", "get", "list", "delete"])
def test_a_wrong_secret_is_a_credentials_error(seaweedfs: S3Server, action: str) -> None:
    key = AccessKey(seaweedfs.access_key, "wrong-secret")
    error = failure(open_bucket("s3://pics", seaweedfs.options(access_key=key)), action)
    assert (type(error), error.code, error.action) == (CredentialsError, "SignatureDoesNotMatch", action)


def test_an_unknown_access_key_is_a_credentials_error(seaweedfs: S3Server) -> None:
    error = failure(open_bucket("s3://pics", seaweedfs.options(access_key=AccessKey("unknownkey", "secret"))))
    assert (type(error), error.code) == (CredentialsError, "InvalidAccessKeyId")
    assert "S3IMG_ACCESS_KEY_ID" in error.fix


@pytest.mark.parametrize("action", ["put", "list", "delete"])
def test_an_anonymous_request_is_denied(seaweedfs_bucket: TestBucket, action: str) -> None:
    options = seaweedfs_bucket.server.options(access_key=None, anonymous=True)
    error = failure(open_bucket(seaweedfs_bucket.address, options), action)
    assert type(error) is AccessDenied
    assert PERMISSIONS[action] in error.fix


@pytest.mark.parametrize("action", ["put", "list", "delete", "get"])
@pytest.mark.parametrize("server", ["seaweedfs", "moto_server"])
def test_a_missing_bucket_is_named(request: pytest.FixtureRequest, server: str, action: str) -> None:
    options = request.getfixturevalue(server).options()
    error = failure(open_bucket("s3://no-such-bucket", options), action)
    assert (type(error), error.code) == (BucketError, "NoSuchBucket")
    assert "s3://no-such-bucket" in str(error)
    assert options.endpoint_url in str(error)


def test_a_missing_object_is_not_found(moto_bucket: TestBucket) -> None:
    error = failure(moto_bucket.bucket, "get")
    assert (type(error), error.code, error.key) == (ObjectNotFound, "NoSuchKey", "pic/cat.png")


@pytest.mark.parametrize("action", list(ACTIONS))
def test_every_action_explains_a_denial(action: str) -> None:
    error = answered(Answer.error(403, "AccessDenied", "User: arn:aws:iam::1:user/ci may not"), action)
    assert (type(error), error.action, error.bucket) == (AccessDenied, action, "s3://pics")
    assert PERMISSIONS[action] in error.fix


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Answer.error(403, "InvalidAccessKeyId"), CredentialsError, "S3IMG_ACCESS_KEY_ID"),
        (Answer.error(403, "SignatureDoesNotMatch"), CredentialsError, "S3IMG_SECRET_ACCESS_KEY"),
        (Answer.error(400, "ExpiredToken"), CredentialsError, "Sign in again"),
        (Answer.error(400, "InvalidToken"), CredentialsError, "Sign in again"),
        (Answer.error(403, "AccessDenied", "ACLs are off"), AccessDenied, "the store said: ACLs are off"),
        (Answer.error(403, "AccountProblem"), AccessDenied, "s3:PutObject"),
        (Answer.error(404, "NoSuchBucket"), BucketError, "no such bucket"),
        (Answer.error(400, "AuthorizationHeaderMalformed", "wrong; expecting 'eu-west-3'"), BucketError, "eu-west-3"),
        (Answer.error(301, "PermanentRedirect", x_amz_bucket_region="ap-south-1"), BucketError, "ap-south-1"),
        (Answer.error(403, "RequestTimeTooSkewed"), BucketError, "clock"),
        (Answer.error(400, "InvalidBucketName"), BucketError, "does not accept this bucket's name"),
        (Answer.error(403, "SecondLevelDomainForbidden"), BucketError, 'addressing_style = "virtual"'),
        (Answer.error(403, "PathStyleDomainForbidden"), BucketError, 'addressing_style = "virtual"'),
        (Answer.error(501, "NotImplemented", "A header"), BucketError, "it said: A header"),
        (Answer.error(405, "MethodNotAllowed"), BucketError, "does not offer"),
        (Answer.error(503, "SlowDown"), StoreBusy, "Lower `workers`"),
        (Answer.error(429, "TooManyRequests"), StoreBusy, "Lower `workers`"),
        (Answer(503, b"<html>busy</html>", {}), StoreBusy, "Lower `workers`"),
        (Answer.error(500, "InternalError", "We failed"), BucketError, "We failed"),
        (Answer(502, b"", {}), BucketError, "the store failed"),
        (Answer.error(400, "RequestTimeout"), Unreachable, "too long"),
        (Answer.error(411, "MissingContentLength"), BucketError, "proxy"),
        (Answer.error(400, "XAmzContentSHA256Mismatch"), BucketError, "arrived changed"),
        (Answer.error(400, "BadDigest"), BucketError, "arrived changed"),
        (Answer.error(400, "KeyTooLongError"), BucketError, "1024 bytes"),
        (Answer.error(400, "EntityTooLarge"), BucketError, "larger than the store accepts"),
        (Answer(413, b"<html>nginx</html>", {}), BucketError, "larger than the store accepts"),
        (Answer.error(403, "QuotaExceeded"), BucketError, "full"),
        (Answer.error(507, "XMinioStorageFull"), BucketError, "full"),
        (Answer.error(400, "SomethingNew", "Read the manual"), BucketError, "it said: Read the manual (SomethingNew)"),
        (Answer(403, b"<html>firewall</html>", {}), AccessDenied, "permission denied"),
        (Answer(200, b"<html>welcome</html>", {}), BucketError, "not that of an S3 store"),
    ],
    ids=lambda value: f"{value.status}-{value.body[28:70]!r}" if isinstance(value, Answer) else None,
)
def test_an_answer_of_a_store_is_explained(answer: Answer, kind: type[BucketError], words: str) -> None:
    error = answered(answer)
    assert type(error) is kind
    assert words in str(error)
    assert "'pic/cat.png'" in error.message


def test_a_key_that_is_not_unicode_is_explained() -> None:
    with stub_store() as store, pytest.raises(BucketError, match="not UTF-8"):
        open_bucket("s3://pics", store.options()).put("caf\udce9.png", b"x", media_type="image/png")


def test_an_error_names_the_key_as_the_caller_does() -> None:
    with stub_store(Answer.error(404, "NoSuchKey")) as store:
        error = failure(open_bucket("s3://pics/docs", store.options()), "get")
    assert (error.bucket, error.key) == ("s3://pics/docs", "pic/cat.png")


def test_a_denied_head_is_not_taken_for_a_missing_object() -> None:
    error = answered(Answer(403, b"", {}), "head")
    assert (type(error), error.code) == (AccessDenied, "403")


def test_a_website_in_place_of_a_store_is_recognised_in_a_list() -> None:
    error = answered(Answer(200, b"<!doctype html><p>welcome", {"Content-Type": "text/html"}), "list")
    assert "is the store's S3 interface" in error.fix


def test_a_truncated_object_is_not_returned() -> None:
    error = answered(Answer(200, b"half", {"Content-Length": "8", "ETag": '"e"', "Connection": "close"}), "get")
    assert type(error) is Unreachable


def test_a_closed_port_is_unreachable(unused_endpoint: str) -> None:
    error = failure(open_bucket("s3://pics", options_for(unused_endpoint)))
    assert (type(error), error.code) == (Unreachable, "EndpointConnection")
    assert unused_endpoint in str(error)


def test_an_unknown_host_is_unreachable() -> None:
    error = failure(open_bucket("s3://pics", options_for("https://s3.nowhere.invalid")))
    assert type(error) is Unreachable
    assert "s3.nowhere.invalid" in str(error)


@pytest.mark.slow
def test_a_host_that_does_not_accept_connections_is_unreachable() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):  # the queue of the listener is full after these
            client.setblocking(False)  # noqa: FBT003 - the standard library's signature
            client.connect_ex(listener.getsockname())
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        error = failure(open_bucket("s3://pics", options_for(endpoint)))
    assert (type(error), error.code) == (Unreachable, "ConnectTimeout")


@pytest.mark.slow
def test_a_silent_host_is_unreachable() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        error = failure(open_bucket("s3://pics", options_for(endpoint)))
    assert (type(error), error.code) == (Unreachable, "ReadTimeout")


def test_an_untrusted_certificate_is_explained(seaweedfs: S3Server) -> None:
    error = failure(open_bucket("s3://pics", seaweedfs.options(endpoint_url=seaweedfs.https_url, attempts=1)))
    assert (type(error), error.code) == (Unreachable, "SSL")
    assert "AWS_CA_BUNDLE" in error.fix


def test_tls_to_a_port_without_it_is_explained(seaweedfs: S3Server) -> None:
    endpoint = seaweedfs.endpoint_url.replace("http://", "https://")
    error = failure(open_bucket("s3://pics", seaweedfs.options(endpoint_url=endpoint, attempts=1)))
    assert (type(error), error.code) == (Unreachable, "SSL")


def test_a_proxy_that_is_gone_is_named(unused_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", unused_endpoint)
    monkeypatch.setenv("http_proxy", unused_endpoint)
    error = failure(open_bucket("s3://pics", options_for("http://s3.nowhere.invalid")))
    assert (type(error), error.code) == (Unreachable, "ProxyConnection")
    assert "HTTP_PROXY" in error.fix


def test_missing_credentials_are_explained(no_aws: None) -> None:
    bucket = open_bucket("s3://pics", S3Options(endpoint_url="http://127.0.0.1:9"))
    error = failure(bucket)
    assert not bucket.has_credentials()
    assert (type(error), error.code) == (CredentialsError, "NoCredentials")


def test_half_of_the_credentials_is_an_error_and_not_none(no_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(CredentialsError) as caught:
        open_bucket("s3://pics").has_credentials()
    assert caught.value.code == "PartialCredentials"


def test_an_unknown_profile_is_named(no_aws: None) -> None:
    error = failure(open_bucket("s3://pics", S3Options(profile="stagign")))
    assert (type(error), error.code) == (CredentialsError, "ProfileNotFound")
    assert "'stagign'" in str(error)


def test_a_profile_without_a_session_token_asks_to_sign_in(no_aws: Path) -> None:
    sso = "sso_start_url=https://example.com\nsso_region=eu-west-1\nsso_account_id=1\nsso_role_name=ci"
    (no_aws / "config").write_text(f"[profile work]\nregion=eu-west-1\n{sso}\n")
    error = failure(open_bucket("s3://pics", S3Options(profile="work")))
    assert type(error) is CredentialsError
    assert "aws sso login" in error.fix


def test_a_line_break_in_the_key_is_explained_without_repeating_it() -> None:
    with stub_store() as store:
        error = failure(
            open_bucket("s3://pics", store.options(access_key=AccessKey("broken\nkey", "secret", "tok\nen")))
        )
    assert (type(error), "line break" in error.message) == (CredentialsError, True)
    assert not any(part in f"{error}{error!r}" for part in ("broken", "tok", "Signature"))


def test_a_role_that_is_denied_is_explained(no_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not yours</Message></Error></ErrorResponse>"
    with stub_store(Answer(403, refusal)) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", store.endpoint_url)
        error = failure(open_bucket("s3://pics", store.options(role_arn="arn:aws:iam::123456789012:role/pics")))
    assert (type(error), error.code, "role_arn" in error.fix) == (CredentialsError, "AccessDenied", True)
    assert "not yours" in error.message


def test_a_bad_endpoint_of_the_environment_is_explained(no_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "s3.example.com")
    error = failure(open_bucket("s3://pics", S3Options(access_key=AccessKey("key", "secret"), region="us-east-1")))
    assert "AWS_ENDPOINT_URL" in str(error)


def test_what_a_store_says_is_quoted_without_keys_and_signatures() -> None:
    said = (
        "stubaccesskey AKIAIOSFODNN7EXAMPLE x?X-Amz-Credential=AB/1&amp;X-Amz-Signature=0f9&amp;X-Amz-Security-Token=T"
    )
    error = answered(Answer.error(403, "AccessDenied", said))
    assert not any(part in f"{error}{error!r}" for part in ("stubaccesskey", "AKIA", "AB/1", "0f9", "Token=T"))


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("nothing secret", "nothing secret"),
        ("the key AKIAIOSFODNN7EXAMPLE is gone", "the key … is gone"),
        ("ASIAIOSFODNN7EXAMPLE", "…"),
        ("Credential=AKIAX/20260101/s3, Signature=abc", "Credential=…, Signature=…"),
        ("https://h/k?X-Amz-Signature=abc&x=1", "https://h/k?X-Amz-Signature=…&x=1"),
        ("AWSAccessKeyId: minio", "AWSAccessKeyId: …"),
        ("user minio-root failed", "user … failed"),
    ],
)
def test_scrub_removes_secrets(text: str, scrubbed: str) -> None:
    assert scrub(text, "minio-root") == scrubbed


def options_for(endpoint_url: str) -> S3Options:
    key = AccessKey("key", "secret")
    return S3Options(
        endpoint_url=endpoint_url, access_key=key, connect_timeout=1.0, read_timeout=1.0, attempts=1, region="us-east-1"
    )


@pytest.fixture
def unused_endpoint() -> Iterator[str]:
    """An address that refuses connections: bound, so that nobody else takes it, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which botocore finds no credentials."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path
