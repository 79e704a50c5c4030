"""The promises of the middleware, one by one."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sites import SVG, Site, photo
from werkzeug.http import parse_date
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import FileWrapper, wrap_file
from wsgi_apps import CONFIG, Chunks, app_of, locked, make_lock, send

from s3img import Config, Images
from s3img.errors import ConfigError, LockError
from s3img.middleware import RewriteMiddleware
from s3img.pictures.markup import STYLE_SHEET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Wrap = Callable[..., RewriteMiddleware]

BASE = "https://img.example.com/app"
IMG = b'<img src="/static/cat.jpg" alt="A cat">'
PAGE = b"<!doctype html><html><head><title>T</title></head><body><p>" + IMG + b"</p></body></html>"
PLAIN = b"<!doctype html><p>nothing of ours: <img src=/elsewhere.jpg> <img src=https://other.example/static/cat.jpg>"


# what is written


def test_image_with_variants_becomes_a_picture(wrap: Wrap) -> None:
    text = send(wrap(app_of(PAGE))).text
    assert text.count('<picture class="s3img"><source type="image/webp" srcset="https://img.example.com/app/') == 1
    assert 'alt="A cat"' in text
    assert ' width="1000" height="500"' in text
    assert "/static/cat.jpg" not in text


def test_image_without_variants_gets_address_dimensions_and_loading(wrap: Wrap) -> None:
    text = send(wrap(app_of(PAGE.replace(IMG, IMG + b'<img src="/static/plain.jpg" alt="">')))).text
    values = 'alt="" width="1000" height="500" class="s3img-full" loading="lazy" decoding="async"'
    assert f'<img src="{BASE}/static/plain.jpg.orig" {values}>' in text
    assert text.count("<picture") == 1


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ('data-s3img="off"', '<img src="/static/cat.jpg" alt="">'),
        ('data-s3img="url"', f'<img src="{BASE}/static/cat.jpg.orig" alt="">'),
        ('data-s3img-widths="300"', "320w"),
        ('data-s3img-formats="avif"', ' class="s3img-full">'),
        ("data-s3img-priority", 'fetchpriority="high"'),
    ],
)
def test_authors_words_count_and_are_removed(wrap: Wrap, word: str, expected: str) -> None:
    text = send(wrap(app_of(f'<p><img src="/static/cat.jpg" alt="" {word}>'.encode()))).text
    assert expected in text or (expected == "320w" and "640w" not in text)
    assert "data-s3img" not in text


@pytest.mark.parametrize(
    ("setting", "attribute", "is_wrapped"), [("auto", "", True), ("img", "", False), ("auto", "img", False)]
)
def test_markup_is_that_of_the_settings_whatever_style_sheets_see(
    wrap: Wrap, setting: str, attribute: str, is_wrapped: object
) -> None:
    config = msgspec.structs.replace(CONFIG, markup=setting)
    body = f'<style>p > img {{ width: 9px }}</style><p><img src="/static/cat.jpg" data-s3img-markup="{attribute or setting}">'
    text = send(wrap(app_of(body.encode()), config)).text
    assert ("<picture" in text) is is_wrapped
    assert ".webp 320w" in text


@pytest.mark.parametrize(
    "body",
    [
        b'<img src="/static/cat.jpg" crossorigin>',
        b'<a href="/static/cat.jpg" download>x</a>',
        b"<style>.a { mask: url(/static/cat.jpg) }</style>",
    ],
)
def test_what_needs_the_pages_own_origin_stays(wrap: Wrap, body: bytes) -> None:
    assert send(wrap(app_of(body))).body == body


def test_region_that_is_off_stays(wrap: Wrap) -> None:
    body = b"<!-- s3img:off -->" + IMG + b"<!-- s3img:on -->"
    assert send(wrap(app_of(body))).body == body


def test_links_icons_and_styles_point_at_originals(wrap: Wrap) -> None:
    body = b"<link rel=icon href=/static/cat.jpg><a href='/static/cat.jpg?v=2#x'>x</a><p style='background:url(/static/cat.jpg)'>"
    text = send(wrap(app_of(body))).text
    assert text.count(f"{BASE}/static/cat.jpg.orig") == 3
    assert f"'{BASE}/static/cat.jpg.orig?v=2#x'" in text


def test_transform_without_a_service_shows_the_image_and_says_so(wrap: Wrap, caplog: pytest.LogCaptureFixture) -> None:
    body = b'<img src="/static/cat.jpg" alt="" data-s3img="ar-1-1,w-99">'
    app = wrap(app_of(body))
    assert f'src="{BASE}/static/cat.jpg.orig"' in send(app).text
    send(app, "/other")
    assert [r.message.count("needs service_url") for r in caplog.records] == [1]


def test_transform_is_the_services(wrap: Wrap) -> None:
    config = Config(public_url=BASE, widths=(320, 640), formats=("webp",), service_url="https://example.com/img")
    text = send(wrap(app_of(b'<img src="/static/cat.jpg" alt="" data-s3img="ar-1-1,w-99">'), config)).text
    assert "https://example.com/img/tr%3A" in text.replace("/tr:", "/tr%3A")
    assert ' width="99" height="99"' in text


def test_css_and_feeds_are_rewritten_on_demand(wrap: Wrap) -> None:
    css = app_of(b"a{background:url(/static/cat.jpg)}", "text/css")
    feed = app_of(b'<rss><channel><item><enclosure url="/static/cat.jpg" type="image/jpeg"/>', "application/rss+xml")
    assert BASE not in send(wrap(css)).text + send(wrap(feed)).text
    assert f"url({BASE}/static/cat.jpg.orig)" in send(wrap(css, css=True)).text
    assert f'url="{BASE}/static/cat.jpg.orig"' in send(wrap(feed, feeds=True)).text


def test_style_sheet_is_linked_once_and_served(wrap: Wrap) -> None:
    app = wrap(app_of(PAGE.replace(IMG, IMG * 3)))
    links = re.findall(r'<link rel="stylesheet" href="([^"]+)"></head>', send(app).text)
    assert len(links) == 1
    answer = Client(app).get(links[0])
    assert (answer.text, answer.mimetype) == (STYLE_SHEET, "text/css")
    assert answer.cache_control.immutable
    assert Client(app).get(links[0], headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_style_sheet_may_be_left_to_the_app(wrap: Wrap) -> None:
    app = wrap(app_of(PAGE), style_sheet=False)
    assert "stylesheet" not in send(app).text
    assert send(app, "/_s3img/s3img.css").body == send(app).body


def test_rewriting_twice_changes_nothing_more(wrap: Wrap) -> None:
    once = send(wrap(app_of(PAGE)))
    assert send(wrap(wrap(app_of(PAGE)))).body == once.body


# what passes


@pytest.mark.parametrize("content_type", ["application/json", "image/jpeg", "text/plain", "application/xhtml+xml", ""])
def test_other_types_pass_as_the_very_object(wrap: Wrap, content_type: str) -> None:
    chunks = Chunks(PAGE, b"", b"x")
    app = app_of(chunks, content_type, ETag='"abc"', Last_Modified="Sat, 21 Nov 2026 00:00:00 GMT")
    answer, plain = send(wrap(app)), send(app_of(Chunks(PAGE, b"", b"x"), content_type, ETag='"abc"'))
    assert answer.iterable is chunks
    assert (answer.chunks, chunks.closed) == ([PAGE, b"", b"x"], 1)
    assert answer.headers.to_wsgi_list()[:2] == plain.headers.to_wsgi_list()


def test_file_wrapper_reaches_the_server(wrap: Wrap, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(PAGE)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "image/png")])
        return wrap_file(environ, (tmp_path / "page.html").open("rb"))

    answer = send(wrap(app))
    assert isinstance(answer.iterable, FileWrapper)
    assert answer.body == PAGE


def test_page_in_a_file_wrapper_is_rewritten(wrap: Wrap, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(PAGE)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html")])
        return wrap_file(environ, (tmp_path / "page.html").open("rb"))

    assert b'<picture class="s3img">' in send(wrap(app)).body


@pytest.mark.parametrize("body", [PLAIN, b"", b"<p>no image"])
def test_page_without_our_images_passes_with_its_headers(wrap: Wrap, body: bytes) -> None:
    app = app_of(body, ETag='"abc"', Accept_Ranges="bytes", Last_Modified="Sat, 21 Nov 2026 00:00:00 GMT")
    answer, plain = send(wrap(app)), send(app)
    assert (answer.chunks, answer.headers, answer.status) == (plain.chunks, plain.headers, plain.status)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("204 No Content", {}),
        ("304 Not Modified", {"ETag": '"abc"'}),
        ("206 Partial Content", {"Content_Range": "bytes 0-9/99"}),
        ("200 OK", {"Content_Range": "bytes 0-9/99"}),
        ("200 OK", {"Cache_Control": "public, no-transform"}),
        ("200 OK", {"Cache_Control": "NO-TRANSFORM"}),
        ("200 OK", {"Content_Disposition": 'attachment; filename="page.html"'}),
        ("200 OK", {"Content_Encoding": "zstd"}),
        ("200 OK", {"Content_Length": "2000001"}),
    ],
)
def test_response_that_may_not_be_changed_is_not(wrap: Wrap, status: str, headers: dict[str, str]) -> None:
    app = app_of(Chunks(PAGE), status=status, **headers)
    answer, plain = send(wrap(app)), send(app_of(Chunks(PAGE), status=status, **headers))
    assert (answer.chunks, answer.headers, answer.status) == (plain.chunks, plain.headers, plain.status)


def test_client_may_forbid_changes(wrap: Wrap) -> None:
    assert send(wrap(app_of(PAGE)), headers={"Cache-Control": "no-transform"}).body == PAGE


@pytest.mark.parametrize("declared", [True, False])
def test_page_above_the_limit_passes(wrap: Wrap, *, declared: bool) -> None:
    headers = {"Content_Length": str(len(PAGE))} if declared else {}
    app = app_of([PAGE[:70], PAGE[70:]], **headers)
    answer = send(wrap(app, max_bytes=len(PAGE) - 1))
    assert (answer.chunks, answer.headers) == ([PAGE[:70], PAGE[70:]], send(app).headers)
    assert b"<picture" in send(wrap(app, max_bytes=len(PAGE))).body


def test_body_longer_than_declared_is_not_held_beyond_the_limit(wrap: Wrap) -> None:
    chunks = Chunks(*[b"x" * 100] * 50)
    answer = send(wrap(app_of(chunks, Content_Length="100"), max_bytes=1000), most=1)
    assert (chunks.asked, chunks.closed, answer.chunks) == (11, 1, [b"x" * 100])


# headers of what was rewritten


def test_length_is_corrected_and_old_digests_go(wrap: Wrap) -> None:
    headers = {"Content_MD5": "x", "Digest": "x", "Content_Digest": "x", "Repr_Digest": "x", "X_Own": "1"}
    answer = send(wrap(app_of(PAGE, Last_Modified="Sat, 21 Nov 2026 00:00:00 GMT", Accept_Ranges="bytes", **headers)))
    assert int(answer.headers["Content-Length"]) == len(answer.body) != len(PAGE)
    assert {name for name, _ in answer.headers} == {"Content-Type", "X-Own", "Content-Length", "Accept-Ranges"}
    assert answer.headers["Accept-Ranges"] == "none"


@pytest.mark.parametrize("etag", ['"abc"', 'W/"abc"'])
def test_etag_changes_with_the_lock(wrap: Wrap, lock: Path, etag: str) -> None:
    app = wrap(app_of(PAGE, ETag=etag))
    first = send(app).headers["ETag"]
    assert first.startswith(etag[:-1])
    assert first != etag
    assert send(app).headers["ETag"] == first
    make_lock(lock.parent, locked("static/cat.jpg", variants=True))
    assert send(app).headers["ETag"] not in {first, etag}


def conditional(environ: Any, start_response: Any) -> Any:
    response = Response(PAGE, mimetype="text/html")
    response.set_etag("abc")
    response.accept_ranges = "bytes"
    return response.make_conditional(Request(environ), accept_ranges=True, complete_length=len(PAGE))(
        environ, start_response
    )


def test_not_modified_knows_the_changed_etag(wrap: Wrap, lock: Path) -> None:
    app = wrap(conditional)
    etag = send(app).headers["ETag"]
    answer = send(app, headers={"If-None-Match": f'"other", {etag}'})
    assert (answer.status[:3], answer.headers["ETag"], answer.body) == ("304", etag, b"")
    make_lock(lock.parent, locked("static/cat.jpg"))
    answer = send(app, headers={"If-None-Match": etag})
    assert (answer.status[:3], answer.headers["ETag"] != etag) == ("200", True)


def test_not_modified_for_the_apps_own_etag_is_untouched(wrap: Wrap) -> None:
    answer = send(wrap(conditional), headers={"If-None-Match": '"abc"'})
    assert (answer.status[:3], answer.headers["ETag"]) == ("304", '"abc"')


def test_change_in_place_compares_the_apps_own_etag(wrap: Wrap) -> None:
    seen = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append(environ.get("HTTP_IF_MATCH"))
        return app_of(PAGE, ETag='"abc"')(environ, start_response)

    wrapped = wrap(app)
    etag = send(wrapped).headers["ETag"]
    send(wrapped, method="PUT", headers={"If-Match": etag})
    assert seen == [None, '"abc"']


@pytest.mark.parametrize("header", ["bytes=0-9", "bytes=-5", "bytes=10-"])
def test_part_of_a_page_is_answered_with_all_of_it(wrap: Wrap, header: str) -> None:
    app = wrap(conditional)
    whole = send(app)
    answer = send(app, headers={"Range": header, "If-Range": whole.headers["ETag"]})
    del answer.headers["Date"], whole.headers["Date"]  # may be those of two seconds
    assert (answer.status[:3], answer.body, answer.headers) == ("200", whole.body, whole.headers)
    assert send(app, headers={"Range": header}).body == whole.body
    assert send(wrap(conditional), headers={"Range": header, "If-Range": '"abc"'}).body == whole.body


def test_part_of_anything_else_is_a_part(wrap: Wrap) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        response = Response(PAGE, mimetype="image/png")
        return response.make_conditional(environ, accept_ranges=True, complete_length=len(PAGE))(
            environ, start_response
        )

    answer = send(wrap(app), headers={"Range": "bytes=0-9"})
    assert (answer.status[:3], answer.body) == ("206", PAGE[:10])


def test_head_has_the_headers_and_no_body(wrap: Wrap) -> None:
    chunks = Chunks()
    app = app_of(chunks, Content_Length=str(len(PAGE)), ETag='"abc"')
    answer = send(wrap(app), method="HEAD")
    assert (answer.body, chunks.closed, "Content-Length" in answer.headers) == (b"", 1, False)
    assert answer.headers["ETag"] == send(wrap(app_of(PAGE, ETag='"abc"'))).headers["ETag"]


# bodies of every kind


def test_stream_is_rewritten_as_it_comes(wrap: Wrap) -> None:
    pieces = [PAGE[start : start + 13] for start in range(0, len(PAGE), 13)]
    chunks = Chunks(*pieces)
    app = wrap(app_of(chunks, ETag='"abc"'))
    answer = send(app, most=3)
    assert (chunks.asked, chunks.closed) == (3, 1)
    assert answer.headers["ETag"].startswith('W/"abc-s3img-')
    assert "Content-Length" not in answer.headers
    whole = send(wrap(app_of(Chunks(*pieces)))).text
    assert whole.count("<picture") == whole.count('<link rel="stylesheet"') == 1
    assert whole.replace(re.findall("<link[^>]*>", whole)[0], "").endswith("</p></body></html>")


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_stream_gives_the_same_pictures_however_it_is_cut(wrap: Wrap, size: int) -> None:
    page = PAGE.replace(IMG, (IMG + b"<p>text</p>") * 5 + b'<img src="/static/plain.jpg" alt="">')
    chunks = Chunks(*(page[start : start + size] for start in range(0, len(page), size)))
    streamed = send(wrap(app_of(chunks))).text
    whole = send(wrap(app_of(page))).text
    assert re.findall("<picture.*?</picture>", streamed) == re.findall("<picture.*?</picture>", whole)


def test_stream_above_the_limit_ends_unchanged(wrap: Wrap) -> None:
    chunks = Chunks(IMG, b"x" * 500, IMG, IMG)
    answer = send(wrap(app_of(chunks), max_bytes=300))
    assert answer.text.count("<picture") == 1
    assert answer.body.endswith(b"x" * 500 + IMG + IMG)


def test_generator_that_starts_late_is_rewritten(wrap: Wrap) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(PAGE)))])
        yield PAGE[:70]
        yield PAGE[70:]

    answer = send(wrap(app))
    assert answer.chunks == [answer.body]
    assert int(answer.headers["Content-Length"]) == len(answer.body) > len(PAGE)


def test_generator_that_is_no_page_passes_chunk_by_chunk(wrap: Wrap) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield from (b"a", b"", b"b")

    assert send(wrap(app)).chunks == [b"a", b"", b"b"]


def test_write_callable_works(wrap: Wrap) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("Content-Type", environ["PATH_INFO"][1:])])
        write(PAGE[:70])
        return [PAGE[70:]]

    assert b"<picture" in send(wrap(app), "/text/html").body
    assert send(wrap(app), "/text/plain").chunks == [PAGE[:70], PAGE[70:]]
    assert send(wrap(app, max_bytes=50), "/text/html").body == PAGE


def test_write_during_a_stream_keeps_its_place(wrap: Wrap) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/html")])
        yield PAGE[:70]
        write(PAGE[70:80])
        yield PAGE[80:]

    assert send(wrap(app)).text.count("<picture") == 1


@pytest.mark.parametrize("content_type", ["text/html", "text/plain"])
@pytest.mark.parametrize("length", [{}, {"Content_Length": "999"}])
def test_close_is_called_once_when_the_app_fails(wrap: Wrap, content_type: str, length: dict[str, str]) -> None:
    chunks = Chunks(PAGE, fails=True)
    with pytest.raises(RuntimeError, match="the app is broken"):
        send(wrap(app_of(chunks, content_type, **length)))
    assert chunks.closed == 1


@pytest.mark.parametrize("content_type", ["text/html", "text/plain"])
@pytest.mark.parametrize("length", [{}, {"Content_Length": str(len(PAGE) + 1)}])
def test_close_is_called_once_when_the_client_goes(wrap: Wrap, content_type: str, length: dict[str, str]) -> None:
    chunks = Chunks(PAGE, b"x")
    send(wrap(app_of(chunks, content_type, **length)), most=1)
    assert chunks.closed == 1


def test_close_is_called_once_for_each_of_two_calls_of_the_app(wrap: Wrap) -> None:
    made: list[Chunks] = []

    def app(environ: Any, start_response: Any) -> Any:
        made.append(Chunks(PAGE))
        is_part = "HTTP_RANGE" in environ
        return app_of(made[-1], status="206 Partial Content" if is_part else "200 OK")(environ, start_response)

    assert b"<picture" in send(wrap(app), headers={"Range": "bytes=0-"}).body
    assert [chunks.closed for chunks in made] == [1, 1]


def test_app_that_fails_before_it_answers_fails(wrap: Wrap) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise RuntimeError("the app is broken")

    with pytest.raises(RuntimeError, match="the app is broken"):
        send(wrap(app))


def test_error_page_takes_the_place_of_what_was_held(wrap: Wrap) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html")])
        error = ValueError("late")
        start_response("500 Oops", [("Content-Type", "text/html")], (ValueError, error, None))
        return [IMG]

    answer = send(wrap(app))
    assert (answer.status, answer.text.count("<picture")) == ("500 Oops", 1)


def test_error_after_a_written_part_is_raised(wrap: Wrap) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html")])(b"<p>")
        error = ValueError("late")
        start_response("500 Oops", [], (ValueError, error, None))

    with pytest.raises(ValueError, match="late"):
        send(wrap(app))


@pytest.mark.parametrize("length", [{}, {"Content-Length": "999"}])
def test_error_in_the_middle_of_a_page_is_raised(wrap: Wrap, length: dict[str, str]) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), *length.items()])
        yield b"<p>"
        error = ValueError("late")
        start_response("500 Oops", [("Content-Type", "text/html")], (ValueError, error, None))
        yield b"<p>never"

    with pytest.raises(ValueError, match="late"):
        send(_strict(wrap(app)))


def _strict(app: Any) -> Any:
    """Let a server's start_response raise what it has to once it has sent a part of the body."""

    def strict(environ: Any, start_response: Any) -> Any:
        calls: list[str] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            calls.append(status)
            if exc_info and len(calls) > 1:
                raise exc_info[1]
            return start_response(status, headers)

        return app(environ, start)

    return strict


