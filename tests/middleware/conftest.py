"""A lock of two images, and a middleware that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from wsgi_apps import CONFIG, locked, make_lock

from s3img.middleware import RewriteMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3img import Config


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return make_lock(tmp_path, locked("static/cat.jpg", variants=True), locked("static/plain.jpg", digest="b"))


@pytest.fixture
def wrap(lock: Path) -> Callable[..., RewriteMiddleware]:
    def wrapped(app: Any, config: Config = CONFIG, **options: Any) -> RewriteMiddleware:
        return RewriteMiddleware(app, config, lock=lock, **options)

    return wrapped
