"""Which image a template means, whatever the app's static folders are like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask, render_template_string
from flask_s3img import S3Img
from sites import photo

from s3img.errors import AssetError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3img.testing import Store

    Maker = Callable[..., Flask]


def value(app: Flask, expression: str, **context: Any) -> str:
    with app.test_request_context(**context):
        return render_template_string("{{ " + expression + " }}")


@pytest.fixture
def bare(tmp_path: Path, store: Store, cache_dir: str) -> Callable[..., Flask]:
    """Return a function that makes an app with one picture in each folder; arguments are Flask's."""

    def make(*folders: str, **options: Any) -> Flask:
        for folder in folders or ("static",):
            (tmp_path / "app" / folder).mkdir(parents=True)
            (tmp_path / "app" / folder / "cat.jpg").write_bytes(photo(60, 40))
        app = Flask("bare", root_path=str(tmp_path / "app"), instance_path=str(tmp_path / "instance"), **options)
        app.config |= {"S3IMG_BUCKET": store.address, "S3IMG_PUBLIC_URL": store.public_url}
        app.config["S3IMG_CACHE_DIR"] = cache_dir
        return app

    return make


def sync(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["s3img", "sync"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "url",
    [
        "/static/img/my%20dog.jpg",
        "/static/img/my dog.jpg",
        "/static/img/my%20dog.jpg?v=3#top",
        "http://localhost/static/img/my%20dog.jpg",
    ],
)
def test_urls_are_read_as_browsers_read_them(make_app: Maker, url: str) -> None:
    assert value(make_app(), f'"{url}"|s3img').startswith("https://img.test/static/img/my%20dog.")


@pytest.mark.parametrize("url", ["http://other.test/static/cat.jpg", "//other.test/static/cat.jpg", "http://[/cat.jpg"])
def test_urls_of_other_hosts_stay(make_app: Maker, url: str) -> None:
    assert value(make_app(), f'"{url}"|s3img') == url


@pytest.mark.parametrize("name", ["../admin/static/crown.png", "/static/../admin/static/crown.png", "../../x.jpg"])
def test_names_with_steps_mean_what_they_say(make_app: Maker, name: str) -> None:
    url = value(make_app(), f's3img_url("{name}")')
    assert url.startswith("https://img.test/admin/static/crown.") == ("crown" in name)


def test_static_files_at_the_root(bare: Callable[..., Flask]) -> None:
    app = bare(static_url_path="")
    S3Img(app)
    sync(app)
    assert value(app, 'url_for("static", filename="cat.jpg")|s3img').startswith("https://img.test/static/cat.")


def test_blueprints_that_come_later_and_nest(bare: Callable[..., Flask], store: Store) -> None:
    app = bare("pages/static", static_folder=None)
    S3Img(app)
    inner = Blueprint("inner", "x", url_prefix="/i", root_path=f"{app.root_path}/pages", static_folder="static")
    outer = Blueprint("outer", "x", url_prefix="/never")
    outer.register_blueprint(inner)
    app.register_blueprint(outer, url_prefix="/o")
    sync(app)
    assert value(app, 's3img_url("cat.jpg", blueprint="outer.inner")') in store
    assert value(app, 'url_for("outer.inner.static", filename="cat.jpg")|s3img') in store
    assert value(app, '"/o/i/static/cat.jpg"|s3img') in store


def test_apps_that_route_by_host(bare: Callable[..., Flask], store: Store) -> None:
    app = bare(host_matching=True, static_host="static.test")
    S3Img(app)
    sync(app)
    assert value(app, 'url_for("static", filename="cat.jpg")|s3img') in store
    with app.test_request_context():
        link = render_template_string("{{ s3img_styles() }}")
    assert app.test_client().get(link.split('"')[3]).status_code == 200


def test_folders_of_installed_packages_are_not_synced(bare: Callable[..., Flask], tmp_path: Path) -> None:
    app = bare()
    (tmp_path / "elsewhere").mkdir()
    app.register_blueprint(Blueprint("kit", "x", url_prefix="/kit", static_folder=str(tmp_path / "elsewhere")))
    S3Img(app)
    sync(app)  # which refuses folders that are not below the lock's
    assert value(app, '"/kit/elsewhere/a.png"|s3img') == "/kit/elsewhere/a.png"


def test_static_folder_above_the_app(bare: Callable[..., Flask], store: Store) -> None:
    app = bare("../front/dist", static_folder="../front/dist", static_url_path="/static")
    S3Img(app, lock="../s3img.lock")
    sync(app)
    assert value(app, 's3img_url("cat.jpg")') in store


def test_a_folder_outside_the_locks_is_never_mistaken(bare: Callable[..., Flask]) -> None:
    app = bare(".", "../other/static", static_folder="../other/static")
    S3Img(app, rewrite=True)
    app.add_url_rule("/", "home", lambda: '<!doctype html><img src="/static/cat.jpg">')
    app.test_cli_runner().invoke(args=["s3img", "sync", app.root_path])
    assert app.test_client().get("/").text == '<!doctype html><img src="/static/cat.jpg">'


def test_further_folders_are_named_in_the_settings(bare: Callable[..., Flask], store: Store) -> None:
    app = bare("media")
    S3Img(app, static={"/files": "media"})
    sync(app)
    assert value(app, 's3img_url("/files/cat.jpg")') in store


def test_unknown_blueprint_is_explained(make_app: Maker) -> None:
    with pytest.raises(ConfigError, match=r"blueprint='shop'.*admin"):
        value(make_app(sync=False), 's3img_url("cat.jpg", blueprint="shop")')


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("new cat.jpg", "/static/new%20cat.jpg"),
        ("static/new cat.jpg", "/static/new%20cat.jpg"),
        ("/static/x.jpg", "/static/x.jpg"),
    ],
)
def test_unknown_names_lead_to_the_file(make_app: Maker, project: Path, name: str, url: str) -> None:
    app = make_app()
    (project / "static/new cat.jpg").write_bytes(photo(60, 40))
    assert value(app, f's3img_url("{name}")') == url