@pytest.mark.parametrize(("charset", "codec"), [("utf-8", "utf-8"), ("iso-8859-1", "latin-1"), ("shift_jis", "cp932")])
def test_charset_of_the_page_is_kept(wrap: Wrap, charset: str, codec: str) -> None:
    body = "<p>Zoë — 猫<img src='/static/cat.jpg' alt='x'>".encode(codec, "xmlcharrefreplace")
    answer = send(wrap(app_of(body, f"text/html; charset={charset}")))
    assert answer.body.startswith(body.partition(b"<img")[0])
    assert BASE.encode() in answer.body


def test_utf16_is_rewritten_whole(wrap: Wrap) -> None:
    body = "\ufeff<img src='/static/plain.jpg' alt=''>".encode("utf-16-le")
    assert f'src="{BASE}/static/plain.jpg.orig"' in send(wrap(app_of(body, "text/html"))).body.decode("utf-16").replace(
        "'", '"'
    )


# where a page is


@pytest.mark.parametrize(
    "url", ["/static/cat.jpg", "../static/cat.jpg", "http://localhost/static/cat.jpg", "//localhost/static/c%61t.jpg"]
)
def test_references_are_resolved_as_browsers_do(wrap: Wrap, url: str) -> None:
    assert BASE in send(wrap(app_of(f'<img src="{url}" alt="">'.encode())), "/blog/post").text


