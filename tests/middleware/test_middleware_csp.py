"""Content-Security-Policy: heeded, never widened by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from werkzeug.datastructures import Headers
from wsgi_apps import CONFIG, app_of, send

from s3img import Config
from s3img.csp import allows, extended, in_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.middleware import RewriteMiddleware

    Wrap = Callable[..., RewriteMiddleware]

URL = "https://img.example.com/app/"
OWN = "https://www.example.com"
PAGE = b'<html><head></head><img src="/static/cat.jpg" alt="">'


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "script-src 'self'",
        "img-src *",
        "img-src https:",
        "IMG-SRC HTTPS:",
        "img-src img.example.com",
        "img-src https://img.example.com",
        "img-src https://img.example.com:443",
        "img-src https://img.example.com/app/",
        "img-src https://img.example.com:*",
        "img-src http://img.example.com",
        "img-src *.example.com",
        "default-src 'self' img.example.com; script-src 'none'",
        "default-src 'none'; img-src data: img.example.com",
        "img-src img.example.com; img-src 'none'",
    ],
)
def test_policy_allows(policy: str) -> None:
    assert allows([policy], URL, own=OWN)


@pytest.mark.parametrize(
    "policy",
    [
        "img-src 'self'",
        "img-src 'none'",
        "img-src",
        "img-src data: blob:",
        "img-src https://img.example.com:8443",
        "img-src https://img.example.com/other/",
        "img-src https://img.example.com/app",
        "img-src *.img.example.com",
        "img-src example.com",
        "default-src 'self'",
        "img-src *; , img-src 'self'",
        "img-src 'nonce-abc' 'unsafe-inline'",
    ],
)
def test_policy_forbids(policy: str) -> None:
    assert not allows([policy], URL, own=OWN)


def test_every_policy_has_to_allow() -> None:
    assert not allows(["img-src *", "img-src 'self'"], URL, own=OWN)
    assert allows(["img-src 'self'"], URL, own="https://img.example.com")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("img-src 'self'", "img-src 'self' https://img.example.com"),
        ("a b; img-src 'none' ; c d", "a b; img-src https://img.example.com; c d"),
        ("default-src 'self' data:;", "default-src 'self' data:; img-src 'self' data: https://img.example.com"),
        ("script-src 'self'", "script-src 'self'"),
        ("img-src a, img-src b", "img-src a https://img.example.com, img-src b https://img.example.com"),
    ],
)
def test_policy_is_extended_by_the_host_alone(policy: str, expected: str) -> None:
    assert extended(policy, URL) == expected
    assert allows([expected], URL, own=OWN)


def test_policy_of_a_page_is_found() -> None:
    page = b"""<META content="img-src &#39;self&#39;" HTTP-EQUIV=Content-Security-Policy><meta name=x content="img-src y">"""
    assert in_page(page) == ["img-src 'self'"]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (b"<meta http-equiv=content-security-policy content=img-src>", ["img-src"]),
        (b"<meta\nhttp-equiv = 'Content-SECURITY-Policy' content = 'img-src a'>", ["img-src a"]),
        (b"""<meta data-x=">" http-equiv="content-security-policy" content="img-src a">""", ["img-src a"]),
        (
            b"<meta http-equiv=content-security-policy content=a><META content=b http-equiv=Content-Security-Policy>",
            ["a", "b"],
        ),
        (b"<!-- <meta http-equiv=content-security-policy content=a> -->", []),
        (b"<script>'<meta http-equiv=content-security-policy content=a>'</script>", []),
        (b"""<p title="<meta http-equiv=content-security-policy content=a>">""", []),
        (b"<meta http-equiv=content-security-policy-report-only content=a>", []),
        (b"<meta name=x content='http-equiv security'>", []),
        (b"<meta http-equiv=content-security-policy>", []),
    ],
)
def test_policy_of_a_page_is_read_as_browsers_read_html(page: bytes, expected: list[str]) -> None:
    assert in_page(page) == expected


def test_policy_that_keeps_images_away_is_heeded(wrap: Wrap, caplog: pytest.LogCaptureFixture) -> None:
    app = app_of(PAGE, Content_Security_Policy="default-src 'self'; report-uri /heeded")
    answers = [send(wrap(app)) for _ in range(2)]
    assert [(answer.body, answer.headers) for answer in answers] == [(PAGE, send(app).headers)] * 2
    assert [record.message.count("Add it to img-src, or pass csp_host=True.") for record in caplog.records] == [1]


def test_policy_that_allows_images_is_left_alone(wrap: Wrap) -> None:
    policy = "default-src 'self'; img-src 'self' img.example.com"
    answer = send(wrap(app_of(PAGE, Content_Security_Policy=policy)))
    assert (b"<picture" in answer.body, answer.headers["Content-Security-Policy"]) == (True, policy)


def test_policy_is_widened_only_when_told(wrap: Wrap) -> None:
    answer = send(wrap(app_of(PAGE, Content_Security_Policy="img-src 'self'"), csp_host=True))
    assert answer.headers["Content-Security-Policy"] == "img-src 'self' https://img.example.com"
    assert b"<picture" in answer.body


def test_policy_of_a_page_that_stays_is_not_widened(wrap: Wrap) -> None:
    app = app_of(b"<p>", Content_Security_Policy="img-src 'self'")
    assert send(wrap(app, csp_host=True)).headers["Content-Security-Policy"] == "img-src 'self'"


def test_report_only_policy_forbids_nothing(wrap: Wrap) -> None:
    app = app_of(PAGE, Content_Security_Policy_Report_Only="img-src 'self'")
    assert b"<picture" in send(wrap(app)).body


def test_two_headers_both_count(wrap: Wrap) -> None:
    def app(environ: object, start_response: Callable[..., object]) -> list[bytes]:
        headers = Headers([("Content-Type", "text/html")])
        headers.add("Content-Security-Policy", "img-src *")
        headers.add("Content-Security-Policy", "img-src 'self'")
        start_response("200 OK", headers.to_wsgi_list())
        return [PAGE]

    assert send(wrap(app)).body == PAGE


def test_service_has_to_be_allowed_too(wrap: Wrap) -> None:
    config = Config(public_url=CONFIG.public_url, widths=(320, 640), formats=("webp",), service_url="https://s.example")
    app = app_of(PAGE, Content_Security_Policy="img-src img.example.com")
    assert send(wrap(app, config)).body == PAGE
    policy = send(wrap(app, config, csp_host=True)).headers["Content-Security-Policy"]
    assert policy == "img-src img.example.com https://s.example"


@pytest.mark.parametrize("stream", [False, True])
def test_policy_in_meta_is_heeded_and_never_changed(wrap: Wrap, *, stream: bool) -> None:
    page = PAGE.replace(b"<head>", b"<head><meta http-equiv='content-security-policy' content=\"img-src 'self'\">")
    app = app_of(iter([page]) if stream else page)
    assert send(wrap(app, csp_host=True)).body == page
