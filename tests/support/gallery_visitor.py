"""A gallery over a folder, and a browser without a window that knows its forms."""

from __future__ import annotations

import functools
import io
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from werkzeug.test import Client

from s3img import Config
from s3img.buckets import open_bucket
from s3img.gallery import Gallery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from werkzeug.test import TestResponse

    from s3img.buckets import Bucket


@functools.cache
def picture(colour: str = "teal", size: tuple[int, int] = (320, 200), form: str = "png") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


class Visitor:
    """Somebody with a browser: keeps cookies, sends a form's token along."""

    def __init__(self, app: Any, mount: str = "") -> None:
        self.client = Client(app)
        self.mount = mount
        self.token = ""

    def get(self, path: str, **options: Any) -> TestResponse:
        answer = self.client.get(f"{self.mount}{path}", base_url="http://gallery.example", **options)
        if answer.mimetype != "text/html":
            return answer
        if match := re.search(r'name="token" value="([^"]+)"', answer.get_data(as_text=True)):
            self.token = unescape(match[1])
        return answer

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        form = {"token": self.token, **(data or {})}
        headers = {"Origin": "http://gallery.example", **options.pop("headers", {})}
        return self.client.post(
            f"{self.mount}{path}", data=form, base_url="http://gallery.example", headers=headers, **options
        )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        bucket=(tmp_path / "bucket").as_uri(),
        public_url="https://img.example.com",
        cache_dir=str(tmp_path / "cache"),
    )


@pytest.fixture
def bucket(config: Config) -> Bucket:
    """A small bucket of pictures."""
    found = open_bucket(config.bucket)
    for key, colour in (("i/cat.png", "teal"), ("i/dog.png", "red"), ("i/n/owl.png", "gold"), ("top.png", "navy")):
        found.put(key, picture(colour), media_type="image/png")
    return found


@pytest.fixture
def make_gallery(config: Config, bucket: Bucket) -> Iterator[Callable[..., Gallery]]:
    made: list[Gallery] = []

    def make(authorize: Any = lambda action, key, environ: True, **options: Any) -> Gallery:
        made.append(Gallery(options.pop("config", config), authorize=authorize, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def visitor(make_gallery: Callable[..., Gallery]) -> Visitor:
    """Somebody who may do everything and has seen the first page."""
    found = Visitor(make_gallery())
    found.get("/")
    return found
