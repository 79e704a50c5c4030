"""Each reason that ``docs/errors.md`` lists, from the condition itself: SeaweedFS, moto, sockets, or a stub's answer."""

from __future__ import annotations

import datetime
import ipaddress
import runpy
import socket
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from stub_store import Answer, stub_store

from s3img import errors
from s3img.buckets import AccessKey, Bucket, S3Options, open_bucket
from s3img.buckets.s3 import facts
from s3img.buckets.s3.causes import client_causes, store_causes
from s3img.errors import BucketError, S3ImgError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_servers import S3Server, TestBucket

DOCS = Path(__file__).parent.parent.parent / "docs"
KEY = AccessKey("key", "secret")

# What a store answers to a PUT: status, code and message as documented.
ANSWERS = {
    "unknown-key": [(403, "InvalidAccessKeyId", ""), (403, "InvalidClientTokenId", "")],
    "wrong-secret": [(403, "SignatureDoesNotMatch", "")],
    "expired-token": [(400, "ExpiredToken", ""), (400, "InvalidToken", ""), (400, "TokenRefreshRequired", "")],
    "put-denied": [
        (403, "AccessDenied", ""),
        (403, "AllAccessDisabled", ""),
        (401, "UnauthorizedAccess", ""),
        (403, "", ""),
    ],
    "no-bucket": [(404, "NoSuchBucket", "")],
    "no-object": [(404, "NoSuchKey", ""), (404, "", "")],
    "no-version": [(404, "NoSuchVersion", ""), (400, "InvalidArgument", "Invalid version id specified")],
    "no-such-range": [(416, "InvalidRange", "")],
    "wrong-region": [
        (301, "PermanentRedirect", ""),
        (400, "AuthorizationHeaderMalformed", "the region 'a' is wrong"),
        (400, "IllegalLocationConstraintException", ""),
        (307, "TemporaryRedirect", ""),
    ],
    "clock-skew": [(403, "RequestTimeTooSkewed", "")],
    "bucket-name": [(400, "InvalidBucketName", "")],
    "wrong-addressing": [(403, "PathStyleDomainForbidden", ""), (403, "SecondLevelDomainForbidden", "")],
    "not-offered": [
        (501, "NotImplemented", "This header is not implemented"),
        (405, "MethodNotAllowed", ""),
        (501, "", ""),
    ],
    "checksum-refused": [
        (501, "NotImplemented", "Header 'x-amz-checksum-crc32' not implemented"),
        (400, "InvalidArgument", "aws-chunked encoding is not supported"),
    ],
    "checksum-missing": [
        (400, "MissingContentMD5", ""),
        (400, "InvalidRequest", "Missing required header: Content-MD5"),
    ],
    "condition-failed": [(412, "PreconditionFailed", ""), (409, "ConditionalRequestConflict", "")],
    "store-busy": [(503, "SlowDown", ""), (429, "TooManyRequests", ""), (503, "", "")],
    "store-failed": [(500, "InternalError", ""), (502, "", "")],
    "upload-stalled": [(400, "RequestTimeout", "")],
    "length-refused": [(411, "MissingContentLength", "")],
    "bytes-changed": [(400, "BadDigest", ""), (400, "XAmzContentSHA256Mismatch", "")],
    "key-too-long": [(400, "KeyTooLongError", "")],
    "key-refused": [(400, "InvalidObjectName", ""), (400, "InvalidURI", "")],
    "object-too-large": [(400, "EntityTooLarge", ""), (413, "", "")],
    "store-full": [(507, "XMinioStorageFull", ""), (403, "QuotaExceeded", "")],
    "store-refused": [(400, "SomethingNew", "")],
    "not-s3": [(200, "", "")],
}
# Reasons that have a test of their own, here or in the files about credentials and errors.
ELSEWHERE = {
    *(
        "get-denied",
        "list-denied",
        "delete-denied",
        "cors-denied",
        "role-refused",
        "no-credentials",
        "half-credentials",
    ),
    *("no-profile", "credentials-broken", "proxy-failed", "tls-failed", "no-connection", "no-answer", "port-closed"),
    *(
        "key-not-text",
        "no-region",
        "endpoint-unusable",
        "connection-broken",
        "not-tls",
        "tls-expired",
        "tls-wrong-host",
    ),
    *("listing-broken", "answer-too-slow", "not-stored", "key-invalid"),
    *("host-unknown", "credentials-malformed", "endpoint-invalid", "unexpected"),
}


