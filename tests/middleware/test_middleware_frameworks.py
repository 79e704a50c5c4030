"""Real frameworks under the middleware: Flask's responses, Django's generators and its own middleware."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.http import condition
from flask import Flask, Response, abort, request, send_file, stream_with_context, url_for
from wsgi_apps import CONFIG, send

from s3img import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s3img.middleware import RewriteMiddleware

    Wrap = Callable[..., RewriteMiddleware]

PAGE = "<!doctype html><html><head><title>T</title></head><body><img src='/static/cat.jpg' alt=''>{}</body></html>"


def flask_app(folder: Path) -> Flask:
    app = Flask(__name__, static_folder=folder / "static")
    closed: list[str] = []
    app.config["closed"] = closed

    @app.get("/")
    def index() -> str:
        return PAGE.format(f"<img src='{url_for('static', filename='cat.jpg', _external=True)}' alt='' width=100>")

    @app.get("/stream")
    def stream() -> Response:
        def parts() -> Iterator[str]:
            try:
                head, body, rest = PAGE.partition("<body>")
                yield head
                yield body + request.path
                yield rest[:12]
                yield rest[12:]
            finally:
                closed.append("stream")

        return Response(stream_with_context(parts()), mimetype="text/html")

    @app.get("/file")
    def file() -> Response:
        return send_file(folder / "page.html", etag=True, conditional=True)

    @app.get("/json")
    def data() -> dict[str, str]:
        return {"image": "/static/cat.jpg"}

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError("the view is broken")

    @app.get("/missing")
    def missing() -> None:
        abort(404)

    app.teardown_request(lambda _: closed.append("request"))
    return app


@pytest.fixture
def flask(wrap: Wrap, tmp_path: Path) -> Any:
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "cat.jpg").write_bytes(b"the bytes of a cat")
    app = flask_app(tmp_path)
    app.wsgi_app = wrap(app.wsgi_app)  # type: ignore[method-assign]
    return app


def test_flask_page_is_rewritten_once_and_closed_once(flask: Flask) -> None:
    answer = flask.test_client().get("/")
    assert (answer.text.count("<picture"), answer.text.count("<img")) == (2, 2)
    assert answer.content_length == len(answer.data)
    assert flask.config["closed"] == ["request"]


def test_flask_stream_comes_in_pieces(flask: Flask) -> None:
    answer = send(flask, "/stream")
    assert (answer.text.count("<picture"), len(answer.chunks)) == (1, 4)
    assert flask.config["closed"].count("stream") == 1


def test_flask_stream_that_nobody_reads_is_closed(flask: Flask) -> None:
    send(flask, "/stream", most=1)
    assert flask.config["closed"].count("stream") == 1


def test_flask_file_is_rewritten_with_conditions_and_without_parts(flask: Flask) -> None:
    client = flask.test_client()
    whole = client.get("/file", buffered=True)
    assert whole.text.count("<picture") == 1
    assert client.get("/file", headers={"If-None-Match": whole.headers["ETag"]}, buffered=True).status_code == 304
    part = client.get("/file", headers={"Range": "bytes=0-9"}, buffered=True)
    assert (part.status_code, part.data, part.headers["Accept-Ranges"]) == (200, whole.data, "none")
    head = client.head("/file", buffered=True)
    assert (head.data, head.headers["ETag"]) == (b"", whole.headers["ETag"])


def test_flask_static_files_and_json_pass(flask: Flask, wrap: Wrap, tmp_path: Path) -> None:
    bare = flask_app(tmp_path).test_client()
    client = flask.test_client()
    for url, headers in (("/json", {}), ("/static/cat.jpg", {}), ("/static/cat.jpg", {"Range": "bytes=4-8"})):
        answer, plain = client.get(url, headers=headers, buffered=True), bare.get(url, headers=headers, buffered=True)
        ours, theirs = ([(n, v) for n, v in a.headers if n != "Date"] for a in (answer, plain))
        assert (answer.status, ours, answer.data) == (plain.status, theirs, plain.data)


def test_flask_errors_stay_what_they_are(flask: Flask) -> None:
    client = flask.test_client()
    assert (client.get("/fails", buffered=True).status_code, client.get("/missing", buffered=True).status_code) == (
        500,
        404,
    )
    flask.testing = True
    with pytest.raises(RuntimeError, match="the view is broken"):
        flask.test_client().get("/fails")


def test_flask_below_a_prefix(wrap: Wrap, tmp_path: Path) -> None:
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    app = flask_app(tmp_path)
    app.config["APPLICATION_ROOT"] = "/shop"
    app.wsgi_app = wrap(app.wsgi_app)  # type: ignore[method-assign]
    mounted = DispatcherMiddleware(Response("not here", status=404), {"/shop": app.wsgi_app})
    text = send(mounted, "/shop/").text
    assert text.count("<picture") == 1  # url_for's; "/static/cat.jpg" without the prefix is another app's
    assert "src='/static/cat.jpg'" in text


MIDDLEWARE = [
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
]


def _django() -> Any:
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=MIDDLEWARE, SECRET_KEY="for tests", USE_TZ=True
        )
        django.setup()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def _parts() -> Iterator[str]:
    yield PAGE[:70]
    yield PAGE[70:].format("x" * 500)


urlpatterns = [
    path("", lambda _: HttpResponse(PAGE.format("x" * 500))),
    path("stream", lambda _: StreamingHttpResponse(_parts())),
    path("file", lambda _: FileResponse(open(__file__, "rb"), content_type="text/x-python")),  # noqa: PTH123, SIM115
    path("tagged", condition(etag_func=lambda _: '"abc"')(lambda _: HttpResponse(PAGE))),
]


def test_django_page_is_rewritten(wrap: Wrap) -> None:
    answer = send(wrap(_django()))
    assert answer.text.count("<picture") == 1
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    again = send(wrap(_django()), headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status[:3], again.headers["ETag"]) == ("304", answer.headers["ETag"])


def test_django_page_that_is_compressed_is_rewritten(wrap: Wrap) -> None:
    answer = send(wrap(_django()), headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body).count(b"<picture") == 1


def test_django_generator_is_rewritten_as_it_comes(wrap: Wrap) -> None:
    answer = send(wrap(_django()), "/stream")
    assert (answer.text.count("<picture"), "Content-Length" in answer.headers) == (1, False)


def test_django_stream_that_is_compressed_passes(wrap: Wrap) -> None:
    answer = send(wrap(_django()), "/stream", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(answer.body).count(b"src='/static/cat.jpg'") == 1


def test_django_file_reaches_the_servers_wrapper(wrap: Wrap) -> None:
    class Wrapper:
        def __init__(self, file: Any, size: int = 8192) -> None:
            self.file = file
            self.close = file.close

        def __iter__(self) -> Iterator[bytes]:
            return iter(lambda: self.file.read(8192), b"")

    app = _django()
    answer = send(wrap(lambda environ, start: app({**environ, "wsgi.file_wrapper": Wrapper}, start)), "/file")
    assert isinstance(answer.iterable, Wrapper)
    assert answer.body.startswith(b'"""Real frameworks')


def test_django_condition_is_asked_for_the_apps_own_tag(wrap: Wrap) -> None:
    app = wrap(_django())
    etag = send(app, "/tagged").headers["ETag"]
    assert etag.startswith('"abc-s3img-')
    assert send(app, "/tagged", headers={"If-None-Match": etag}).status[:3] == "304"


def test_settings_are_those_of_the_lock() -> None:
    assert isinstance(CONFIG, Config)
