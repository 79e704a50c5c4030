from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, abort, render_template_string, request
from flask_s3img import S3Img
from sites import photo
from werkzeug.datastructures import FileStorage
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Maker = Callable[..., Flask]


def get(app: Flask, url: str, **options: Any) -> Any:
    """Ask an app, and read the answer as a whole."""
    return app.test_client().get(url, buffered=True, **options)


def url_of(app: Flask, expression: str) -> str:
    with app.test_request_context():
        return render_template_string("{{ " + expression + " }}")


def test_embedded_store_needs_no_bucket(make_app: Maker, project: Path) -> None:
    app = make_app(bucket=None, public_url=None)
    answer = get(app, url_of(app, 's3img_url("cat.jpg")'))
    assert answer.data == (project / "static/cat.jpg").read_bytes()
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["../s3img.lock", "%2e%2e/s3img.lock", ".s3img/refs", "none.jpg", "static/../../x"])
def test_embedded_store_serves_nothing_else(make_app: Maker, path: str) -> None:
    app = make_app(bucket=None, public_url=None)
    assert get(app, f"/_s3img/store/{path}").status_code == 404


def test_an_svg_of_the_store_is_never_active(make_app: Maker) -> None:
    app = make_app(bucket=None, public_url=None)
    answer = get(app, url_of(app, 's3img_url("logo.svg")'))
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_service_answers_signed_addresses_only(make_app: Maker) -> None:
    app = make_app(service="/img")
    url = url_of(app, 's3img_url("cat.jpg", w=40, h=30, f="png")')
    answer = get(app, url)
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert get(app, url.split("?")[0]).status_code == 403


def test_service_is_under_the_apps_login(make_app: Maker) -> None:
    app = make_app(service="/img")
    app.before_request(lambda: abort(401) if "login" not in request.cookies else None)
    url = url_of(app, 's3img_url("cat.jpg", w=40)')
    client = app.test_client()
    assert client.get(url, buffered=True).status_code == 401
    client.set_cookie("login", "yes")
    assert client.get(url, buffered=True).status_code == 200


def test_service_is_reached_behind_a_proxy_with_a_prefix(make_app: Maker) -> None:
    app = make_app(service="/img")
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]
    app.add_url_rule("/show", "show", lambda: render_template_string('{{ s3img_url("cat.jpg", w=40) }}'))
    headers = {"X-Forwarded-Prefix": "/shop"}
    url = get(app, "/show", headers=headers).text
    assert url.startswith("/shop/img/")
    assert get(app, url.removeprefix("/shop"), headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["post", "delete", "put"])
def test_service_says_which_methods_it_knows(make_app: Maker, method: str) -> None:
    answer = getattr(make_app(service="/img", sync=False).test_client(), method)("/img/cat.jpg")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_plain_references_are_rewritten(make_app: Maker) -> None:
    app = make_app(rewrite=True)
    app.config["PAGE"] = '<!doctype html><p><img src="/static/cat.jpg" alt="A cat"><img src="/static/none.jpg" alt="">'
    html = get(app, "/page").text
    assert '<picture class="s3img' in html
    assert "https://img.test/static/cat." in html
    assert '<img src="/static/none.jpg" alt="">' in html


def test_pages_of_a_blueprint_are_rewritten_too(make_app: Maker) -> None:
    app = make_app(rewrite=True)
    app.config["PAGE"] = '<!doctype html><img src="{{ url_for("admin.static", filename="crown.png") }}" alt="">'
    assert "https://img.test/admin/static/crown." in get(app, "/page").text


def test_debug_page_lists_images_and_what_they_save(make_app: Maker) -> None:
    app = make_app(debug=True, rewrite=True)
    app.config["PAGE"] = '<!doctype html><img src="/static/cat.jpg" alt=""><img src="/static/none.jpg" alt="">'
    html = get(app, "/_s3img/images?page=/page").text
    assert "static/cat.jpg" in html
    assert "webp" in html
    assert "not in the lock" in html
    assert "at least 0 bytes" not in html


def test_debug_page_is_there_in_debug_mode_only(make_app: Maker) -> None:
    assert get(make_app(sync=False), "/_s3img/images").status_code == 404


def test_debug_page_asks_for_nothing_but_pages_of_the_app(make_app: Maker) -> None:
    html = get(make_app(sync=False, debug=True), "/_s3img/images?page=http://other.test/").text
    assert "400" in html


def test_two_apps_keep_their_own_settings(make_app: Maker) -> None:
    extension = S3Img()
    settings: dict[str, Any] = {"extension": extension, "sync": False}
    first, second = make_app(service="/img", **settings), make_app(service="/pictures", **settings)
    assert get(first, "/img/x.jpg").status_code == 403
    assert get(second, "/img/x.jpg").status_code == 404


def test_upload_of_an_embedded_store_is_shown(make_app: Maker) -> None:
    extension = S3Img()
    app = make_app(extension=extension, bucket=None, public_url=None, sync=False)
    with app.app_context():
        saved = extension.save(FileStorage(BytesIO(photo(60, 40)), "cat.jpg"))
    assert get(app, saved.url).status_code == 200