@pytest.mark.parametrize(
    "url", ["static/cat.jpg", "/static/CAT.jpg", "/static/../cat.jpg", "/app/static/cat.jpg", "data:x", "/static/"]
)
def test_references_that_lead_elsewhere_stay(wrap: Wrap, url: str) -> None:
    body = f'<img src="{url}" alt="">'.encode()
    assert send(wrap(app_of(body)), "/blog/post").body == body


def test_base_element_counts(wrap: Wrap) -> None:
    assert BASE in send(wrap(app_of(b'<base href="/static/"><img src="cat.jpg" alt="">')), "/blog/").text


def test_prefix_of_script_name(wrap: Wrap) -> None:
    body = b'<img src="/shop/static/cat.jpg" alt=""><img src="/static/cat.jpg" alt="">'
    text = send(wrap(app_of(body)), "/x", base_url="http://localhost/shop").text
    assert (text.count("<picture"), 'src="/static/cat.jpg"' in text) == (1, True)
    assert 'href="/shop/_s3img/s3img.' in text


@pytest.mark.parametrize("outside", [True, False])
def test_prefix_of_a_proxy(wrap: Wrap, *, outside: bool) -> None:
    app = app_of(b'<img src="https://shop.example/shop/static/cat.jpg" alt="">')
    fix = {"x_prefix": 1, "x_host": 1, "x_proto": 1}
    wrapped: Any = ProxyFix(wrap(app), **fix) if outside else wrap(ProxyFix(app, **fix))
    forwarded = {"X-Forwarded-Prefix": "/shop", "X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https"}
    assert "<picture" in send(wrapped, headers=forwarded).text


