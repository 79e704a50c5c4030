"""A gallery: photographs of the app itself, which are synced when it is built, and those that visitors upload."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask

from gallery import pictures, views
from gallery.extensions import s3img

PHOTOS = {
    "photos/ridge-path.jpg": "A path below a rocky ridge",
    "photos/summit-sunset.jpg": "A summit at sunset",
    "photos/meadow.jpg": "Seeds of a meadow flower",
    "photos/hut-dogs.jpg": "Two dogs look out of a window",
    "photos/fig.jpg": "A fig, cut open",
}


def create_app(settings: dict[str, Any] | None = None) -> Flask:
    """Make the app; three environment variables are all that a real bucket needs: see README.md."""
    app = Flask(__name__, instance_path=os.environ.get("GALLERY_INSTANCE"))
    app.config.update(
        SECRET_KEY=os.environ.get("SECRET_KEY", "only-for-the-example"),
        EDITORS_PASSWORD=os.environ.get("EDITORS_PASSWORD", ""),
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=20_000_000,
        PHOTOS=PHOTOS,
        S3IMG_VARIANTS=True,
        S3IMG_UPLOADS={"max_bytes": 10_000_000, "max_side": 4000},
        **(settings or {}),
    )
    s3img.init_app(app)
    pictures.init_app(app)
    app.register_blueprint(views.blueprint)
    return app
