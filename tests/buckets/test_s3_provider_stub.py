"""Stores that answer as R2, B2, Spaces and others are documented to; no request leaves this machine."""

from __future__ import annotations

import base64
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from stub_store import Answer, Request, stub_store

from s3img.buckets import AccessKey, Bucket, S3Options, open_bucket
from s3img.buckets.s3 import facts
from s3img.errors import BucketError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stub_store import StubStore

OK = Answer()
DELETED = Answer(200, b"<DeleteResult></DeleteResult>")
NONE = Answer(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
R2, B2 = "http://0a1b.r2.cloudflarestorage.com", "http://s3.us-west-004.backblazeb2.com"
SPACES, GCS = "http://fra1.digitaloceanspaces.com", "http://storage.googleapis.com"
TIGRIS, AWS = "http://t3.storage.dev", "http://s3.us-east-1.amazonaws.com"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubStore]:
    """A stub that receives what is sent to any host: it is the proxy, so requests name the host."""
    with stub_store() as running:
        monkeypatch.setenv("HTTP_PROXY", running.endpoint_url)
        monkeypatch.setenv("http_proxy", running.endpoint_url)
        yield running


def opened(endpoint_url: str, **changes: object) -> Bucket:
    key = AccessKey("stubaccesskey", "stubsecretkey")
    options = {"endpoint_url": endpoint_url, "access_key": key, "attempts": 1, "use_obstore": False, **changes}
    return open_bucket("s3://pics", S3Options(**options))


def put(bucket: Bucket, key: str = "a.png") -> None:
    bucket.put(key, b"x", media_type="image/png")


def region_of(request: Request) -> str:
    return request.headers["authorization"].partition("Credential=")[2].split("/")[2]


def sums(request: Request) -> set[str]:
    return {
        name
        for name in request.headers
        if name.startswith("x-amz-checksum") or name in {"content-md5", "x-amz-trailer"}
    }


@pytest.mark.parametrize(
    ("endpoint", "target", "region"),
    [
        (R2, f"{R2}/pics/a.png", "auto"),
        (B2, f"{B2}/pics/a.png", "us-west-004"),
        (SPACES, "http://pics.fra1.digitaloceanspaces.com/a.png", "fra1"),
        (GCS, f"{GCS}/pics/a.png", "auto"),
        (TIGRIS, "http://pics.t3.storage.dev/a.png", "auto"),
        ("http://s3.oss-cn-hangzhou.aliyuncs.com", "http://pics.s3.oss-cn-hangzhou.aliyuncs.com/a.png", "cn-hangzhou"),
        ("http://cos.ap-guangzhou.myqcloud.com", "http://pics.cos.ap-guangzhou.myqcloud.com/a.png", "ap-guangzhou"),
    ],
)
def test_each_service_is_addressed_and_signed_to_in_its_way(
    store: StubStore, endpoint: str, target: str, region: str
) -> None:
    put(opened(endpoint))
    assert (store.requests[0].target, region_of(store.requests[0])) == (target, region)


