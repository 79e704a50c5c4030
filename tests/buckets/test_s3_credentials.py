"""Every link of the credential chain, up to a request that carries its signature."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from stub_store import Answer, Request, stub_store

from s3img import Config, Images
from s3img.buckets import AccessKey, S3Options, open_bucket
from s3img.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3_servers import S3Server, TestBucket
    from stub_store import StubStore

KEY_ID, SECRET, TOKEN = "ASIATESTTESTTESTTEST", "issued-secret", "issued/token+="
ISSUED = {
    "Code": "Success",
    "AccessKeyId": KEY_ID,
    "SecretAccessKey": SECRET,
    "Token": TOKEN,
    "Expiration": "2099-01-01T00:00:00Z",
}
ROLE = "arn:aws:iam::123456789012:role/pics"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def store() -> Iterator[StubStore]:
    with stub_store() as running:
        yield running


def put_unkeyed(store: StubStore, **changes: object) -> Request:
    """Send an object with credentials that only botocore's chain can find."""
    options = store.options(**{"access_key": None, "region": "us-east-1", **changes})
    open_bucket("s3://pics", options).put("a.png", b"x", media_type="image/png")
    return store.requests[-1]


def assert_issued(request: Request) -> None:
    assert re.search(rf"Credential={KEY_ID}/.*Signature=[0-9a-f]{{64}}", request.headers["authorization"])
    assert request.headers["x-amz-security-token"] == TOKEN


def stored(made: TestBucket, **options: object) -> bytes:
    bucket = open_bucket(made.address, made.server.options(**{"access_key": None, **options}))
    bucket.put("a.png", b"signed", media_type="image/png")
    return bucket.get("a.png")


def test_the_standard_variables_sign(seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweedfs_bucket.server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweedfs_bucket.server.secret_key)
    assert stored(seaweedfs_bucket) == b"signed"


