"""Through obstore a bucket does what it does through boto3: the same requests, headers, keys and errors, only faster."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws
from s3_servers import new_bucket
from stub_store import Answer, stub_store

from s3img.buckets import AccessKey, S3Options, open_bucket
from s3img.buckets.obstore.small_objects import GIVE_UP, LARGEST, StorePlace, is_usable, known_place
from s3img.buckets.obstore.store import client_options
from s3img.buckets.s3.s3_bucket import S3Bucket
from s3img.config.address import S3Address, parse
from s3img.errors import BucketError, ObjectNotFound

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import S3Server, TestBucket

KEY = AccessKey("id", "secret")
OPTIONS = S3Options(endpoint_url="https://s3.example.com", access_key=KEY)


@pytest.fixture
def store(seaweedfs: S3Server) -> TestBucket:
    return new_bucket(seaweedfs)


_ALONE = """
import sys
from s3img.buckets import AccessKey, S3Options, open_bucket
address, endpoint, key_id, secret = sys.argv[1:]
bucket = open_bucket(address, S3Options(endpoint_url=endpoint, access_key=AccessKey(key_id, secret)))
bucket.put("cat.png", b"cat", media_type="image/png", metadata={"s3img": "1"})
assert bucket.get("cat.png") == b"cat" and bucket.has_credentials()
print(dict(bucket.requests), "obstore" in sys.modules, "botocore" in sys.modules)
"""


def test_a_plain_key_needs_no_boto3(store: TestBucket) -> None:
    server = store.server
    arguments = [store.address, server.endpoint_url, server.access_key, server.secret_key]
    done = subprocess.run([sys.executable, "-c", _ALONE, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'put': 1, 'get': 1} True False"


def test_an_object_has_the_headers_that_boto3_gives_it(store: TestBucket) -> None:
    metadata = {"s3img": "1", "s3img-source": "ab/c.png"}
    heads = []
    for key, use_obstore in (("a", False), ("b", True)):
        bucket = open_bucket(store.address, store.server.options(use_obstore=use_obstore))
        bucket.put(key, b"data", media_type="image/svg+xml", cache_control="no-cache", metadata=metadata)
        head = store.server.client().head_object(Bucket=store.name, Key=key)
        heads.append({name: head.get(name) for name in ("ContentType", "CacheControl", "Metadata", "ETag")})
    assert heads[0] == heads[1]
    assert (heads[1]["ContentType"], heads[1]["CacheControl"], heads[1]["Metadata"]) == (
        "image/svg+xml",
        "no-cache",
        metadata,
    )


def test_a_folder_marker_keeps_its_slash_in_a_listing(store: TestBucket) -> None:
    store.server.client().put_object(Bucket=store.name, Key="folder/", Body=b"")
    store.bucket.put("folder/cat.png", b"cat", media_type="image/png")
    assert {info.key for info in store.bucket.list()} == {"folder/", "folder/cat.png"}


@pytest.mark.parametrize("prefix", ["", "/docs", "/a b/caf\u00e9"])
def test_a_folder_of_few_objects_is_listed_alike(store: TestBucket, prefix: str) -> None:
    bucket = open_bucket(f"{store.address}{prefix}", store.options)
    assert isinstance(bucket, S3Bucket)
    for key in ("refs/a.json", "refs/b.json", "refs-of-others/c.json"):
        bucket.put(key, key.encode(), media_type="application/json")
    before = bucket.requests["list"]
    assert [*bucket.list_few("refs/")] == [*bucket.list("refs/")] != []
    assert bucket.requests["list"] == before + 2
    assert [*bucket.list_few("none/")] == []


def test_a_folder_of_a_page_or_more_is_listed_by_boto3(store: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.buckets.obstore.store.PAGE", 2)
    for number in range(3):
        store.bucket.put(f"refs/{number}", b"x", media_type="application/json")
    assert isinstance(store.bucket, S3Bucket)
    before = store.bucket.requests["list"]
    assert [info.key for info in store.bucket.list_few("refs/")] == ["refs/0", "refs/1", "refs/2"]
    assert store.bucket.requests["list"] == before + 2  # obstore's own, and boto3's


def test_a_folder_that_can_not_be_listed_is_explained_by_boto3() -> None:
    with stub_store(Answer.error(403, "AccessDenied")) as server:
        bucket = open_bucket("s3://pics", server.options(use_obstore=True, attempts=2))
        assert isinstance(bucket, S3Bucket)
        with pytest.raises(BucketError, match="AccessDenied"):
            [*bucket.list_few("refs/")]


@pytest.mark.parametrize("key", ["a//b.png", "/a.png", "a.png/", "a\u00a0b.png"])
def test_a_key_that_obstore_would_change_goes_through_boto3(key: str, moto_server: S3Server) -> None:
    made = new_bucket(moto_server)
    made.bucket.put(key, b"data", media_type="image/png")
    keys = [item["Key"] for item in moto_server.client().list_objects_v2(Bucket=made.name)["Contents"]]
    assert (made.bucket.get(key), keys) == (b"data", [key])


def test_an_object_above_the_limit_goes_through_boto3(store: TestBucket) -> None:
    store.bucket.put("large", bytes(LARGEST + 1), media_type="image/png")
    assert len(store.bucket.get("large")) == LARGEST + 1


@pytest.mark.parametrize("change", [{"access_key": AccessKey("s3imgtestaccesskey", "wrong")}, {"access_key": KEY}])
def test_refused_credentials_are_explained_as_boto3_would(change: dict[str, AccessKey], store: TestBucket) -> None:
    said = []
    for use_obstore in (False, True):
        bucket = open_bucket(store.address, store.server.options(use_obstore=use_obstore, **change))
        with pytest.raises(BucketError) as caught:
            bucket.put("cat.png", b"cat", media_type="image/png")
        said.append((type(caught.value), str(caught.value)))
    assert said[0] == said[1]


def test_a_missing_bucket_is_explained_as_boto3_would(seaweedfs: S3Server) -> None:
    said = []
    for use_obstore in (False, True):
        with pytest.raises(BucketError) as caught:
            list(open_bucket("s3://no-such-bucket", seaweedfs.options(use_obstore=use_obstore)).list())
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_what_obstore_can_not_prove_is_sent_again() -> None:
    with stub_store(Answer(headers={"ETag": '"not the md5 of it"'})) as server:
        open_bucket("s3://pics", server.options(attempts=2, use_obstore=True)).put(
            "cat.png", b"cat", media_type="image/png"
        )
        assert [(request.method, "content-md5" in request.headers) for request in server.requests] == [
            ("PUT", False),
            ("PUT", True),
        ]


def test_after_failures_in_a_row_boto3_does_everything() -> None:
    with stub_store(Answer(headers={"ETag": '"opaque"'})) as server:
        bucket = open_bucket("s3://pics", server.options(attempts=2, use_obstore=True))
        for number in range(GIVE_UP + 3):
            bucket.put(f"{number}.png", b"cat", media_type="image/png")
        assert len(server.requests) == bucket.requests["put"] == 2 * GIVE_UP + 3


def test_missing_objects_are_answers_and_no_failures(store: TestBucket) -> None:
    for _ in range(GIVE_UP):
        with pytest.raises(ObjectNotFound, match=r"gone\.png"):
            store.bucket.get("gone.png")
    before = store.bucket.requests["put"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Bucket, "send", None)
        store.bucket.put("cat.png", b"cat", media_type="image/png")
    assert store.bucket.requests["put"] == before + 1


def test_variables_of_the_environment_do_not_leak_into_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    with stub_store(Answer(headers={"ETag": '"d077f244def8a70e5ea758bd8352fcd8"'})) as server:  # the MD5 of "cat"
        options = server.options(attempts=2, use_obstore=True, region="eu-test-1")
        open_bucket("s3://pics", options).put("cat.png", b"cat", media_type="image/png")
    (request,) = server.requests
    assert "/eu-test-1/s3/" in request.headers["authorization"]
    assert "x-amz-security-token" not in request.headers


def test_credentials_that_expire_are_asked_for_again(
    store: TestBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, config = tmp_path / "calls", tmp_path / "config"
    program = tmp_path / "credentials.py"
    program.write_text(_PROGRAM.format(calls=str(calls), key=store.server.access_key, secret=store.server.secret_key))
    config.write_text(f"[profile short]\ncredential_process = {sys.executable} {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setattr("s3img.buckets.obstore.store.KEPT_SECONDS", 0)
    bucket = open_bucket(store.address, store.server.options(access_key=None, profile="short"))
    for number in range(3):
        bucket.put(f"{number}.png", b"cat", media_type="image/png")
    assert (bucket.requests["put"], len(calls.read_text()) >= 3) == (3, True)


_PROGRAM = """
import datetime, json
open({calls!r}, "a").write(".")
end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)).isoformat()
print(json.dumps(dict(Version=1, AccessKeyId={key!r}, SecretAccessKey={secret!r}, Expiration=end)))
"""


def test_mock_aws_of_moto_is_not_bypassed(monkeypatch: pytest.MonkeyPatch) -> None:
    options = S3Options(region="us-east-1", access_key=KEY)
    with mock_aws():
        bucket = S3Bucket(S3Address("pics", ""), options)
        bucket.client().create_bucket(Bucket="pics")
        bucket.put("cat.png", b"cat", media_type="image/png")
        assert (bucket.get("cat.png"), dict(bucket.requests)) == (b"cat", {"put": 1, "get": 1})


def test_an_unsigned_request_reads_what_is_public(store: TestBucket) -> None:
    store.bucket.put("cat.png", b"cat", media_type="image/png")
    options = store.server.options(access_key=None, anonymous=True)
    assert open_bucket(store.address, options).get("cat.png") == b"cat"


def test_a_forked_child_does_without_obstore(store: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.buckets.obstore.small_objects._PROCESS", os.getpid() + 1)
    monkeypatch.delitem(sys.modules, "s3img.buckets.obstore.store", raising=False)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    store.bucket.put("cat.png", b"cat", media_type="image/png")
    assert store.bucket.get("cat.png") == b"cat"


@pytest.mark.parametrize(
    ("changes", "environment", "usable"),
    [
        ({}, {}, True),
        ({}, {"HTTPS_PROXY": "http://proxy:3128"}, True),
        ({}, {"AWS_SSE_KMS_KEY_ID": "k"}, False),
        ({}, {"AWS_SSE_KMS_KEY_ID": ""}, True),
        ({"attempts": 1}, {}, False),
        ({"use_obstore": False}, {}, False),
    ],
)
def test_obstore_is_used_where_it_does_the_same(
    changes: dict[str, int], environment: dict[str, str], usable: object
) -> None:
    assert is_usable(S3Options(**changes), environment) == usable


@pytest.mark.parametrize(
    ("environment", "proxy", "excluded"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128", None),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128", None),
        ({"http_proxy": "http://proxy:3128"}, "https://s3.example.com/pics", "s3.example.com"),
        ({"all_proxy": "http://proxy:3128"}, "https://s3.example.com/pics", "s3.example.com"),
        ({"https_proxy": "http://p:1", "no_proxy": "example.com"}, "https://s3.example.com/pics", "s3.example.com"),
    ],
)
def test_obstore_takes_the_proxy_that_botocore_takes(
    environment: dict[str, str], proxy: str | None, excluded: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = client_options(StorePlace("https://s3.example.com/pics", "us-east-1"), OPTIONS)
    assert (found.get("proxy_url"), found.get("proxy_excludes")) == (proxy, excluded)


@pytest.mark.parametrize("excluded", ["", "127.0.0.1"])
def test_a_put_goes_through_the_proxy_or_past_it(
    excluded: str, store: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stub_store(Answer(headers={"ETag": '"d077f244def8a70e5ea758bd8352fcd8"'})) as proxy:  # the MD5 of "cat"
        monkeypatch.setenv("http_proxy", proxy.endpoint_url)
        monkeypatch.setenv("no_proxy", excluded)
        store.bucket.put("cat.png", b"cat", media_type="image/png")
        through = [(request.method, request.target) for request in proxy.requests]
    url = f"{store.server.endpoint_url}/{store.name}/cat.png"
    assert (through, store.bucket.requests) == ([] if excluded else [("PUT", url)], {"put": 1})


_ENVIRONMENT = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_ACCESS_KEY_ID": "e", "AWS_SECRET_ACCESS_KEY": "s"}


@pytest.mark.parametrize(
    ("changes", "environment", "place"),
    [
        ({}, {}, StorePlace("https://s3.example.com/pics", "us-east-1", "", KEY)),
        ({"region": "r"}, {"AWS_CA_BUNDLE": "/ca"}, StorePlace("https://s3.example.com/pics", "r", "/ca", KEY)),
        ({}, {"AWS_DEFAULT_REGION": "d"}, StorePlace("https://s3.example.com/pics", "d", "", KEY)),
        ({"access_key": None}, {"AWS_SESSION_TOKEN": "t"}, StorePlace("https://s3.example.com/pics", "us-east-1", "", AccessKey("e", "s", "t"))),
        ({"addressing_style": "virtual"}, {}, StorePlace("https://pics.s3.example.com", "us-east-1", "", KEY)),
        ({"endpoint_url": "http://[::1]:80/"}, {}, StorePlace("http://[::1]:80/pics", "us-east-1", "", KEY)),
        ({"anonymous": True, "access_key": None}, {}, StorePlace("https://s3.example.com/pics", "us-east-1")),
        ({"endpoint_url": ""}, {}, None),
        ({"endpoint_url": "https://s3.eu-west-1.amazonaws.com"}, {}, None),
        ({"profile": "p"}, {}, None),
        ({"role_arn": "arn:x"}, {}, None),
        ({}, {"AWS_PROFILE": "p"}, None),
        ({}, {"AWS_CREDENTIAL_EXPIRATION": "2030-01-01T00:00:00Z"}, None),
        ({}, {"AWS_CONFIG_FILE": os.devnull}, None),
        ({"access_key": None}, {"AWS_SECRET_ACCESS_KEY": ""}, None),
    ],
)  # fmt: skip
def test_a_place_follows_from_settings_or_is_left_to_botocore(
    changes: dict[str, str], environment: dict[str, str], place: StorePlace | None
) -> None:
    options = S3Options(**{"endpoint_url": "https://s3.example.com", "access_key": KEY, **changes})
    assert known_place(options, "pics", {**_ENVIRONMENT, **environment}) == place


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"region": "eu-west-1"}, "https://pics.s3.eu-west-1.amazonaws.com"),
        ({"region": "eu-west-1", "addressing_style": "path"}, "https://s3.eu-west-1.amazonaws.com/pics"),
        ({"endpoint_url": "https://s3.example.com", "profile": "p"}, "https://s3.example.com/pics"),
    ],
)
def test_botocore_is_asked_where_it_would_go(
    changes: dict[str, str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile p]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    address = parse("s3://pics")
    assert isinstance(address, S3Address)
    bucket = S3Bucket(address, S3Options(**{"access_key": KEY, **changes}))
    assert bucket._find_place() == StorePlace(url, "eu-west-1")


def test_a_user_without_a_home_has_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # as in a container whose user has no name
    assert known_place(OPTIONS, "pics", {}) is not None