def failure(bucket: Bucket) -> BucketError:
    with pytest.raises(BucketError) as caught:
        bucket.put("cat.png", b"x", media_type="image/png")
    assert caught.value.fix
    return caught.value


def options_for(endpoint_url: str, **changes: object) -> S3Options:
    usual = {
        "endpoint_url": endpoint_url,
        "access_key": KEY,
        "region": "us-east-1",
        "attempts": 1,
        "use_obstore": False,
    }
    return S3Options(**{**usual, "connect_timeout": 0.5, "read_timeout": 0.5, **changes})


@pytest.mark.parametrize(
    ("reason", "answer"),
    [(reason, answer) for reason, answers in ANSWERS.items() for answer in answers],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}-{value[1]}",
)
def test_an_answer_has_its_reason(reason: str, answer: tuple[int, str, str]) -> None:
    status, code, said = answer
    full = Answer.error(status, code, said) if code else Answer(status, b"", {})
    with stub_store(full) as store:
        assert failure(open_bucket("s3://pics", store.options())).reason == reason


def test_every_reason_is_produced_by_a_test() -> None:
    listed = {reason for row in [*store_causes(), *client_causes()] for reason, _ in generator()["reasons"](row)}
    assert listed == set(ANSWERS) | ELSEWHERE


@pytest.mark.parametrize("action", ["put", "list", "delete", "get", "cors"])
def test_a_denial_names_its_action(action: str) -> None:
    calls = {
        "put": lambda bucket: bucket.put("k", b"x", media_type="image/png"),
        "get": lambda bucket: bucket.get("k"),
        "list": lambda bucket: list(bucket.list()),
        "delete": lambda bucket: bucket.delete(["k"]),
        "cors": lambda bucket: facts.read_rules(bucket, "pics"),
    }
    with stub_store(Answer.error(403, "AccessDenied")) as store:
        bucket = open_bucket("s3://pics", store.options())
        with pytest.raises(errors.AccessDenied) as caught:
            calls[action](bucket)
    assert caught.value.reason == f"{action}-denied"


@pytest.mark.parametrize(
    ("secret", "key_id", "reason"), [("wrong", None, "wrong-secret"), ("secret", "unknown", "unknown-key")]
)
def test_seaweedfs_tells_keys_from_secrets(seaweedfs: S3Server, secret: str, key_id: str | None, reason: str) -> None:
    key = AccessKey(key_id or seaweedfs.access_key, secret)
    assert failure(open_bucket("s3://pics", seaweedfs.options(access_key=key, use_obstore=False))).reason == reason


def test_seaweedfs_measures_clocks(seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    late = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(hours=1)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: late)
    options = seaweedfs_bucket.server.options(use_obstore=False)
    assert failure(open_bucket(seaweedfs_bucket.address, options)).reason == "clock-skew"


def test_moto_has_no_such_bucket(moto_server: S3Server) -> None:
    assert failure(open_bucket("s3://no-such-bucket", moto_server.options(use_obstore=False))).reason == "no-bucket"


def test_an_untrusted_certificate_fails(seaweedfs: S3Server) -> None:
    assert failure(open_bucket("s3://pics", options_for(seaweedfs.https_url))).reason == "tls-failed"


def test_tls_on_a_port_without_it_is_told_apart(seaweedfs: S3Server) -> None:
    endpoint = seaweedfs.endpoint_url.replace("http:", "https:")
    assert failure(open_bucket("s3://pics", options_for(endpoint))).reason == "not-tls"


def test_a_certificate_of_another_host_is_told_apart(seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    find = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: find("127.0.0.1", *rest, **more))
    monkeypatch.setenv("AWS_CA_BUNDLE", seaweedfs.ca_file)
    endpoint = f"https://s3.other.test:{seaweedfs.https_url.rpartition(':')[2]}"
    assert failure(open_bucket("s3://pics", options_for(endpoint))).reason == "tls-wrong-host"