def test_a_region_of_the_environment_does_not_overrule_a_services_own(
    store: StubStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    put(opened(R2))
    assert region_of(store.requests[0]) == "auto"


@pytest.mark.parametrize(
    ("endpoint", "name"), [(R2, "content-md5"), (B2, "content-md5"), (AWS, "x-amz-checksum-sha256")]
)
def test_each_object_goes_with_one_checksum_and_a_plain_body(store: StubStore, endpoint: str, name: str) -> None:
    put(opened(endpoint))
    assert sums(store.requests[0]) == {name}
    assert store.requests[0].body == b"x"
    assert "x-amz-sdk-checksum-algorithm" not in store.requests[0].headers or endpoint == AWS


@pytest.mark.parametrize(
    ("endpoint", "names"),
    [(R2, {"content-md5"}), (B2, {"content-md5"}), (TIGRIS, {"x-amz-checksum-crc32"}), (AWS, {"x-amz-checksum-crc32"})],
)
def test_a_list_of_keys_goes_with_the_checksum_that_the_service_knows(
    store: StubStore, endpoint: str, names: set[str]
) -> None:
    store.answers = [DELETED]
    opened(endpoint).delete(["a", "b"])
    request = store.requests[0]
    assert (len(store.requests), sums(request)) == (1, names)
    digest = base64.b64encode(hashlib.md5(request.body).digest()).decode()
    assert request.headers.get("content-md5", digest) == digest


def test_google_is_never_asked_to_delete_a_list(store: StubStore) -> None:
    opened(GCS).delete(["a", "b"])
    assert [request.method for request in store.requests] == ["DELETE", "DELETE"]


@pytest.mark.parametrize(
    "refusal",
    [
        Answer.error(501, "NotImplemented", "A header you provided implies functionality that is not implemented"),
        Answer.error(400, "InvalidRequest", "Missing required header for this request: Content-MD5"),
        Answer.error(400, "InvalidArgument", "Unsupported header 'x-amz-sdk-checksum-algorithm' received"),
        Answer.error(405, "MethodNotAllowed"),
    ],
)
def test_a_store_that_can_not_delete_a_list_is_asked_once_and_then_key_by_key(
    store: StubStore, refusal: Answer
) -> None:
    store.answers = [refusal, OK]
    bucket = opened("http://s3.example.org")
    bucket.delete(["a", "b"])
    bucket.delete(["c"])
    assert [request.method for request in store.requests] == ["POST", "DELETE", "DELETE", "DELETE"]


def test_a_store_that_was_busy_is_asked_to_delete_a_list_again(store: StubStore) -> None:
    store.answers = [Answer.error(503, "SlowDown"), OK, DELETED]
    bucket = opened("http://s3.example.org")
    bucket.delete(["a"])
    bucket.delete(["b"])
    assert [request.method for request in store.requests] == ["POST", "DELETE", "POST"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        # R2: https://developers.cloudflare.com/r2/api/s3/api/
        (
            Answer.error(501, "NotImplemented", "Header 'x-amz-checksum-crc32' with value 'x' not implemented"),
            "checksum-refused",
        ),
        (
            Answer.error(400, "InvalidRequest", "You can only specify one non-default checksum at a time."),
            "checksum-refused",
        ),
        # B2: https://www.backblaze.com/docs/cloud-storage-s3-compatible-api
        (
            Answer.error(400, "InvalidArgument", "Unsupported header 'x-amz-checksum-sha256' received"),
            "checksum-refused",
        ),
        (Answer.error(501, "NotImplemented", "A header you provided implies functionality"), "not-offered"),
        # OSS: code 0017-00000804
        (
            Answer.error(
                400, "InvalidArgument", "aws-chunked encoding is not supported with the specified x-amz-content-sha256"
            ),
            "checksum-refused",
        ),
        (
            Answer.error(400, "InvalidRequest", "Missing required header for this request: Content-MD5"),
            "checksum-missing",
        ),
        (Answer.error(400, "MissingContentMD5"), "checksum-missing"),
        (Answer.error(411, "MissingContentLength"), "length-refused"),
        (Answer.error(412, "PreconditionFailed"), "condition-failed"),
    ],
)
def test_what_a_service_does_not_know_is_told_apart(store: StubStore, answer: Answer, reason: str) -> None:
    store.answers = [answer]
    with pytest.raises(BucketError) as caught:
        put(opened(R2))
    assert caught.value.reason == reason


MALFORMED = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-3'"


def region_field(status: int, code: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>no</Message><Region>eu-west-3</Region></Error>"
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})


@pytest.mark.parametrize(
    "refusal",
    [
        Answer.error(400, "AuthorizationHeaderMalformed", MALFORMED),
        region_field(400, "AuthorizationHeaderMalformed"),
        region_field(301, "PermanentRedirect"),
        Answer.error(301, "PermanentRedirect", x_amz_bucket_region="eu-west-3"),
        Answer.error(400, "IllegalLocationConstraintException", x_amz_bucket_region="eu-west-3"),
        Answer.error(400, "InvalidRegion", MALFORMED),
    ],
)
def test_the_region_that_a_store_names_is_followed_and_remembered(
    store: StubStore, refusal: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    store.answers = [refusal]
    store.answer_by = lambda request: OK if region_of(request) == "eu-west-3" else refusal
    bucket = opened("http://s3.example.org", region="us-east-1")
    put(bucket)
    put(bucket, "b.png")
    assert [region_of(request) for request in store.requests] == ["us-east-1", "eu-west-3", "eu-west-3"]
    assert {request.target for request in store.requests[:2]} == {"http://s3.example.org/pics/a.png"}
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == ['s3://pics is in region eu-west-3: set region = "eu-west-3" to save requests.']


@pytest.mark.parametrize("action", ["list", "get", "head", "delete", "large put"])
def test_every_action_follows_a_region(store: StubStore, action: str) -> None:
    headers = {"ETag": '"e"', "Content-Type": "application/xml"}
    started = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
    finished = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
    bodies = {"list": NONE.body, "delete": DELETED.body, "get": b"x"}

    def answer(request: Request) -> Answer:
        if region_of(request) != "eu-west-3":
            return Answer(400, b"", {"x-amz-bucket-region": "eu-west-3"})
        if action == "large put" and request.method == "HEAD":
            return Answer(200, b"", {**headers, "Content-Length": str(17 << 20)})
        if action == "large put":
            return Answer(200, started if request.target.endswith("?uploads") else finished, headers)
        return Answer(200, bodies.get(action, b""), headers)

    store.answer_by = answer
    bucket = opened("http://s3.example.org", region="us-east-1")
    actions = {
        "list": lambda: list(bucket.list()),
        "get": lambda: bucket.get("k"),
        "head": lambda: bucket.head("k"),
        "delete": lambda: bucket.delete(["k"]),
        "large put": lambda: bucket.put("k", bytes(17 << 20), media_type="image/png"),
    }
    actions[action]()
    assert region_of(store.requests[-1]) == "eu-west-3"


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        (AWS, "http://s3.eu-west-3.amazonaws.com/pics/a.png"),
        (B2, "http://s3.eu-west-3.backblazeb2.com/pics/a.png"),
        ("http://s3.us-east-1.wasabisys.com", "http://s3.eu-west-3.wasabisys.com/pics/a.png"),
        ("http://s3.example.org", "http://s3.example.org/pics/a.png"),
        (R2, f"{R2}/pics/a.png"),
    ],
)
def test_another_region_is_looked_for_at_the_services_own_addresses_only(
    store: StubStore, endpoint: str, target: str
) -> None:
    refusal = Answer.error(301, "PermanentRedirect", x_amz_bucket_region="eu-west-3", Location="http://evil.example/")
    store.answer_by = lambda request: OK if request.target == target and region_of(request) == "eu-west-3" else refusal
    put(opened(endpoint))
    assert store.requests[-1].target == target
    assert not any("evil" in request.target for request in store.requests)