def test_own_variables_win_over_the_standard_ones(
    seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
    server = seaweedfs_bucket.server
    environ = {"S3IMG_ACCESS_KEY_ID": server.access_key, "S3IMG_SECRET_ACCESS_KEY": server.secret_key}
    config = Config(bucket=seaweedfs_bucket.address, endpoint_url=server.endpoint_url, public_url="https://i.test")
    assert list(Images(config, environ=environ).open_bucket().list()) == []


def test_a_profile_signs(seaweedfs_bucket: TestBucket, own_files: Path) -> None:
    server = seaweedfs_bucket.server
    keys = f"aws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}"
    (own_files / "credentials").write_text(f"[default]\naws_access_key_id=x\naws_secret_access_key=y\n[pics]\n{keys}\n")
    assert stored(seaweedfs_bucket, profile="pics") == b"signed"


def test_an_expired_profile_of_a_process_is_renewed(store: StubStore, own_files: Path) -> None:
    (own_files / "issued.json").write_text(json.dumps({"Version": 1, **ISSUED, "SessionToken": TOKEN}))
    (own_files / "config").write_text(f"[profile pics]\ncredential_process = cat {own_files / 'issued.json'}\n")
    assert_issued(put_unkeyed(store, profile="pics"))


def test_a_role_is_assumed_with_its_external_id(
    store: StubStore, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_server.endpoint_url)
    key = AccessKey("source", "secret")
    request = put_unkeyed(store, access_key=key, role_arn=ROLE, external_id="shared-word")
    assert re.search(r"Credential=ASIA[A-Z0-9]+/", request.headers["authorization"])
    assert request.headers["x-amz-security-token"]


def test_a_role_is_asked_for_in_its_name_and_with_its_external_id(
    store: StubStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stub_store(Answer(200, assumed("AssumeRole"), {"Content-Type": "text/xml"})) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint_url)
        key = AccessKey("source", "secret")
        assert_issued(put_unkeyed(store, access_key=key, role_arn=ROLE, external_id="shared word"))
        asked = urllib.parse.parse_qs(sts.requests[0].body.decode())
    assert (asked["RoleArn"], asked["ExternalId"]) == ([ROLE], ["shared word"])


def test_a_role_is_assumed_once_for_many_requests(store: StubStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with stub_store(Answer(200, assumed("AssumeRole"), {"Content-Type": "text/xml"})) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint_url)
        bucket = open_bucket("s3://pics", store.options(role_arn=ROLE, region="us-east-1"))
        for name in ("a.png", "b.png"):
            bucket.put(name, b"x", media_type="image/png")
        assert len(sts.requests) == 1


def test_a_web_identity_signs(store: StubStore, own_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_files / "token").write_text("eyJ.web.identity")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(own_files / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    with stub_store(Answer(200, assumed("AssumeRoleWithWebIdentity"), {"Content-Type": "text/xml"})) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint_url)
        assert_issued(put_unkeyed(store))
        asked = urllib.parse.parse_qs(sts.requests[0].body.decode())
    assert (asked["RoleArn"], asked["WebIdentityToken"]) == ([ROLE], ["eyJ.web.identity"])


def test_a_refused_web_identity_is_explained(
    store: StubStore, own_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_files / "token").write_text("eyJ.web.identity")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(own_files / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    refusal = b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>"
    with stub_store(Answer(400, refusal)) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint_url)
        with pytest.raises(CredentialsError) as caught:
            put_unkeyed(store)
    assert (caught.value.reason, "eyJ" in str(caught.value)) == ("role-refused", False)


def test_an_instance_role_signs(store: StubStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def metadata(request: Request) -> Answer:
        path = "/latest/meta-data/iam/security-credentials/"
        answers = {
            "/latest/api/token": Answer(200, b"session", {"x-aws-ec2-metadata-token-ttl-seconds": "600"}),
            path: Answer(200, b"pics-role"),
            f"{path}pics-role": Answer(200, json.dumps({**ISSUED, "Type": "AWS-HMAC"}).encode(), JSON),
        }
        return answers.get(request.target, Answer(404, b""))

    with stub_store() as machine:
        machine.answer_by = metadata
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.endpoint_url)
        assert_issued(put_unkeyed(store))
        assert machine.requests[1].headers["x-aws-ec2-metadata-token"] == "session"


def test_a_container_signs(store: StubStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with stub_store(Answer(200, json.dumps(ISSUED).encode(), JSON)) as container:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{container.endpoint_url}/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic container-word")
        assert_issued(put_unkeyed(store))
        assert container.requests[0].headers["authorization"] == "Basic container-word"


def test_a_signed_in_session_signs(store: StubStore, own_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = "https://pics.awsapps.com/start"
    write_session(own_files, start, "2099-01-01T00:00:00Z")
    issued = {"accessKeyId": KEY_ID, "secretAccessKey": SECRET, "sessionToken": TOKEN, "expiration": 4070908800000}
    with stub_store(Answer(200, json.dumps({"roleCredentials": issued}).encode(), JSON)) as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal.endpoint_url)
        assert_issued(put_unkeyed(store, profile="work"))
        assert portal.requests[0].headers["x-amz-sso_bearer_token"] == "signed-in"


def test_a_session_that_has_ended_asks_to_sign_in(store: StubStore, own_files: Path) -> None:
    write_session(own_files, "https://pics.awsapps.com/start", "2001-01-01T00:00:00Z")
    with pytest.raises(CredentialsError) as caught:
        put_unkeyed(store, profile="work")
    assert (caught.value.reason, "aws sso login" in caught.value.fix) == ("expired-token", True)


def test_nothing_is_signed_anonymously(store: StubStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    request = put_unkeyed(store, anonymous=True)
    assert not {"authorization", "x-amz-security-token"} & set(request.headers)


def test_a_public_object_can_be_read_anonymously(seaweedfs_bucket: TestBucket) -> None:
    seaweedfs_bucket.bucket.put("a.png", b"public", media_type="image/png")
    options = seaweedfs_bucket.server.options(access_key=None, anonymous=True)
    with open_bucket(seaweedfs_bucket.address, options).open("a.png") as found:
        assert found.read() == b"public"


def test_https_with_an_own_certificate_and_virtual_hosts(
    seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = seaweedfs_bucket.server
    port = server.https_url.rpartition(":")[2]
    monkeypatch.setenv("AWS_CA_BUNDLE", server.ca_file)
    find = socket.getaddrinfo  # a resolver need not know names below localhost
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: find("127.0.0.1", *rest, **more))
    options = server.options(endpoint_url=f"https://s3.localhost:{port}", addressing_style="virtual", use_obstore=False)
    bucket = open_bucket(seaweedfs_bucket.address, options)
    bucket.put("a b%+#?é.png", b"over TLS", media_type="image/png")
    assert bucket.get("a b%+#?é.png") == b"over TLS"
    head = seaweedfs_bucket.server.client().head_object(Bucket=seaweedfs_bucket.name, Key="a b%+#?é.png")
    assert "ContentEncoding" not in head
    bucket.delete(["a b%+#?é.png"])
    assert list(bucket.list()) == []


def assumed(action: str) -> bytes:
    issued = (
        f"<Credentials><AccessKeyId>{KEY_ID}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
        f"<SessionToken>{TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    )
    return f"<{action}Response><{action}Result>{issued}</{action}Result></{action}Response>".encode()


def write_session(folder: Path, start: str, expires: str) -> None:
    cache = folder / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    token = {"startUrl": start, "region": "us-east-1", "accessToken": "signed-in", "expiresAt": expires}
    (cache / f"{hashlib.sha1(start.encode()).hexdigest()}.json").write_text(json.dumps(token))
    account = "sso_account_id=123456789012\nsso_role_name=pics"
    (folder / "config").write_text(f"[profile work]\nsso_start_url={start}\nsso_region=us-east-1\n{account}\n")


@pytest.fixture
def own_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home in which botocore finds what the test writes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    sessions = str(tmp_path / ".aws" / "sso" / "cache")  # botocore looks at HOME when it is imported
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", sessions)
    return tmp_path


def test_no_link_of_the_chain_answers(store: StubStore) -> None:
    bucket = open_bucket("s3://pics", S3Options(endpoint_url=store.endpoint_url, region="us-east-1", use_obstore=False))
    assert not bucket.has_credentials()
    assert store.requests == []
