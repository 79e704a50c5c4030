from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from s3_servers import S3Server, TestBucket, new_bucket
from stub_store import Answer, stub_store
from transform_service import NOW

from s3img.errors import ConfigError
from s3img.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transform_service import Served

KEYS = "k1:first-secret"
STUB = {"S3IMG_ACCESS_KEY_ID": "stubaccesskey", "S3IMG_SECRET_ACCESS_KEY": "stubsecretkey"}


def environ(server: S3Server) -> dict[str, str]:
    return {"S3IMG_ACCESS_KEY_ID": server.access_key, "S3IMG_SECRET_ACCESS_KEY": server.secret_key}


@pytest.fixture
def buckets(moto_server: S3Server, picture_bytes: bytes) -> tuple[TestBucket, TestBucket]:
    """Two buckets; ``both.txt`` is in both, the first has a private picture."""
    first, second = new_bucket(moto_server), new_bucket(moto_server)
    for bucket, name in ((first, "first"), (second, "second")):
        bucket.bucket.put("both.txt", name.encode(), media_type="text/plain", cache_control="")
        bucket.bucket.put(f"{name}.txt", name.encode(), media_type="text/plain", cache_control="")
    put = {"media_type": "image/jpeg", "metadata": {"IsPrivateFile": "true"}}
    first.bucket.put("private.jpg", picture_bytes, **put)
    return first, second


def origins(server: S3Server, **buckets: TestBucket) -> dict[str, Any]:
    usual = {"endpoint_url": server.endpoint_url, "region": "us-east-1"}
    return {name: {"bucket": bucket.address, **usual} for name, bucket in buckets.items()}


@pytest.fixture
def two(
    serve: Callable[..., Served], moto_server: S3Server, buckets: tuple[TestBucket, TestBucket]
) -> Callable[..., Served]:
    def new(**settings: Any) -> Served:
        named = origins(moto_server, one=buckets[0], two=buckets[1])
        return serve(**{"bucket": "", "origins": named, "environ": environ(moto_server), **settings})

    return new


def test_origins_are_asked_in_order(two: Callable[..., Served]) -> None:
    served = two()
    assert [served.ask(f"/{name}.txt").data for name in ("both", "first", "second")] == [b"first", b"first", b"second"]


def test_endpoint_has_an_order_of_its_own(two: Callable[..., Served]) -> None:
    served = two(endpoints={"shop": {"origins": ["two", "one"]}, "blog": {"origins": ["one"]}})
    assert [served.ask(path).data for path in ("/shop/both.txt", "/blog/both.txt")] == [b"second", b"first"]
    assert [served.status(path)[0] for path in ("/blog/second.txt", "/both.txt", "/shop")] == [404, 404, 404]


def test_host_chooses_the_endpoint(two: Callable[..., Served]) -> None:
    served = two(endpoints={"shop": {"origins": ["two"], "hosts": ["img.shop.example"]}})
    for host in ("img.shop.example", "IMG.Shop.example:8080"):
        assert served.ask("/both.txt", Host=host).data == b"second"
    assert served.ask("/shop/both.txt", Host="other.example").data == b"second"
    assert served.status("/both.txt", Host="other.example") == (404, "ENOENT")


def test_signature_of_one_endpoint_does_not_hold_for_another(two: Callable[..., Served]) -> None:
    endpoints = {"shop": {"origins": ["two"]}, "blog": {"origins": ["one"]}}
    served = two(endpoints=endpoints, access="signed", signing_keys=KEYS)
    signed = Signer.of(KEYS, audience="shop").sign("/both.txt")
    assert [served.status(f"/{name}{signed}")[0] for name in ("shop", "blog")] == [200, 403]


def test_endpoint_may_be_more_open_than_the_service(two: Callable[..., Served]) -> None:
    endpoints = {"shop": {"origins": ["two"], "access": "named"}, "blog": {"origins": ["one"]}}
    served = two(endpoints=endpoints, access="signed", signing_keys=KEYS)
    assert [served.status(path)[0] for path in ("/shop/both.txt", "/blog/both.txt")] == [200, 403]


def test_address_may_name_the_origin(two: Callable[..., Served]) -> None:
    served = two()
    assert [served.ask(path).data for path in ("/s3://two/both.txt", "/s3:/two/both.txt")] == [b"second", b"second"]


@pytest.mark.parametrize("name", ["three", "169.254.169.254", "test-bucket", "..", ""])
def test_origin_that_is_not_configured_is_not_asked(two: Callable[..., Served], name: str) -> None:
    assert two().status(f"/s3://{name}/both.txt")[0] in {400, 404}


def test_origin_of_another_endpoint_is_not_asked(two: Callable[..., Served]) -> None:
    served = two(endpoints={"shop": {"origins": ["two"]}, "blog": {"origins": ["one"]}})
    assert served.status("/blog/s3://two/both.txt") == (404, "ENOENT")


