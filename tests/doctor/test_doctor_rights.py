"""Set-ups in which something is not allowed or not public: the true cause is named first, with what to do, and nothing is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from limited_keys import access_key
from meddling_proxy import Meddling, meddling_proxy
from s3_servers import S3Server, TestBucket, new_bucket
from set_ups import SetUp, cause, keys_in, set_up
from stub_store import Answer, stub_store

if TYPE_CHECKING:
    from pathlib import Path


def test_key_that_only_reads_is_named(limited: S3Server, tmp_path: Path) -> None:
    made = new_bucket(limited)
    made.bucket.put("cat.png", b"cat", media_type="image/png")
    report = set_up(made, key=access_key("reader")).examine(tmp_path)
    cause(report, "put-denied", 4, "only read", "s3:PutObject")
    assert keys_in(made) == ["cat.png"]
    assert {f.probe: f.status for f in report.findings}["public"] == "ok"


def test_key_that_may_not_delete_is_named_and_leaves_nothing(limited: S3Server, tmp_path: Path) -> None:
    made = new_bucket(limited)
    report = set_up(made, key=access_key("keeper")).examine(tmp_path)
    cause(report, "delete-denied", 4, "s3:DeleteObject")
    assert keys_in(made) == []
    assert limited.client().list_multipart_uploads(Bucket=made.name).get("Uploads", []) == []


def test_probe_object_is_left_only_on_demand(limited: S3Server, tmp_path: Path) -> None:
    made = new_bucket(limited)
    report = set_up(made, key=access_key("keeper")).examine(tmp_path, leave=True)
    cause(report, "delete-denied", 4, "stays")
    assert "left-behind" in {finding.code for finding in report.findings}
    assert [key.partition("/")[0] for key in keys_in(made)] == ["s3img-doctor"]


def test_key_that_may_not_list_is_named_and_all_else_is_asked(limited: S3Server, tmp_path: Path) -> None:
    made = new_bucket(limited)
    report = set_up(made, key=access_key("writer")).examine(tmp_path)
    cause(report, "list-denied", 4, "s3:ListBucket")
    assert {f.probe for f in report.findings if f.status == "ok"} >= {"put", "head", "get", "public", "cleanup"}
    assert keys_in(made) == []


def test_key_that_may_not_read_is_named(limited: S3Server, tmp_path: Path) -> None:
    made = new_bucket(limited)
    limited.client().delete_bucket_policy(Bucket=made.name)
    cause(set_up(made, key=access_key("sender")).examine(tmp_path), "get-denied", 4, "s3:GetObject")
    assert keys_in(made) == []


def origins(made: TestBucket, **changes: Any) -> dict[str, Any]:
    return {"origins": {"shop": {"bucket": made.address, **changes}}}


def test_origin_that_may_only_be_read_is_enough(limited: S3Server, tmp_path: Path) -> None:
    made, own = new_bucket(limited), new_bucket(limited)
    made.bucket.put("cat.png", b"cat", media_type="image/png")
    key = access_key("reader")
    environ = {"SHOP_ACCESS_KEY_ID": key.key_id, "SHOP_SECRET_ACCESS_KEY": key.secret}
    examined = set_up(own, **origins(made, credentials="SHOP", endpoint_url=limited.endpoint_url))
    report = SetUp(examined.settings, examined.environ | environ).examine(tmp_path)
    found = {finding.probe: finding for finding in report.findings}["origins"]
    assert (found.status, "shop (objects can be listed and read)" in found.message) == ("ok", True)
    assert keys_in(made) == ["cat.png"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bucket": "s3://no-such-bucket"}, "no-bucket"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "settings-invalid"),
        ({"endpoint_url": "http://127.0.0.1:9", "anonymous": True}, "port-closed"),
    ],
)
def test_origin_that_can_not_be_read_is_named(
    changes: dict[str, Any], code: str, seaweedfs: S3Server, tmp_path: Path
) -> None:
    made = new_bucket(seaweedfs)
    report = set_up(made, **origins(made, **changes)).examine(tmp_path)
    found = {finding.probe: finding for finding in report.findings}["origins"]
    assert (found.status, found.code, "shop" in found.message) == ("fail", code, True)


def test_private_bucket_is_named(seaweedfs: S3Server, tmp_path: Path) -> None:
    made = new_bucket(seaweedfs)
    seaweedfs.client().delete_bucket_policy(Bucket=made.name)
    cause(set_up(made, prefix="docs").examine(tmp_path), "public-private", 4, "private", "bucket policy")
    assert keys_in(made) == []


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ("/{bucket}", "lacks the prefix (bucket folder) 'docs'"),
        ("/{bucket}/docs/docs", "has the prefix 'docs'"),
        ("/docs", "lacks the bucket's name"),
        ("", "lacks"),
        ("/{bucket}/pictures/docs", "is not where"),
    ],
)
def test_wrong_public_url_is_named_and_the_right_one_found(
    seaweedfs_bucket: TestBucket, tmp_path: Path, tail: str, words: str
) -> None:
    host = seaweedfs_bucket.server.endpoint_url
    wrong = host + tail.format(bucket=seaweedfs_bucket.name)
    report = set_up(seaweedfs_bucket, prefix="docs", public_url=wrong).examine(tmp_path)
    cause(report, "public-url-wrong", 3, words, f'public_url = "{host}/{seaweedfs_bucket.name}/docs"')
    assert keys_in(seaweedfs_bucket) == []


def test_public_url_that_is_not_percent_encoded_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    report = set_up(seaweedfs_bucket, prefix="aé").examine(tmp_path)
    cause(report, "public-url-wrong", 3, "percent-encoded", "/a%C3%A9")


def test_public_url_with_the_wrong_scheme_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    wrong = seaweedfs_bucket.public_url.replace("http:", "https:")
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, Meddling()) as elsewhere:
        report = set_up(seaweedfs_bucket, endpoint_url=elsewhere, public_url=wrong).examine(tmp_path)
    cause(report, "public-url-wrong", 3, "is https, but http is served", seaweedfs_bucket.public_url)


@pytest.mark.parametrize(
    ("answer", "code", "exit_code"),
    [
        (Answer(200, b"<!doctype html>", {"Content-Type": "text/html"}), "public-other-content", 3),
        (Answer(200, b"another picture", {"Content-Type": "image/png"}), "public-changed", 1),
        (Answer(302, b"", {"Location": "https://www.example.com/login"}), "public-redirect", 3),
        (Answer(404, b"", {}), "public-not-found", 3),
        (Answer(500, b"", {}), "public-unreachable", 5),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_public_url_that_serves_something_else_is_named(
    seaweedfs: S3Server, tmp_path: Path, answer: Answer, code: str, exit_code: int
) -> None:
    made = new_bucket(seaweedfs)
    seaweedfs.client().delete_bucket_policy(Bucket=made.name)
    with stub_store(answer) as website:
        report = set_up(made, public_url=website.endpoint_url).examine(tmp_path)
    cause(report, code, exit_code)


def test_public_url_that_spoils_names_is_told_from_a_wrong_one(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    with meddling_proxy(
        seaweedfs_bucket.server.endpoint_url, Meddling(path=lambda path: path.replace("%20", "+"))
    ) as cdn:
        report = set_up(seaweedfs_bucket, public_url=f"{cdn}/{seaweedfs_bucket.name}").examine(tmp_path)
    cause(report, "public-encoding", 5, "plain names are served")
    assert keys_in(seaweedfs_bucket) == []


def test_public_type_that_is_changed_is_a_warning(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    meddling = Meddling(headers={"Content-Type": "text/plain"})
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, meddling) as cdn:
        report = set_up(seaweedfs_bucket, public_url=f"{cdn}/{seaweedfs_bucket.name}").examine(tmp_path)
    cause(report, "public-type", 1, "text/plain")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "binary/octet-stream"}, "type-changed"),
        ({"Cache-Control": "no-store"}, "cache-control-changed"),
    ],
)
def test_headers_that_don_t_come_back_are_a_warning(
    seaweedfs_bucket: TestBucket, tmp_path: Path, headers: dict[str, str], code: str
) -> None:
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, Meddling(headers=headers)) as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path)
    cause(report, code, 1, next(iter(headers.values())))


def test_store_that_ignores_conditions_is_a_warning(moto_bucket: TestBucket, tmp_path: Path) -> None:
    with meddling_proxy(moto_bucket.server.endpoint_url, Meddling(drop=("if-none-match",))) as url:
        report = set_up(moto_bucket, endpoint_url=url).examine(tmp_path)
    cause(report, "conditional-ignored", 1, "If-None-Match")
    assert keys_in(moto_bucket) == []


def test_preflight_that_is_not_answered_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    hang_up = Meddling(answers={"Access-Control-Request-Method": 0})
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, hang_up) as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url, upload_origins=("https://app.example.com",)).examine(
            tmp_path
        )
    cause(report, "cors-unanswered", 5, "preflight")


def test_names_that_the_listing_changes_are_named(moto_bucket: TestBucket, tmp_path: Path) -> None:
    spoil = Meddling(body=lambda body: body.replace(b"caf%C3%A9", b"cafe").replace("café".encode(), b"cafe"))
    with meddling_proxy(moto_bucket.server.endpoint_url, spoil) as url:
        report = set_up(moto_bucket, endpoint_url=url).examine(tmp_path)
    cause(report, "key-changed", 5, "is listed as", "{{slug}}")


def test_bytes_that_are_changed_on_the_way_are_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    spoil = Meddling(body=lambda body: body.replace(b"IHDR", b"JHDR"))
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, spoil) as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path)
    cause(report, "bytes-changed", 5, "other bytes")
    assert keys_in(seaweedfs_bucket) == []


def test_missing_cors_rule_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    other = {"AllowedOrigins": ["https://other.example.com"], "AllowedMethods": ["PUT"], "AllowedHeaders": ["*"]}
    seaweedfs_bucket.server.client().put_bucket_cors(
        Bucket=seaweedfs_bucket.name, CORSConfiguration={"CORSRules": [other]}
    )
    report = set_up(seaweedfs_bucket, upload_origins=("https://app.example.com",)).examine(tmp_path)
    cause(report, "cors-missing", 3, "https://app.example.com", "s3img cors")
    assert keys_in(seaweedfs_bucket) == []