def test_unknown_names_outside_a_request(make_app: Maker) -> None:
    app = make_app(sync=False)
    app.config["APPLICATION_ROOT"] = "/shop"
    with app.app_context():
        assert app.jinja_env.from_string('{{ s3img_url("a b.jpg") }}').render() == "/shop/static/a%20b.jpg"


def test_unknown_picture_keeps_what_the_template_says(make_app: Maker) -> None:
    call = 's3img_picture("x.jpg", alt="A", class_="c", width=30, loading="eager", attributes={"data-n": "<"})'
    html = value(make_app(sync=False), call)
    assert html == ('<img src="/static/x.jpg" alt="A" class="c" width="30" loading="eager" data-n="&lt;">')


def test_unknown_names_are_no_error_where_a_thread_syncs_them(make_app: Maker) -> None:
    app = make_app(sync=False, debug=True, rewrite=True, upload_missing="background")
    assert value(app, 's3img_url("cat.jpg")') == "/static/cat.jpg"


def test_debug_mode_may_begin_after_init_app(make_app: Maker) -> None:
    app = make_app()
    app.debug = True
    with pytest.raises(AssetError, match="Did you mean"):
        value(app, 's3img_url("cta.jpg")')
    assert app.test_client().get("/_s3img/images").status_code == 200


@pytest.mark.parametrize("root", ["/shop", "//other.test", "/a b", "/\u00e4".encode().decode("latin-1")])
def test_addresses_below_any_root_stay_on_this_host(make_app: Maker, root: str) -> None:
    url = value(make_app(bucket=None, public_url=None), 's3img_url("cat.jpg")', environ_overrides={"SCRIPT_NAME": root})
    assert url.startswith("/")
    assert not url.startswith("//")
    assert " " not in url
    assert url.isascii()


def test_address_of_a_file_whose_name_is_not_utf8_is_found(make_app: Maker) -> None:
    names = make_app(sync=False).extensions["s3img"].names
    assert names.find("/static/%FF.jpg", {"static/\udcff.jpg"}) == "static/\udcff.jpg"