@pytest.mark.parametrize("path", ["/tr:w-9/private.jpg", "/private.jpg", "/info/private.jpg"])
@pytest.mark.parametrize("access", ["open", "named", "sizes"])
def test_private_object_is_kept_from_unsigned_requests(two: Callable[..., Served], access: str, path: str) -> None:
    served = two(access=access, allowed=("w-9",), presets={"tiny": "w-9"})
    assert served.status(path) == (403, "ESIGNATURE")


def test_private_object_is_served_by_name_and_by_signature(two: Callable[..., Served]) -> None:
    served = two(access="named", presets={"tiny": "w-9"}, signing_keys=KEYS)
    named, signed = served.ask("/tr:n-tiny/private.jpg"), served.ask(Signer.of(KEYS).sign("/private.jpg"))
    assert (named.status_code, signed.status_code) == (200, 200)
    assert {answer.headers["Cache-Control"].partition(",")[0] for answer in (named, signed)} == {"private"}


def test_private_object_stays_private_once_rendered(two: Callable[..., Served]) -> None:
    served = two(access="open", signing_keys=KEYS)
    assert served.status(Signer.of(KEYS).sign("/tr:w-9/private.jpg"))[0] == 200
    assert served.status("/tr:w-9/private.jpg") == (403, "ESIGNATURE")


def test_rendering_of_a_private_object_cannot_be_asked_for_by_its_key(
    serve: Callable[..., Served], moto_server: S3Server, buckets: tuple[TestBucket, TestBucket]
) -> None:
    bucket = buckets[0]
    settings = {"endpoint_url": moto_server.endpoint_url, "region": "us-east-1", "environ": environ(moto_server)}
    served = serve(bucket=bucket.address, signing_keys=KEYS, **settings)
    served.ask(Signer.of(KEYS).sign("/tr:w-9/private.jpg"))
    served.app.close()
    stored = [info.key for info in bucket.bucket.list() if info.key not in {"both.txt", "first.txt", "private.jpg"}]
    assert stored
    assert {served.status(f"/{key}")[0] for key in stored} == {404}


def test_default_image_stands_in_for_a_missing_one(serve: Callable[..., Served]) -> None:
    answer = serve().ask("/tr:w-30,h-20,f-png,di-img@@cat.jpg/missing.jpg")
    assert (answer.status_code, answer.headers["S3img-Fallback"]) == (200, "default-image")
    assert answer.headers["Cache-Control"] == "public, max-age=60"


def test_endpoint_has_a_default_image(serve: Callable[..., Served], folder: Path) -> None:
    endpoint = {"origins": ["all"], "default_image": "dot.png"}
    served = serve(origins={"all": {"bucket": folder.as_uri()}}, endpoints={"x": endpoint})
    assert served.ask("/x/tr:w-30/missing.jpg").headers["S3img-Fallback"] == "default-image"
    assert served.status("/x/missing.jpg") == (404, "ENOENT")


@pytest.mark.parametrize("default", ["missing.jpg", "neither.jpg"])
def test_missing_default_image_is_missing(serve: Callable[..., Served], default: str) -> None:
    assert serve().status(f"/tr:w-30,di-{default}/missing.jpg") == (404, "ENOENT")


@pytest.mark.parametrize("default", [".s3img@@results@@x", "..@@secret.jpg"])
def test_default_image_is_a_key_like_any_other(serve: Callable[..., Served], default: str) -> None:
    assert serve().status(f"/tr:w-30,di-{default}/missing.jpg")[0] in {400, 404}


def test_canonical_address_is_told(serve: Callable[..., Served], folder: Path) -> None:
    origin = {"bucket": folder.as_uri(), "canonical_url": "https://www.example.com/media"}
    answer = serve(origins={"all": origin}).ask("/tr:w-9/img/cat.jpg")
    assert answer.headers["Link"] == '<https://www.example.com/media/img/cat.jpg>; rel="canonical"'


def test_immutable_source_makes_an_immutable_answer(
    two: Callable[..., Served], buckets: tuple[TestBucket, TestBucket], picture_bytes: bytes
) -> None:
    buckets[0].bucket.put("cat.9f2c81aa.jpg", picture_bytes, media_type="image/jpeg")
    assert two().ask("/tr:w-9/cat.9f2c81aa.jpg").headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("max-age=30", "public, max-age=30"),
        ("private", "private, max-age=86400"),
        ("no-store", "no-store"),
        ("no-cache", "public, max-age=0"),
        ("max-age=nonsense", "public, max-age=86400"),
    ],
)
def test_answer_is_kept_no_longer_than_its_source_allows(
    two: Callable[..., Served], buckets: tuple[TestBucket, TestBucket], said: str, expected: str
) -> None:
    buckets[0].bucket.put("note.txt", b"x", media_type="text/plain", cache_control=said)
    assert two().ask("/note.txt").headers["Cache-Control"] == expected


