from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, render_template_string
from flask_frozen import Freezer

from s3img import Config, Images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Maker = Callable[..., Flask]

PAGE = """<!doctype html><title>t</title>
<img src="{{ url_for('static', filename='cat.jpg') }}" alt="">{{ s3img_picture('img/my dog.jpg', alt='A dog') }}"""


def frozen(app: Flask, folder: Path) -> Path:
    app.config |= {"FREEZER_DESTINATION": str(folder), "FREEZER_IGNORE_MIMETYPE_WARNINGS": True}
    app.add_url_rule("/", "home", lambda: render_template_string(PAGE))
    Freezer(app).freeze()
    return folder


def test_a_frozen_app_is_published_like_any_site(make_app: Maker, tmp_path: Path, cache_dir: str) -> None:
    site = frozen(make_app(), tmp_path / "build")
    result = Images(Config(widths=(100,), cache_dir=cache_dir)).publish(site)
    html = (site / "index.html").read_text()
    assert result.exit_code == 0
    assert "assets/_s3img/static/cat." in html
    assert html.count("<picture") == 2


def test_pictures_of_the_lock_stay_as_they_are(make_app: Maker, tmp_path: Path, cache_dir: str) -> None:
    site = frozen(make_app(), tmp_path / "build")
    before = (site / "index.html").read_text()
    picture = before[before.index("<picture") : before.index("</picture>")]
    Images(Config(widths=(100,), cache_dir=cache_dir)).publish(site)
    assert picture in (site / "index.html").read_text()