def test_an_expired_certificate_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with expired_tls_server(tmp_path) as endpoint:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert.pem"))
        assert failure(open_bucket("s3://pics", options_for(endpoint))).reason == "tls-expired"


def test_a_closed_port_and_an_unknown_host_are_told_apart() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert failure(open_bucket("s3://pics", options_for(endpoint))).reason == "port-closed"
    assert failure(open_bucket("s3://pics", options_for("http://s3.nowhere.invalid"))).reason == "host-unknown"


@pytest.mark.slow
def test_a_host_that_never_connects_and_one_that_never_answers_are_told_apart() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert failure(open_bucket("s3://pics", options_for(endpoint))).reason == "no-answer"
        for client in (first, second):  # the queue of the listener is full after these
            client.setblocking(False)  # noqa: FBT003 - the standard library's signature
            client.connect_ex(listener.getsockname())
        assert failure(open_bucket("s3://pics", options_for(endpoint))).reason == "no-connection"


def test_a_connection_that_breaks_has_its_reason() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        threading.Thread(target=close_first, args=(listener,), daemon=True).start()
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert failure(open_bucket("s3://pics", options_for(endpoint))).reason == "connection-broken"


def test_a_proxy_that_is_gone_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{bound.getsockname()[1]}")
        assert failure(open_bucket("s3://pics", options_for("http://s3.example.org"))).reason == "proxy-failed"


@pytest.mark.parametrize(
    ("changes", "environment", "reason"),
    [
        ({"access_key": None}, {}, "no-credentials"),
        ({"access_key": None}, {"AWS_ACCESS_KEY_ID": "only"}, "half-credentials"),
        ({"profile": "stagign"}, {}, "no-profile"),
        ({"access_key": None, "profile": "broken"}, {}, "credentials-broken"),
        ({"access_key": AccessKey("a\nb", "c")}, {}, "credentials-malformed"),
        ({"endpoint_url": ""}, {"AWS_ENDPOINT_URL_S3": "s3.example.com"}, "endpoint-invalid"),
        ({"endpoint_url": "", "region": "not a region"}, {}, "no-region"),
        ({"endpoint_url": ""}, {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1/a?b"}, "endpoint-unusable"),
        ({}, {"AWS_DEFAULTS_MODE": "sometimes"}, "unexpected"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_that_fail_before_a_request_have_their_reason(
    changes: dict[str, object],
    environment: dict[str, str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "config").write_text("[profile broken]\ncredential_process = false\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with stub_store() as store:
        assert (
            failure(open_bucket("s3://pics", options_for(**{"endpoint_url": store.endpoint_url, **changes}))).reason
            == reason
        )


def test_a_key_that_is_no_text_has_its_reason() -> None:
    with stub_store() as store, pytest.raises(BucketError) as caught:
        open_bucket("s3://pics", store.options()).put("caf\udce9.png", b"x", media_type="image/png")
    assert caught.value.reason == "key-not-text"


def test_a_refused_role_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    with stub_store(Answer(403, refusal)) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", store.endpoint_url)
        options = store.options(role_arn="arn:aws:iam::123456789012:role/pics")
        assert failure(open_bucket("s3://pics", options)).reason == "role-refused"


def test_the_page_lists_what_the_code_has() -> None:
    page = (DOCS / "errors.md").read_text("utf-8")
    assert generator()["page"](page) == page, "run: python docs/generate_errors.py"


def test_every_class_has_a_reason_of_its_own() -> None:
    kinds = list(generator()["tree"](S3ImgError))
    assert len({kind.reason for kind in kinds}) == len(kinds)


def test_one_reason_means_one_thing() -> None:
    causes = [*store_causes(), *client_causes()]
    assert len({cause.reason for cause in causes}) == len(dict.fromkeys(causes))


def close_first(listener: socket.socket) -> None:
    listener.accept()[0].close()


def generator() -> dict[str, object]:
    return runpy.run_path(str(DOCS / "generate_errors.py"))


@contextmanager
def expired_tls_server(folder: Path) -> Iterator[str]:
    """Speak TLS with a certificate that is its own authority and ended yesterday."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "s3img tests")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - 2 * day, now - day)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = built.add_extension(address, critical=False).sign(key, hashes.SHA256())
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "both.pem").write_bytes(plain + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)