@pytest.mark.parametrize("outside", [True, False])
def test_prefix_of_a_mounted_app(wrap: Wrap, *, outside: bool) -> None:
    app = app_of(b'<img src="/shop/static/cat.jpg" alt=""><img src="/static/cat.jpg" alt="">')
    wrapped: Any = (
        wrap(DispatcherMiddleware(app, {"/shop": app})) if outside else DispatcherMiddleware(app, {"/shop": wrap(app)})
    )
    text = send(wrapped, "/shop/x").text
    kept = "/shop/static/cat.jpg" if outside else "/static/cat.jpg"
    assert (text.count("<picture"), f'src="{kept}"' in text) == (1, True)


def test_several_static_roots(tmp_path: Path) -> None:
    lock = make_lock(tmp_path, locked("a/cat.jpg"), locked("b/c/cat.jpg", digest="b"), locked("top.jpg", digest="c"))
    body = b"".join(b'<img src="%s" alt="">' % url for url in (b"/s/cat.jpg", b"/s/deep/cat.jpg", b"/top.jpg"))
    static = {"/s": "a", "/s/deep/": tmp_path / "b" / "c", "/": "."}
    text = send(RewriteMiddleware(app_of(body), CONFIG, lock=lock, static=static)).text
    assert [f'src="{BASE}/{key}.orig"' in text for key in ("a/cat.jpg", "b/c/cat.jpg", "top.jpg")] == [True] * 3


