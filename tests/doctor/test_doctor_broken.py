"""Set-ups in which the store does not let one in: the true cause is named first, with what to do, and nothing is left behind."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from meddling_proxy import Meddling, meddling_proxy, regional_store
from set_ups import SetUp, cause, key_variables, keys_in, set_up, verdict
from stub_store import Answer, stub_store
from tls_server import tls_server

from s3img.buckets import AccessKey
from s3img.config import Config
from s3img.doctor import unusable
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import S3Server, TestBucket


@pytest.mark.parametrize(
    ("changes", "key", "code", "exit_code", "words"),
    [
        ({}, AccessKey("s3imgtestaccesskey", "wrong"), "wrong-secret", 4, ["SECRET_ACCESS_KEY"]),
        ({}, AccessKey("nobodysaccesskey", "wrong"), "unknown-key", 4, ["S3IMG_ACCESS_KEY_ID"]),
        ({"bucket": "s3://not-this-one/docs"}, None, "no-bucket", 3, ["s3://not-this-one"]),
        ({"endpoint_url": "https://s3.nowhere.invalid"}, None, "host-unknown", 5, ["s3.nowhere.invalid"]),
        ({"aws_profile": "stagign"}, None, "credentials-broken", 4, ["stagign"]),
    ],
    ids=["secret", "key", "bucket", "name", "profile"],
)
def test_wrong_setting_is_named(
    seaweedfs_bucket: TestBucket,
    tmp_path: Path,
    changes: dict[str, Any],
    key: AccessKey | None,
    code: str,
    exit_code: int,
    words: list[str],
) -> None:
    if "aws_profile" in changes:
        sick = SetUp({**set_up(seaweedfs_bucket).settings, **changes}, {})
    else:
        sick = set_up(seaweedfs_bucket, key=key, **changes)
    cause(sick.examine(tmp_path), code, exit_code, *words)
    assert keys_in(seaweedfs_bucket) == []


def test_missing_credentials_are_named_and_the_network_is_still_asked(
    seaweedfs_bucket: TestBucket, tmp_path: Path
) -> None:
    report = SetUp(set_up(seaweedfs_bucket).settings, {}).examine(tmp_path)
    cause(report, "no-credentials", 4, "S3IMG_ACCESS_KEY_ID", "inside the site")
    assert {f.probe: f.status for f in report.findings if f.probe in {"dns", "tcp", "tls", "clock", "list"}} == {
        **dict.fromkeys(("dns", "tcp", "tls", "clock"), "ok"),
        "list": "skip",
    }


def test_half_of_a_key_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    sick = SetUp(set_up(seaweedfs_bucket).settings, {"S3IMG_ACCESS_KEY_ID": "half"})
    cause(sick.examine(tmp_path), "credentials-broken", 4, "S3IMG_SECRET_ACCESS_KEY")


def test_closed_port_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        cause(set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path), "port-closed", 5, "refuses connections")


def test_http_for_https_is_named(seaweedfs: S3Server, seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    sick = set_up(seaweedfs_bucket, endpoint_url=seaweedfs.https_url.replace("https:", "http:"))
    cause(sick.examine(tmp_path), "needs-https", 3, f'endpoint_url = "{seaweedfs.https_url}"')


def test_https_for_http_is_named(seaweedfs: S3Server, seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    sick = set_up(seaweedfs_bucket, endpoint_url=seaweedfs.endpoint_url.replace("http:", "https:"))
    cause(sick.examine(tmp_path), "not-tls", 3, f'endpoint_url = "{seaweedfs.endpoint_url}"')


def test_redirect_to_https_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    with stub_store(Answer(301, headers={"Location": "https://127.0.0.1/"})) as store:
        sick = set_up(seaweedfs_bucket, endpoint_url=store.endpoint_url)
        cause(sick.examine(tmp_path), "needs-https", 3)


def test_certificate_of_an_unknown_authority_is_named(
    seaweedfs: S3Server, seaweedfs_bucket: TestBucket, tmp_path: Path
) -> None:
    report = set_up(seaweedfs_bucket, endpoint_url=seaweedfs.https_url).examine(tmp_path)
    assert report.first is not None
    cause(report, report.first.code, 5, "AWS_CA_BUNDLE")
    assert report.first.code in {"tls-self-signed", "tls-untrusted"}


@pytest.mark.parametrize("skew", [-3600, 7200])
def test_skewed_clock_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path, skew: int) -> None:
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, Meddling(skew=skew)) as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path)
    cause(report, "clock-skew", 5, "ahead of" if skew < 0 else "behind", "NTP")


def test_drifting_clock_is_a_warning(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, Meddling(skew=400)) as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path)
    assert (verdict(report), report.exit_code) == (("warn", "clock-drift"), 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "upstream:8333"])
def test_proxy_that_changes_the_host_is_told_from_a_wrong_secret(
    seaweedfs_bucket: TestBucket, tmp_path: Path, host: str
) -> None:
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, Meddling(host=host)) as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path)
    cause(report, "host-rewritten", 5, "proxy", "Host", "proxy_set_header Host $http_host")


def test_proxy_that_says_what_it_is_is_suspected_too(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    meddling = Meddling(host="upstream:8333", drop=("x-forwarded-host",), headers={"Server": "nginx/1.28"})
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, meddling) as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path)
    cause(report, "wrong-secret", 4, "nginx/1.28", "Host header")


@pytest.mark.parametrize(
    ("answer", "code", "exit_code", "words"),
    [
        (Answer.error(400, "ExpiredToken"), "expired-token", 4, "Sign in again"),
        (Answer.error(403, "RequestTimeTooSkewed"), "clock-skew", 5, "clock"),
        (Answer.error(403, "AccessDenied"), "list-denied", 4, "s3:ListBucket"),
        (Answer(200, b"<!doctype html><p>welcome", {"Content-Type": "text/html"}), "not-s3", 3, "S3 interface"),
        (Answer.error(403, "SecondLevelDomainForbidden"), "wrong-addressing", 3, 'addressing_style = "virtual"'),
        (Answer.error(400, "InvalidBucketName"), "bucket-name", 3, "name"),
        (Answer.error(500, "InternalError"), "store-failed", 5, "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) and "-" in value else "",
)
def test_answer_of_a_store_is_named(tmp_path: Path, answer: Answer, code: str, exit_code: int, words: str) -> None:
    with stub_store(answer) as store:
        settings = {"bucket": "s3://pics", "endpoint_url": store.endpoint_url, "region": "eu-west-3"}
        environ = key_variables(AccessKey("stubaccesskey", "stubsecretkey", "stubtoken"))
        cause(SetUp(settings, environ).examine(tmp_path), code, exit_code, words)


def test_store_that_hangs_up_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, Meddling(answers={"Authorization": 0})) as url:
        cause(set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path), "unreachable", 5, "network")


@pytest.mark.slow
def test_host_that_does_not_accept_connections_is_named(tmp_path: Path) -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):  # the queue of the listener is full after these
            client.setblocking(False)  # noqa: FBT003 - the standard library's signature
            client.connect_ex(listener.getsockname())
        settings = {"bucket": "s3://pics", "endpoint_url": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        with patch.multiple("s3img.doctor.network", _SECONDS=0.3):
            cause(
                SetUp(settings, key_variables(AccessKey("k" * 8, "s" * 8))).examine(tmp_path),
                "no-answer",
                5,
                "firewall",
            )


def test_role_that_is_refused_is_named(
    seaweedfs_bucket: TestBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not yours</Message></Error></ErrorResponse>"
    with stub_store(Answer(403, refusal)) as tokens:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", tokens.endpoint_url)
        sick = set_up(seaweedfs_bucket, role_arn="arn:aws:iam::123456789012:role/pics")
        cause(sick.examine(tmp_path), "credentials-refused", 4, "role_arn", "not yours")


def test_endpoint_that_begins_with_the_bucket_is_named(
    seaweedfs_bucket: TestBucket, tmp_path: Path, every_name_is_here: None
) -> None:
    store = seaweedfs_bucket.server.endpoint_url.replace("127.0.0.1", "s3.localhost")
    sick = set_up(seaweedfs_bucket, endpoint_url=store.replace("s3.", f"{seaweedfs_bucket.name}.s3."))
    cause(sick.examine(tmp_path), "endpoint-has-bucket", 3, f'endpoint_url = "{store}"')


def test_endpoint_that_begins_with_the_bucket_and_is_unknown_is_named(
    seaweedfs_bucket: TestBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **options: Any) -> Any:
        if str(host).startswith(seaweedfs_bucket.name):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    store = seaweedfs_bucket.server.endpoint_url.replace("127.0.0.1", "localhost")
    sick = set_up(seaweedfs_bucket, endpoint_url=store.replace("localhost", f"{seaweedfs_bucket.name}.localhost"))
    cause(sick.examine(tmp_path), "endpoint-has-bucket", 3, f'endpoint_url = "{store}"')


def test_endpoint_with_the_bucket_in_its_path_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        Config(
            bucket="s3://pics", endpoint_url="https://acc.r2.cloudflarestorage.com/pics", public_url="https://i.example"
        )
    report = unusable(caught.value)
    cause(report, "endpoint-has-bucket", 3, "has a path", "s3://NAME/PREFIX")
    assert {finding.status for finding in report.findings[1:]} == {"skip"}


def test_virtual_style_that_the_store_does_not_have_is_named(
    seaweedfs_bucket: TestBucket, tmp_path: Path, every_name_is_here: None
) -> None:
    url = seaweedfs_bucket.server.endpoint_url.replace("127.0.0.1", "localhost")
    report = set_up(seaweedfs_bucket, endpoint_url=url, addressing_style="virtual").examine(tmp_path)
    cause(report, "wrong-addressing", 3, 'addressing_style = "path"')


def test_virtual_style_whose_name_is_unknown_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    url = seaweedfs_bucket.server.endpoint_url
    report = set_up(seaweedfs_bucket, endpoint_url=url, addressing_style="virtual").examine(tmp_path)
    cause(report, "wrong-addressing", 3, 'addressing_style = "path"')


@pytest.mark.parametrize(
    "answer",
    [
        Answer.error(400, "AuthorizationHeaderMalformed", "wrong; expecting 'eu-west-3'"),
        Answer.error(301, "PermanentRedirect", x_amz_bucket_region="eu-west-3"),
    ],
    ids=["malformed", "redirect"],
)
def test_wrong_region_is_named(tmp_path: Path, answer: Answer) -> None:
    with stub_store(answer) as store:
        settings = {"bucket": "s3://pics", "endpoint_url": store.endpoint_url, "region": "us-east-1"}
        environ = key_variables(AccessKey("stubaccesskey", "stubsecretkey"))
        cause(SetUp(settings, environ).examine(tmp_path), "wrong-region", 3, "eu-west-3")


def test_wrong_region_that_the_store_corrects_is_named(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    store = seaweedfs_bucket.server.endpoint_url
    with regional_store(store, "eu-west-3") as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path)
    cause(report, "wrong-region", 3, 'region = "eu-west-3"')
    assert keys_in(seaweedfs_bucket) == []


def test_region_that_is_not_named_is_found(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    with regional_store(seaweedfs_bucket.server.endpoint_url, "garage", names_it=False) as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url).examine(tmp_path)
    cause(report, "wrong-region", 3, 'region = "garage"')


@pytest.mark.parametrize(
    ("certificate", "code", "words"),
    [
        ({"names": ["localhost"], "days": (-9, -1)}, "tls-expired", "Renew"),
        ({"names": ["localhost"], "days": (5, 9)}, "tls-not-yet-valid", "date"),
        ({"names": ["s3.example.com"]}, "tls-wrong-host", "Write the name"),
        ({"names": ["localhost"], "is_trusted": False}, "tls-self-signed", "AWS_CA_BUNDLE"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("tls") else "",
)
def test_certificate_that_is_refused_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: dict[str, Any], code: str, words: str
) -> None:
    with tls_server(tmp_path, **certificate) as (url, trusted):
        if trusted:
            monkeypatch.setenv("AWS_CA_BUNDLE", trusted)
        settings = {"bucket": "s3://pics", "endpoint_url": url}
        environ = key_variables(AccessKey("stubaccesskey", "stubsecretkey"))
        cause(SetUp(settings, environ).examine(tmp_path), code, 5, words)


def test_missing_file_of_authorities_is_named(
    seaweedfs_bucket: TestBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    cause(set_up(seaweedfs_bucket).examine(tmp_path), "tls-failed", 5, "gone.pem", "AWS_CA_BUNDLE")


@pytest.mark.slow
def test_store_that_answers_nothing_is_named(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        settings = {"bucket": "s3://pics", "endpoint_url": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        environ = key_variables(AccessKey("stubaccesskey", "stubsecretkey"))
        with patch.multiple("s3img.doctor.network", _SECONDS=0.3), patch.multiple("s3img.doctor.fetch", SECONDS=0.3):
            cause(SetUp(settings, environ).examine(tmp_path), "not-s3", 3, "timed out")


@pytest.fixture
def every_name_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that knows every name below localhost, as many do."""
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **options: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith("localhost") else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_proxy_that_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from s3img import Config
    from s3img.doctor.network import proxy_host
    from s3img.doctor.probe_context import ProbeContext

    monkeypatch.setenv("http_proxy", "http://[broken")
    monkeypatch.setenv("no_proxy", "")
    context = ProbeContext(Config(bucket="s3://pics", endpoint_url="http://s3.example.com"))
    assert proxy_host(context) == "of the environment"