@pytest.mark.parametrize("region", ["evil.example/", "x@evil", "a b", "EU", "e" * 80, "-"])
def test_a_region_that_is_none_is_not_followed(store: StubStore, region: str) -> None:
    store.answers = [Answer.error(400, "AuthorizationHeaderMalformed", f"expecting '{region}'")]
    with pytest.raises(BucketError) as caught:
        put(opened("http://s3.us-east-1.wasabisys.com"))
    assert (caught.value.reason, caught.value.region, len(store.requests)) == ("wrong-region", "", 1)


def test_many_threads_follow_a_region_once(store: StubStore, caplog: pytest.LogCaptureFixture) -> None:
    refusal = region_field(400, "AuthorizationHeaderMalformed")
    store.answer_by = lambda request: OK if region_of(request) == "eu-west-3" else refusal
    bucket = opened("http://s3.example.org", region="us-east-1")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(bucket, f"{number}.png"), range(24)))
    assert len({request.target for request in store.requests if region_of(request) == "eu-west-3"}) == 24
    assert len([record for record in caplog.records if "is in region" in record.getMessage()]) == 1


def test_a_redirect_without_a_region_ends(store: StubStore) -> None:
    store.answers = [Answer.error(301, "PermanentRedirect")]
    with pytest.raises(BucketError) as caught:
        put(opened("http://s3.example.org"))
    assert (caught.value.reason, caught.value.region, len(store.requests)) == ("wrong-region", "", 1)


def test_regions_that_point_at_each_other_end(store: StubStore) -> None:
    regions = {"us-east-1": "eu-west-3", "eu-west-3": "us-east-1"}
    store.answer_by = lambda request: Answer.error(
        400, "AuthorizationHeaderMalformed", f"expecting '{regions[region_of(request)]}'"
    )
    with pytest.raises(BucketError) as caught:
        put(opened("http://s3.example.org", region="us-east-1"))
    assert (caught.value.reason, len(store.requests)) == ("wrong-region", 2)


def test_a_store_without_cors_rules_says_so(store: StubStore) -> None:
    store.answers = [Answer.error(501, "NotImplemented", "This bucket operation is not implemented")]
    with pytest.raises(BucketError) as caught:
        facts.read_rules(opened(SPACES), "pics")
    assert (caught.value.reason, caught.value.action) == ("not-offered", "cors")


def test_a_delete_of_what_is_not_there_is_no_error_at_google(store: StubStore) -> None:
    store.answers = [Answer.error(404, "NoSuchKey")]
    opened(GCS).delete(["gone.png"])
    assert [request.method for request in store.requests] == ["DELETE"]


def test_a_missing_bucket_is_an_error_of_a_delete(store: StubStore) -> None:
    store.answers = [Answer.error(404, "NoSuchBucket")]
    with pytest.raises(BucketError) as caught:
        opened(GCS).delete(["gone.png"])
    assert caught.value.reason == "no-bucket"


def test_a_store_may_say_of_keys_that_they_are_not_there(store: StubStore) -> None:
    body = b"<DeleteResult><Error><Key>a.png</Key><Code>NoSuchKey</Code></Error></DeleteResult>"
    store.answers = [Answer(200, body)]
    opened(R2).delete(["a.png", "b.png"])
    assert len(store.requests) == 1


def test_an_unfinished_upload_without_a_time_is_nobodys_to_give_up(store: StubStore) -> None:
    told = b"<Upload><Key>a.png</Key><UploadId>1</UploadId></Upload>"
    store.answers = [Answer(200, b"<ListMultipartUploadsResult>" + told + b"</ListMultipartUploadsResult>")]
    assert opened(R2).unfinished() == []