@pytest.mark.parametrize("host", ["", "a b", "[::1", "<script>", "x" * 5000, "exämple".encode().decode("latin-1")])
def test_malformed_host_is_no_reason_to_fail(wrap: Wrap, host: str) -> None:
    app = wrap(app_of(b'<img src="/static/cat.jpg" alt="">'))
    answer = send(lambda environ, start: app({**environ, "HTTP_HOST": host}, start))
    assert answer.status == "200 OK"


@pytest.mark.parametrize("path", ["/a%20b/%C3%A9/%22%3E", "/%FF/..%2f", "//evil.example/x", "/a\\b"])
def test_odd_path_of_a_page_is_no_reason_to_fail(wrap: Wrap, path: str) -> None:
    body = b'<img src="/static/cat.jpg" alt=""><img src="x.jpg">'
    assert "<picture" in send(wrap(app_of(body)), path).text


# the lock, the settings


def test_lock_is_read_again_when_it_changes(wrap: Wrap, lock: Path) -> None:
    app = wrap(app_of(b'<img src="/static/new.jpg" alt="">'))
    assert BASE not in send(app).text
    make_lock(lock.parent, locked("static/new.jpg"))
    assert BASE in send(app).text


def test_lock_that_is_damaged_later_does_not_count(wrap: Wrap, lock: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = wrap(app_of(PAGE))
    lock.write_text("<<<<<<< HEAD\n")
    assert [b"<picture" in send(app).body for _ in range(2)] == [True, True]
    assert len(caplog.records) == 1
    with pytest.raises(LockError, match="merge conflict"):
        wrap(app_of(PAGE))


def test_without_a_lock_pages_pass(tmp_path: Path) -> None:
    assert send(RewriteMiddleware(app_of(PAGE), CONFIG, lock=tmp_path / "none.lock")).body == PAGE


@pytest.mark.parametrize(
    ("config", "options", "words"),
    [
        (Config(), {}, "bucket: is needed"),
        (CONFIG, {"static": {"/static/": "../elsewhere"}}, "lies outside"),
        (CONFIG, {"static": {"static/": "static"}}, "not a path of the app"),
        (CONFIG, {"encodings": "gzip"}, "write one of recode, skip"),
        (CONFIG, {"upload_missing": "yes"}, "write one of off, background"),
    ],
)
def test_options_that_mean_nothing_are_errors(lock: Path, config: Config, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RewriteMiddleware(app_of(PAGE), config, lock=lock, **options)


def test_images_may_be_given_in_place_of_settings(lock: Path) -> None:
    assert b"<picture" in send(RewriteMiddleware(app_of(PAGE), Images(CONFIG), lock=lock)).body


def test_nothing_is_asked_of_the_network(wrap: Wrap, monkeypatch: pytest.MonkeyPatch) -> None:
    app = wrap(app_of(PAGE))
    for name in ("socket", "create_connection"):
        monkeypatch.setattr(socket, name, lambda *_, **__: pytest.fail("a page asked the network"))
    assert b"<picture" in send(app).body


def test_fault_of_ours_leaves_the_page(
    wrap: Wrap, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("s3img.middleware.pages.rewrite", lambda *_, **__: 1 / 0)
    assert send(wrap(app_of(PAGE))).body == PAGE
    assert "can't be rewritten" in caplog.text


def test_rewritten_bodies_are_kept_within_their_limit(wrap: Wrap) -> None:
    app = wrap(lambda environ, start: app_of(PAGE + environ["PATH_INFO"].encode())(environ, start), cache_bytes=20_000)
    first = send(app, "/0").body
    for number in range(50):
        send(app, f"/{number}")
    cache = app._pages()._cache
    assert 0 < cache.size <= 20_000
    assert send(app, "/0").body == first


def test_kept_body_is_not_made_again(wrap: Wrap, monkeypatch: pytest.MonkeyPatch) -> None:
    app = wrap(app_of(PAGE))
    first = send(app)
    monkeypatch.setattr("s3img.middleware.pages.rewrite", lambda *_, **__: pytest.fail("rewritten again"))
    again = send(app)
    assert (again.body, again.headers) == (first.body, first.headers)


def test_pictures_are_those_of_a_published_site(tmp_path: Path, cache_dir: str) -> None:
    """Golden: one page, published as a file, and answered by an app from what ``sync --variants`` put."""
    config = Config(
        bucket=(tmp_path / "store").as_uri(), public_url=BASE, cache_dir=cache_dir, variants=True, widths=(160, 320)
    )
    site = Site(tmp_path / "site")
    site.add("static/cat.jpg", photo(480, 360))
    site.add("static/wide.png", photo(200, 150, seed=3, format="PNG"))
    site.add("static/logo.svg", SVG)
    body = """<a href="/static/cat.jpg"><img src="/static/cat.jpg" alt="A"></a><img src="/static/wide.png" alt="">
        <img src="/static/cat.jpg" width=160 alt=""><img src="/static/cat.jpg?v=1#x" height=90 class=c alt="">
        <img src="/static/logo.svg" alt=""><img srcset="/static/cat.jpg 2x" src="/static/wide.png" alt="">
        <img src="/static/cat.jpg" data-s3img-layout=fixed width=160 alt=""><img src="/static/cat.jpg" style="height:9px">
        <picture><source srcset="/static/cat.jpg" media="(width > 9px)"><img src="/static/wide.png" alt=""></picture>
        <img src="/static/cat.jpg" data-s3img-formats=webp data-s3img-priority alt=""><video poster="/static/cat.jpg">"""
    page = site.page("index.html", body).read_bytes()
    images = Images(config, environ={})
    images.sync(site.root / "static", lock=site.root / "s3img.lock")
    app = RewriteMiddleware(app_of(page), images, lock=site.root / "s3img.lock", static={"/static/": "static"})
    images.publish(site.root)
    ours, theirs = (re.sub("<link[^>]*>", "", text) for text in (send(app).text, site.text("index.html")))
    assert ours == theirs


def test_addresses_of_the_apps_own_host_begin_where_it_is_mounted(wrap: Wrap) -> None:
    config = msgspec.structs.replace(CONFIG)
    msgspec.structs.force_setattr(config, "public_url", "/objects")
    app = app_of(b'<img src="/shop/static/plain.jpg" alt="">', Content_Security_Policy="img-src 'self'")
    text = send(wrap(app, config), base_url="http://localhost/shop").text
    assert 'src="/shop/objects/static/plain.jpg.orig"' in text


def test_threads_share_a_middleware(wrap: Wrap) -> None:
    app = wrap(lambda environ, start: app_of(PAGE + environ["PATH_INFO"].encode())(environ, start), cache_bytes=5_000)
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda number: send(app, f"/{number % 10}").body, range(200)))
    assert bodies[:10] * 20 == bodies
    assert len({*bodies}) == 10


# lint


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("body", [PAGE, PLAIN, Chunks])
@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
def test_lint_finds_nothing_inside_or_outside(wrap: Wrap, method: str, body: Any, content_type: str) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        made = Chunks(*([] if method == "HEAD" else [PAGE[:50], PAGE[50:]])) if body is Chunks else body
        if method == "HEAD" and body is not Chunks:
            made = Chunks()
        return app_of(made, content_type)(environ, start_response)

    linted = LintMiddleware(wrap(LintMiddleware(app)))
    answer = Client(linted).open("/", method=method)
    assert answer.status_code == 200
    assert len(answer.data) == (answer.content_length or len(answer.data))
    answer.close()


@pytest.mark.parametrize("condition", ["If-None-Match", "Range"])
def test_lint_finds_nothing_in_conditions(wrap: Wrap, condition: str) -> None:
    inner = conditional if condition == "Range" else LintMiddleware(conditional)  # it expects every part to be read
    linted = LintMiddleware(wrap(inner))
    etag = Client(linted).get("/").headers["ETag"]
    answer = Client(linted).get("/", headers={condition: etag if condition != "Range" else "bytes=0-9"})
    assert answer.status_code == (304 if condition != "Range" else 200)
    answer.close()


def test_last_modified_of_other_types_stays(wrap: Wrap) -> None:
    answer = send(wrap(app_of(b"x", "text/plain", Last_Modified="Sat, 21 Nov 2026 00:00:00 GMT")))
    assert parse_date(answer.headers["Last-Modified"]) is not None


def test_middleware_loads_neither_boto3_nor_pillow(lock: Path) -> None:
    script = (
        "import sys\nfrom s3img import Config\nfrom s3img.middleware import RewriteMiddleware\n"
        "def app(environ, start):\n    start('200 OK', [('Content-Type', 'text/html')])\n"
        "    return [b'<img src=/static/cat.jpg>']\n"
        f"made = RewriteMiddleware(app, Config(public_url='https://x.example', widths=(320, 640)), lock={str(lock)!r})\n"
        "environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/', 'wsgi.url_scheme': 'http', 'HTTP_HOST': 'a'}\n"
        "assert b'<picture' in b''.join(made(environ, lambda *_: None))\n"
        "print(sorted({'boto3', 'botocore', 'PIL', 'obstore', 'flask', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
