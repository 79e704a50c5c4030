from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, render_template_string
from flask_s3img import S3Img

from s3img.errors import AssetError, ConfigError
from s3img.testing import network_blocked
from s3img.transform.parameters import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.testing import Store

    Maker = Callable[..., Flask]


def render(app: Flask, source: str, **values: Any) -> str:
    with app.test_request_context():
        return render_template_string(source, **values)


def value(app: Flask, expression: str) -> str:
    return render(app, "{{ " + expression + " }}")


@pytest.mark.parametrize(
    "call",
    [
        's3img_url("cat.jpg")',
        's3img_url("static/cat.jpg")',
        's3img_url("/static/cat.jpg")',
        '"cat.jpg"|s3img',
        'url_for("static", filename="cat.jpg")|s3img',
    ],
)
def test_url_is_that_of_the_stored_original(make_app: Maker, store: Store, call: str) -> None:
    url = value(make_app(), call)
    assert re.fullmatch(r"https://img\.test/static/cat\.[0-9a-f]{8}\.jpg", url)
    assert url in store


@pytest.mark.parametrize(
    "call", ['s3img_url("cat.jpg", "w-100,f-webp,q-82")', 's3img_url("cat.jpg", w=100, f="webp", q=82)']
)
def test_url_of_a_variant_that_is_in_the_bucket(make_app: Maker, store: Store, call: str) -> None:
    assert value(make_app(), call) in store


def test_url_of_any_other_transform_is_the_services(make_app: Maker) -> None:
    url = render(make_app(service="/img"), '{{ s3img_url("cat.jpg", "w-33,h-33") }}')
    assert url.startswith("/img/")
    assert "tr:w-33,h-33" in url.replace("%2C", ",")
    assert "sig=" in url


@pytest.mark.parametrize(
    "source", ['s3img_url("crown.png", blueprint="admin")', 'url_for("admin.static", filename="crown.png")|s3img']
)
def test_blueprint_folders_work(make_app: Maker, store: Store, source: str) -> None:
    url = value(make_app(), source)
    assert "crown" in url
    assert url in store


def test_picture_shows_what_is_in_the_bucket(make_app: Maker, store: Store) -> None:
    html = render(make_app(), '{{ s3img_picture("img/my dog.jpg", alt="My \\"dog\\"", class_="round", sizes="50vw") }}')
    assert html.startswith('<picture class="s3img')
    assert 'alt="My &#34;dog&#34;"' in html or 'alt="My &quot;dog&quot;"' in html
    assert all(
        f" {words} " in html.replace(">", " ")
        for words in ('sizes="50vw"', 'class="round"', 'width="400"', 'height="300"')
    )
    urls = re.findall(r"https://img\.test/[^\s\",]+", html)
    assert len(urls) >= 5
    assert all(url.replace("%20", " ") in store for url in urls)


def test_picture_needs_an_alt(make_app: Maker) -> None:
    with pytest.raises(TypeError, match="alt"):
        render(make_app(), '{{ s3img_picture("cat.jpg") }}')
    assert 'alt=""' in render(make_app(sync=False), '{{ s3img_picture("cat.jpg", alt="") }}')


def test_markup_is_escaped(make_app: Maker) -> None:
    html = render(make_app(), '{{ s3img_picture("cat.jpg", alt=evil, class_=evil) }}', evil='"><script>')
    assert "<script>" not in html


def test_srcset_lists_the_widths(make_app: Maker) -> None:
    text = render(make_app(), '{{ s3img_srcset("cat.jpg", "webp") }}')
    assert re.fullmatch(r"\S+ 100w, \S+ 200w", text)


def test_unknown_name_is_an_error_in_debug_mode(make_app: Maker) -> None:
    with pytest.raises(AssetError, match=r"cat\.jpg"):
        render(make_app(debug=True), '{{ s3img_url("cta.jpg") }}')


def test_unknown_name_is_local_and_warned_of_once_in_production(
    make_app: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    with caplog.at_level(logging.WARNING, "flask_s3img"):
        for _ in range(3):
            assert render(app, '{{ s3img_url("cta.jpg") }}') == "/static/cta.jpg"
            assert 'src="/static/cta.jpg"' in render(app, '{{ s3img_picture("cta.jpg", alt="") }}')
    assert len([r for r in caplog.records if "cta.jpg" in r.getMessage()]) == 1


def test_url_for_is_left_alone(make_app: Maker) -> None:
    assert render(make_app(), '{{ url_for("static", filename="cat.jpg") }}') == "/static/cat.jpg"


@pytest.mark.slow
def test_a_thousand_pictures_ask_nothing_of_the_network(make_app: Maker) -> None:
    app = make_app(service="/img")
    source = '{% for n in range(1000) %}{{ s3img_picture("cat.jpg", alt=n|string) }}{{ s3img_url("cat.jpg", w=n + 1) }}{% endfor %}'
    with network_blocked():
        assert render(app, source).count("<picture") == 1000


def test_a_mounted_app_points_below_its_root(make_app: Maker) -> None:
    app = make_app(bucket=None, public_url=None, service="/img")
    with app.test_request_context(environ_overrides={"SCRIPT_NAME": "/shop"}):
        assert render_template_string('{{ s3img_url("cat.jpg") }}').startswith("/shop/_s3img/store/static/cat.")
        assert render_template_string('{{ s3img_url("cat.jpg", w=33) }}').startswith("/shop/img/")
        assert render_template_string('{{ s3img_url("/shop/static/cat.jpg") }}').startswith("/shop/_s3img/store/")


def test_every_short_name_is_an_option(make_app: Maker) -> None:
    with make_app(service="/img").test_request_context():
        for example in {one.example for one in PARAMETERS}:
            options: dict[str, Any] = dict(part.split("-", 1) for part in example.split(","))
            assert S3Img().url(key="a.jpg", **options) == S3Img().url(key="a.jpg", transform=example), example


def test_transform_and_options_are_not_mixed(make_app: Maker) -> None:
    with pytest.raises(ConfigError, match="not both"):
        render(make_app(), '{{ s3img_url("cat.jpg", "w-100", h=50) }}')


def test_debug_mode_reads_a_new_lock(make_app: Maker, store: Store) -> None:
    app = make_app(sync=False, debug=True)
    app.test_cli_runner().invoke(args=["s3img", "sync"])
    assert render(app, '{{ s3img_url("cat.jpg") }}') in store
