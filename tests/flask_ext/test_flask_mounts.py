from __future__ import annotations

import inspect
from io import BytesIO
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from flask import Flask, abort, render_template_string, request
from flask_s3img import S3Img
from flask_s3img.settings import RewriteOptions
from flask_s3img.templates import s3img_url
from sites import photo
from werkzeug.datastructures import FileStorage
from werkzeug.middleware.proxy_fix import ProxyFix

from s3img.errors import ConfigError
from s3img.middleware import RewriteMiddleware
from s3img.middleware.wsgi import STYLE_PATH
from s3img.pictures.markup import STYLE_SHEET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Route

    from s3img.testing import Store

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


def key_of_cat(app: Flask) -> str:
    with app.app_context():
        return next(entry.key for entry in S3Img().catalog.lock if entry.path.endswith("cat.jpg"))


def sending(app: Flask, *arguments: str, **options: Any) -> Any:
    """Add a view that sends a picture, at ``/own``."""
    app.add_url_rule("/own", "own", lambda: S3Img().send(*arguments, **options))
    return app.test_client()


def test_view_sends_a_picture_without_a_signature(make_app: Maker) -> None:
    key = key_of_cat(make_app())
    client = sending(make_app(service="/img"), key, "w-40,f-png")
    answer = client.get("/own", buffered=True)
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert answer.headers["Cache-Control"].startswith("private, ")
    again = client.get("/own", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.headers["Cache-Control"][:8]) == (304, "private,")


def test_view_sends_originals_and_public_pictures(make_app: Maker, project: Path) -> None:
    key = key_of_cat(make_app())
    answer = sending(make_app(service="/img"), key, private=False).get("/own", headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.data) == (206, (project / "static/cat.jpg").read_bytes()[:10])
    assert answer.headers["Cache-Control"].startswith("public, ")


@pytest.mark.parametrize("text", ["What?", "a#b", "50%", "a%20b"])
def test_view_sends_a_picture_with_any_text_on_it(make_app: Maker, text: str) -> None:
    key = key_of_cat(make_app())
    answer = sending(make_app(service="/img"), key, f"w-40,f-png,l-text,i-{text},l-end").get("/own", buffered=True)
    assert (answer.status_code, answer.mimetype) == (200, "image/png")


@pytest.mark.parametrize("key", ["missing.jpg", "../s3img.lock", "a b%2F?#ä.jpg"])
def test_view_sends_an_error_for_what_is_not_there(make_app: Maker, key: str) -> None:
    assert sending(make_app(service="/img", sync=False), key, "w-40").get("/own").status_code in {400, 404}


def test_sending_needs_the_service(make_app: Maker) -> None:
    app = make_app(sync=False)
    with app.test_request_context(), pytest.raises(ConfigError, match="S3IMG_SERVICE: needed to send"):
        S3Img().send("cat.jpg")


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


@pytest.mark.parametrize("bad", ["/<x>", "//img", "/bilder/ü", "/img/../x", "/a b", "img"])
def test_service_needs_a_plain_path(make_app: Maker, bad: str) -> None:
    with pytest.raises(ConfigError, match="S3IMG_SERVICE"):
        make_app(sync=False, service=bad)


def test_service_without_a_key_says_what_to_set(store: Store, tmp_path: Path) -> None:
    app = Flask("keyless", root_path=str(tmp_path))
    with pytest.raises(ConfigError, match=r"S3IMG_SIGNING_KEYS.*SECRET_KEY"):
        S3Img(app, bucket=store.address, service="/img")
    assert "s3img" not in app.extensions
    assert "s3img" not in app.blueprints


def test_former_secret_keys_go_on_working(make_app: Maker) -> None:
    url = url_of(make_app(service="/img"), 's3img_url("cat.jpg", w=40)')
    app = make_app(service="/img", sync=False, secret_key_fallbacks=["not a secret"])
    assert get(app, url).status_code == 200


@pytest.mark.parametrize("key", ["a%2Fb c.jpg", "a  b/ä+&=.jpg", "x//y.jpg", "100%.jpg", "a?b#c.jpg", "tr:w-1/x.jpg"])
@pytest.mark.parametrize("prefix", ["", "/shop"])
def test_service_finds_keys_of_any_kind(make_app: Maker, key: str, prefix: str) -> None:
    app = make_app(service="/img", sync=False)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]
    asked = app.test_client()
    app.add_url_rule("/show", "show", lambda: current_url(key))
    headers = {"X-Forwarded-Prefix": prefix}
    url = asked.get("/show", headers=headers).text
    answer = asked.get(url.removeprefix(prefix), headers=headers)
    assert answer.status_code == 404, answer.text  # not 403: signed and asked for are one key


