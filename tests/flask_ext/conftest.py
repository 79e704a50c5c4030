from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask, render_template_string
from flask_s3img import S3Img
from sites import photo

from s3img.testing import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    folder = tmp_path / "store"
    folder.mkdir()
    return Store(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of an app with images in its static folder and in a blueprint's."""
    root = tmp_path / "app"
    for path, data in {
        "static/cat.jpg": photo(800, 600),
        "static/img/my dog.jpg": photo(400, 300, seed=2),
        "static/logo.svg": SVG,
        "admin/static/crown.png": photo(120, 80, format="PNG"),
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


@pytest.fixture
def make_app(project: Path, store: Store, cache_dir: str) -> Callable[..., Flask]:
    """Return a function that makes an app; keywords are settings without their prefix, ``sync`` runs one first."""

    def make(*, sync: bool = True, debug: bool = False, extension: S3Img | None = None, **settings: Any) -> Flask:
        app = Flask("shop", root_path=str(project), instance_path=str(project / "instance"))
        app.debug = debug
        app.secret_key = "not a secret"
        if former := settings.pop("secret_key_fallbacks", None):
            app.config |= {"SECRET_KEY": "a new one", "SECRET_KEY_FALLBACKS": former}
        app.config |= {"S3IMG_BUCKET": store.address, "S3IMG_PUBLIC_URL": store.public_url}
        app.config |= {"S3IMG_CACHE_DIR": cache_dir, "S3IMG_VARIANTS": True, "S3IMG_WIDTHS": [100, 200]}
        app.config |= {"S3IMG_FORMATS": ["webp"]}  # AVIF takes ten times as long
        for name, value in settings.items():
            app.config[f"S3IMG_{name.upper()}"] = value
            if value is None:
                del app.config[f"S3IMG_{name.upper()}"]
        admin = Blueprint(
            "admin", "shop", url_prefix="/admin", root_path=str(project / "admin"), static_folder="static"
        )
        app.register_blueprint(admin)
        (extension or S3Img()).init_app(app)
        app.add_url_rule("/page", "page", lambda: render_template_string(app.config.get("PAGE", "")))
        if sync:
            result = app.test_cli_runner().invoke(args=["s3img", "sync"])
            assert result.exit_code == 0, result.output
        return app

    return make
