"""Request lines and headers that nobody wrote: every answer is a documented one, and none a traceback."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wsgi_servers import running

from s3img.config import Config
from s3img.service import TransformService
from s3img.service.failure import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTED = {200, 204, 206, 304} | {kind.status for kind in KINDS.values()}
PIECES = [
    *(
        "/",
        "//",
        "tr:",
        "tr%3A",
        "?tr=",
        "&",
        "=",
        ",",
        ":",
        "%2C",
        "%2F",
        "%",
        "%zz",
        "%00",
        "%0d%0a",
        "%ff",
        "+",
        ";",
    ),
    *("cat.jpg", "missing.jpg", "w-30", "h-20", "n-x", "di-", "q-", "f-auto", "f-webp", "rt-", "orig-true", "e-usm-"),
    *("..", ".", "%2e", "s3:", "all", "info", "ik-seo", "versionId=", "ik-attachment=true", "sig=1.k.0.", "#", "@@"),
    *("healthz", "\x7f", "~", "9" * 30, "-", "_", "*", "http://", "\\", "é".encode().decode("latin-1")),
]
TOKENS = [
    *(
        "w-30",
        "h-20",
        "w-0.5",
        "w-iw_div_3",
        "w-auto",
        "dpr-auto",
        "dpr-2",
        "ar-4-3",
        "c-force",
        "c-at_least",
        "cm-extract",
    ),
    *("cm-pad_resize", "fo-left", "x-5", "yc-N3", "t-true", "fl-h", "e-grayscale", "e-sharpen-3", "bl-3", "b-2_red"),
    *(
        "r-max",
        "rt-45",
        "rt-N90",
        "o-50",
        "bg-FF000050",
        "f-auto",
        "f-webp",
        "f-gif",
        "q-1",
        "lo-true",
        "md-true",
        "n-x",
    ),
    *("orig-true", "di-cat.jpg", "w-9999999", "h-0", "q-", "zz-1", ""),
]
steps = st.lists(st.lists(st.sampled_from(TOKENS), max_size=4).map(",".join), min_size=1, max_size=3).map(":".join)
pieces = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
targets = pieces | steps.map("tr:{}/cat.jpg".format) | steps.map("cat.jpg?tr={}".format)
values = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
headers = st.dictionaries(
    st.sampled_from(
        ["Accept", "Range", "If-Range", "If-None-Match", "If-Modified-Since", "Host", "Origin", "Sec-CH-DPR"]
    ),
    values
    | st.sampled_from(["bytes=0-1", "bytes=-1", "*", "image/avif;q=1", "Thu, 01 Jan 1970 00:00:00 GMT", "3", 'W/"']),
    max_size=4,
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, picture_bytes: bytes) -> Iterator[TransformService]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "cat.jpg").write_bytes(picture_bytes)
    service = TransformService(
        Config(
            origins={"all": {"bucket": folder.as_uri()}},
            access="open",
            signing_keys="k:first-secret",
            presets={"x": "w-9"},
            cache_dir=str(tmp_path_factory.mktemp("cache")),
            service={"client_hints": True, "server_timing": True, "cors_origins": ["https://a.example"]},
        )
    )
    yield service
    service.close()


@pytest.mark.slow
@settings(
    max_examples=4 * settings().max_examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(targets, st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "get"]), headers)
def test_any_wsgi_request_is_answered(
    app: TransformService, caplog: pytest.LogCaptureFixture, target: str, method: str, headers: dict[str, str]
) -> None:
    status, sent = _call(app, f"/{target}", method, headers)
    assert status in DOCUMENTED
    assert all(text.isprintable() and "\n" not in text for pair in sent for text in pair)
    assert not [record for record in caplog.records if record.exc_info]


@settings(
    max_examples=2 * settings().max_examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_request_line_is_answered(port: int, caplog: pytest.LogCaptureFixture, data: st.DataObject) -> None:
    line = data.draw(targets.map(lambda text: f"GET /{text} HTTP/1.1".encode("latin-1")) | st.binary(max_size=60))
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"Traceback" not in answer
    assert not answer.startswith((b"HTTP/1.1 500", b"HTTP/1.0 500"))
    assert not [record for record in caplog.records if record.exc_info]


@pytest.fixture(scope="module")
def port(app: TransformService) -> Iterator[int]:
    with running("waitress", app, {}) as found:
        yield found


def _call(
    app: TransformService, target: str, method: str, headers: dict[str, str]
) -> tuple[int, list[tuple[str, str]]]:
    """Call the application as a server does that passes on everything it gets."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _unquoted(path),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }
    seen: list[Any] = []

    def start_response(status: str, sent: list[tuple[str, str]], *_: Any) -> Any:
        seen.extend([int(status[:3]), sent])

    body = app(environ, start_response)
    b"".join(body)
    getattr(body, "close", lambda: None)()
    return seen[0], seen[1]


def _unquoted(path: str) -> str:
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