def test_origin_has_credentials_of_its_own(
    serve: Callable[..., Served], moto_server: S3Server, buckets: tuple[TestBucket, TestBucket]
) -> None:
    named = origins(moto_server, one=buckets[0])
    named["one"]["credentials"] = "SHOP"
    own = {"SHOP_ACCESS_KEY_ID": moto_server.access_key, "SHOP_SECRET_ACCESS_KEY": moto_server.secret_key}
    assert serve(bucket="", origins=named, environ=own).ask("/first.txt").data == b"first"
    with pytest.raises(ConfigError, match="SHOP_ACCESS_KEY_ID and SHOP_SECRET_ACCESS_KEY"):
        serve(bucket="", origins=named, environ={})


def test_service_needs_a_place_to_read_from(serve: Callable[..., Served]) -> None:
    with pytest.raises(ConfigError, match="bucket"):
        serve(bucket="")


@pytest.mark.parametrize("path", ["/tr:w-9/cat.jpg", "/cat.jpg"])
def test_denied_origin_falls_through(serve: Callable[..., Served], folder: Path, path: str) -> None:
    with stub_store(Answer.error(403, "AccessDenied")) as store:
        named = {
            "denied": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url},
            "all": {"bucket": folder.as_uri()},
        }
        assert serve(bucket="", origins=named, environ=STUB).status(path)[0] == 200


@pytest.mark.parametrize("path", ["/tr:w-9/cat.jpg", "/cat.jpg"])
def test_denial_may_mean_missing(serve: Callable[..., Served], path: str) -> None:
    with stub_store(Answer.error(403, "AccessDenied")) as store:
        named = {"denied": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}
        assert serve(bucket="", origins=named, environ=STUB).status(path) == (404, "EACCES")


@pytest.mark.parametrize("path", ["/tr:w-9/cat.jpg", "/cat.jpg"])
def test_missing_source_is_remembered_for_a_moment(serve: Callable[..., Served], path: str) -> None:
    with stub_store(Answer.error(404, "NoSuchKey")) as store:
        named = {"empty": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}
        served = serve(bucket="", origins=named, environ=STUB)
        assert [served.status(path) for _ in range(5)] == [(404, "ENOENT")] * 5
        assert len(store.requests) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer.error(500, "InternalError"), (502, "EORIGIN")),
        (Answer(301, b"", {"Location": "http://169.254.169.254/latest/meta-data/"}), (502, "EORIGIN")),
        (Answer(302, b"", {"Location": "http://127.0.0.1:9/"}), (502, "EORIGIN")),
        (Answer(307, b"", {"Location": "http://127.0.0.1:9/"}), (502, "EORIGIN")),
    ],
)
@pytest.mark.parametrize("path", ["/tr:w-9/cat.jpg", "/cat.jpg"])
def test_failing_or_redirecting_origin_is_a_bad_gateway(
    serve: Callable[..., Served], answer: Answer, expected: tuple[int, str], path: str
) -> None:
    with stub_store(answer) as store:
        named = {"bad": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}
        assert serve(bucket="", origins=named, environ=STUB).status(path) == expected


def test_refused_credentials_are_a_bad_gateway(serve: Callable[..., Served]) -> None:
    with stub_store(Answer.error(403, "InvalidAccessKeyId")) as store:
        named = {"bad": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}
        assert serve(bucket="", origins=named, environ=STUB).status("/tr:w-9/cat.jpg") == (502, "EORIGIN")


def test_origin_that_does_not_answer_is_a_gateway_timeout(serve: Callable[..., Served]) -> None:
    named = {"gone": {"bucket": "s3://stub", "endpoint_url": "http://127.0.0.1:9"}}
    served = serve(bucket="", origins=named, environ=STUB, service={"seconds": 20})
    assert served.status("/cat.jpg") == (504, "ETIMEDOUT")


def test_version_is_asked_for_and_immutable(
    serve: Callable[..., Served], moto_server: S3Server, moto_bucket: TestBucket
) -> None:
    client = moto_server.client()
    client.put_bucket_versioning(Bucket=moto_bucket.name, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=moto_bucket.name, Key="note.txt", Body=b"old")["VersionId"]
    client.put_object(Bucket=moto_bucket.name, Key="note.txt", Body=b"new")
    served = serve(
        bucket="", origins=origins(moto_server, one=moto_bucket), environ=environ(moto_server), signing_keys=KEYS
    )
    answer = served.ask(Signer.of(KEYS).sign(f"/note.txt?versionId={first}", expires=int(NOW) + 10**8))
    assert (served.ask("/note.txt").data, answer.data) == (b"new", b"old")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