def current_url(key: str) -> str:
    return s3img_url(key=key, w=40)


@pytest.mark.parametrize("path", ["/img/../page", "/img/%2e%2e/page", "/img//cat.jpg", "/img/tr:w-40/../../page"])
def test_service_refuses_steps(make_app: Maker, path: str) -> None:
    assert get(make_app(service="/img", sync=False), path).status_code in {400, 403, 404}


def test_service_answers_head_and_options(make_app: Maker) -> None:
    app = make_app(service="/img")
    url = url_of(app, 's3img_url("cat.jpg", w=40, f="png")')
    whole, head = get(app, url), app.test_client().head(url, buffered=True)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    options = app.test_client().options(url, buffered=True)
    assert options.status_code == 204
    assert "Content-Type" not in options.headers
    again = get(app, url, headers={"If-None-Match": whole.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_service_refuses_expired_addresses(make_app: Maker) -> None:
    app = make_app(service="/img")
    assert get(app, url_of(app, 's3img_url(key="a.jpg", w=40, expires=1000)')).status_code == 410
    assert get(app, url_of(app, 's3img_url("cat.jpg", w=40, expires=4000000000)')).status_code == 200


def test_objects_without_a_service_are_public(make_app: Maker) -> None:
    app = make_app(sync=False)
    assert url_of(app, 's3img_url(key="i/a b.jpg")') == "https://img.test/i/a%20b.jpg"
    with pytest.raises(ConfigError, match="S3IMG_SERVICE"):
        url_of(app, 's3img_url(key="i/a.jpg", w=40)')


@pytest.mark.parametrize("name", ["cat.jpg", "logo.svg"])
def test_embedded_store_answers_as_a_file_server(make_app: Maker, name: str) -> None:
    app = make_app(bucket=None, public_url=None)
    url = url_of(app, f's3img_url("{name}")')
    whole = get(app, url)
    assert whole.mimetype == {"cat.jpg": "image/jpeg", "logo.svg": "image/svg+xml"}[name]
    part = get(app, url, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.data) == (206, whole.data[2:6])
    assert get(app, url, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert app.test_client().head(url, buffered=True).headers["Content-Length"] == str(len(whole.data))


def test_embedded_store_names_types_without_the_systems_tables(
    make_app: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mimetypes.guess_type", lambda *_, **__: (None, None))
    app = make_app(bucket=None, public_url=None)
    url = url_of(app, 's3img_srcset("cat.jpg", "webp")').split(" ")[0]
    assert get(app, url).mimetype == "image/webp"


def test_embedded_store_is_not_there_beside_a_bucket(make_app: Maker, store: Store) -> None:
    app = make_app()
    assert get(app, f"/_s3img/store/{store.keys()[0]}").status_code == 404


def test_rewrite_options_are_read_at_once(make_app: Maker) -> None:
    with pytest.raises(ConfigError, match=r"S3IMG_REWRITE_OPTIONS.*unknown setting cs, did you mean css"):
        make_app(sync=False, rewrite_options={"cs": True})
    with pytest.raises(ConfigError, match=r"S3IMG_REWRITE_OPTIONS.*encodings"):
        make_app(sync=False, rewrite_options={"encodings": "all"})


def test_rewrite_options_are_those_of_the_middleware() -> None:
    parameters = inspect.signature(RewriteMiddleware).parameters
    ours = {
        name: parameter.default for name, parameter in parameters.items() if name in RewriteOptions.__struct_fields__
    }
    assert ours == msgspec.structs.asdict(RewriteOptions())
    assert {*parameters} - {*ours} == {"app", "config_or_images", "lock", "static", "upload_missing"}


@pytest.mark.parametrize(
    "page", ["/_s3img/images?page=/", "//other.test/", "http://other.test/", "javascript:alert(1)"]
)
def test_debug_page_shows_pages_of_the_app_only(make_app: Maker, page: str) -> None:
    app = make_app(sync=False, debug=True)
    assert "400 BAD REQUEST" in get(app, "/_s3img/images", query_string={"page": page}).text


def test_debug_page_escapes_what_pages_say(make_app: Maker) -> None:
    app = make_app(sync=False, debug=True)
    app.config["PAGE"] = '<!doctype html><img src="&quot;&gt;<script>x" alt="">'
    html = get(app, "/_s3img/images", query_string={"page": "/page?<script>"}).text
    assert "<script>" not in html


def test_debug_page_sees_what_the_browser_sees(make_app: Maker) -> None:
    app = make_app(debug=True)
    app.before_request(lambda: abort(401) if "login" not in request.cookies else None)
    app.config["PAGE"] = '<!doctype html><img src="static/cat.jpg">{{ s3img_picture("img/my dog.jpg", alt="") }}'
    client = app.test_client()
    client.set_cookie("login", "yes")
    html = client.get("/_s3img/images?page=/page").text
    assert "<code>static/cat.jpg</code><br>800 x 600" in html
    assert "<code>static/img/my dog.jpg</code>" in html
    assert "s3img_styles()" in html


def test_debug_page_has_no_complaint_about_a_styled_page(make_app: Maker) -> None:
    app = make_app(debug=True)
    app.config["PAGE"] = '<!doctype html>{{ s3img_styles() }}{{ s3img_picture("cat.jpg", alt="") }}'
    assert "s3img_styles()" not in get(app, "/_s3img/images?page=/page").text


def test_style_sheet_is_the_middlewares(make_app: Maker) -> None:
    link = url_of(make_app(sync=False), "s3img_styles()")
    assert link == f'<link rel="stylesheet" href="{STYLE_PATH}">'
    for rewrite in (False, True):
        answer = get(make_app(sync=False, rewrite=rewrite), STYLE_PATH)
        assert (answer.text, answer.mimetype) == (STYLE_SHEET, "text/css")
        assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("styled", ["{{ s3img_styles() }}", ""])
def test_style_sheet_is_linked_once(make_app: Maker, styled: str) -> None:
    app = make_app(rewrite=True)
    app.config["PAGE"] = f"<!doctype html><head>{styled}</head><body><img src='/static/cat.jpg' alt=''>"
    text = get(app, "/page").text
    assert "<picture" in text
    assert text.count(f'href="{STYLE_PATH}"') == 1


@pytest.mark.parametrize(("styled", "size"), [("{{ s3img_styles() }}", (300, 225)), ("", (300, 600))])
def test_style_sheet_keeps_the_shape_of_pictures(
    make_app: Maker, chromium: Browser, styled: str, size: tuple[int, int]
) -> None:
    app = make_app(bucket=None, public_url=None)
    style = "<style>body{margin:0;width:300px}img{max-width:100%}</style>"
    app.config["PAGE"] = f'<!doctype html>{style}{styled}{{{{ s3img_picture("cat.jpg", alt="") }}}}'
    client, page = app.test_client(), chromium.new_page()

    def answer(route: Route) -> None:
        found = client.get(route.request.url.removeprefix("http://shop.test"), buffered=True)
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.data)

    page.route("**/*", answer)
    page.goto("http://shop.test/page")
    box = page.locator("img").bounding_box()
    page.close()
    assert box is not None
    assert (box["width"], box["height"]) == size


def test_service_shows_what_a_sync_has_rendered(make_app: Maker, project: Path, store: Store) -> None:
    make_app()
    (project / "s3img.toml").write_text(f'[service]\nresults = "{store.address}"\n')
    app = make_app(service="/img", sync=False)
    with app.test_request_context():
        catalog = app.extensions["s3img"].catalog()
        variant = catalog.url("static/cat.jpg", "w-100,f-webp,q-82").removeprefix(f"{store.public_url}/")
        url = catalog.service.url(catalog.entry("static/cat.jpg").key, "w-100,f-webp,q-82")
    marked = photo(10, 10, format="WEBP")
    store.bucket.put(variant, marked, media_type="image/webp")
    assert get(app, url).data == marked


def test_a_damaged_lock_does_not_keep_the_commands_away(make_app: Maker, project: Path) -> None:
    (project / "s3img.lock").write_text("no lock\n")
    app = make_app(service="/img", sync=False)
    result = app.test_cli_runner().invoke(args=["s3img", "check"])
    assert (result.exit_code, "is not a lock" in result.output) == (3, True)
