"""The middleware under real servers, and what hypothesis makes of bodies."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import wsgi_servers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from wsgi_apps import Chunks, app_of, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.middleware import RewriteMiddleware

    Wrap = Callable[..., RewriteMiddleware]

PAGE = b'<html><head></head><img src="/static/cat.jpg" alt="">' + b"<p>text</p>" * 50
SERVERS = [name for name in wsgi_servers.SERVERS if name != "gunicorn"]  # which loads apps by name; the example does


@pytest.mark.parametrize("server", SERVERS)
def test_servers_send_what_was_rewritten(wrap: Wrap, server: str) -> None:
    bodies = {"/list": PAGE, "/stream": None, "/plain": b"x" * 100_000}

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        body = bodies[environ["PATH_INFO"]] or Chunks(PAGE[:70], b"", PAGE[70:])
        kind = "text/html" if environ["PATH_INFO"] != "/plain" else "application/octet-stream"
        return app_of(body, kind, ETag='"abc"')(environ, start_response)

    with wsgi_servers.running(server, wrap(app), {}) as port:
        whole = wsgi_servers.send(port, "/list")
        assert (whole.status, whole.body.count(b"<picture")) == (200, 1)
        assert int(whole.headers["Content-Length"]) == len(whole.body)
        assert wsgi_servers.send(port, "/stream").body.count(b"<picture") == 1
        assert wsgi_servers.send(port, "/plain").body == b"x" * 100_000
        head = wsgi_servers.send(port, "/list", "HEAD")
        etags = [Headers(answer.headers)["ETag"] for answer in (head, whole)]  # waitress writes Etag
        assert (head.status, head.body, etags[0]) == (200, b"", etags[1])


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("kind", ["text/html", "text/plain"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_client_that_goes_away_closes_the_apps_iterable_once(wrap: Wrap, server: str, kind: str) -> None:
    closed = threading.Event()
    count: list[int] = []

    class Endless(Chunks):
        def __next__(self) -> bytes:
            return b"<p>" + b"x" * 65_536

        def close(self) -> None:
            count.append(1)
            closed.set()

    with wsgi_servers.running(server, wrap(app_of(Endless(), kind)), {}) as port:
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.recv(1000)
        assert closed.wait(60)
    assert count == [1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=2 * settings().max_examples)
@given(
    chunks=st.lists(st.binary(max_size=60), max_size=8), declared=st.booleans(), kind=st.sampled_from(["html", "css"])
)
def test_bytes_that_are_none_of_ours_pass(wrap: Wrap, chunks: list[bytes], *, declared: bool, kind: str) -> None:
    headers = {"Content_Length": str(sum(map(len, chunks)))} if declared else {}
    app = app_of(Chunks(*chunks), f"text/{kind}", **headers)
    answer = send(wrap(app, css=True))
    assert answer.body == b"".join(chunks)
    if declared:
        assert answer.chunks == chunks


TOKENS = [
    b"<img src=/static/cat.jpg alt=x>",
    b"<img src='/static/plain.jpg'>",
    b"<!--",
    b"-->",
    b"<p>",
    b"text",
    b'"',
    b"<",
]
TOKENS += [b"<script>", b"</script>", b"<picture>", b"</picture>", b"<a href=/static/cat.jpg>", b"<style>", b"</style>"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=2 * settings().max_examples)
@given(tokens=st.lists(st.sampled_from(TOKENS), max_size=14), cut=st.integers(1, 50))
def test_stream_is_the_whole_page_but_for_the_style_sheet(wrap: Wrap, tokens: list[bytes], cut: int) -> None:
    page = b"".join(tokens)
    pieces = [page[start : start + cut] for start in range(0, len(page), cut)]
    app = {way: wrap(app_of(body), style_sheet=False) for way, body in (("whole", page), ("stream", Chunks(*pieces)))}
    assert send(app["stream"]).body == send(app["whole"]).body
