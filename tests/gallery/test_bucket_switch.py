"""Several buckets in one gallery: each is its own, and one leads to the other."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from gallery_visitor import Visitor, picture
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

from s3img.buckets import open_bucket
from s3img.errors import ConfigError
from s3img.gallery import BucketSwitch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3img import Config
    from s3img.buckets import Bucket
    from s3img.gallery import Gallery


@pytest.fixture
def blog(config: Config, tmp_path: Path) -> Config:
    """Another bucket, with one picture."""
    other = msgspec.structs.replace(config, bucket=(tmp_path / "blog").as_uri())
    open_bucket(other.bucket).put("post.png", picture(), media_type="image/png")
    return other


@pytest.fixture
def switch(make_gallery: Callable[..., Gallery], blog: Config) -> BucketSwitch:
    return BucketSwitch({"docs": make_gallery(), "blog": make_gallery(config=blog)})


def test_each_bucket_has_its_pages_and_links_to_the_others(switch: BucketSwitch) -> None:
    visitor = Visitor(switch)
    page = visitor.get("/").get_data(as_text=True)
    assert "top.png" in page
    assert '<a href="/@blog/">blog</a>' in page
    page = visitor.get("/@blog/").get_data(as_text=True)
    assert "post.png" in page
    assert "top.png" not in page
    assert '<a href="/@blog/" aria-current="true">blog</a>' in page
    links = {url for url in re.findall(r'(?:href|src|action)="(/[^"]*)"', page) if url != "/"}
    assert all(url.startswith("/@blog/") for url in links)


def test_forms_change_the_bucket_that_they_stand_in(switch: BucketSwitch, blog: Config, bucket: Bucket) -> None:
    visitor = Visitor(switch)
    visitor.get("/@blog/")
    assert visitor.post("/@blog/remove", {"key": "post.png"}).status_code == 200
    assert [info.key for info in open_bucket(blog.bucket).list() if not info.key.startswith(".s3img/")] == []
    assert bucket.head("top.png")


def test_right_in_one_bucket_is_none_in_another(make_gallery: Callable[..., Gallery], blog: Config) -> None:
    closed = make_gallery(lambda action, key, environ: False, config=blog)
    visitor = Visitor(BucketSwitch({"docs": make_gallery(), "blog": closed}))
    assert visitor.get("/").status_code == 200
    assert visitor.get("/@blog/").status_code == 403
    assert visitor.get("/@blog/object?key=post.png").status_code == 403


def test_switch_below_a_mount_keeps_to_it(switch: BucketSwitch) -> None:
    visitor = Visitor(DispatcherMiddleware(Response("app"), {"/admin": switch}), "/admin")
    page = visitor.get("/@blog/").get_data(as_text=True)
    assert '<a href="/admin/@blog/" aria-current="true">blog</a>' in page
    assert '<a href="/admin/">docs</a>' in page


@pytest.mark.parametrize("path", ["/@nope/", "/@", "/@docs/", "/@blog", "/@%ff/", "/@/"])
def test_other_names_are_no_bucket(switch: BucketSwitch, path: str) -> None:
    assert Visitor(switch).get(path).status_code in {200, 404}


@pytest.mark.parametrize("names", [[], ["a/b"], [""]])
def test_switch_needs_names(make_gallery: Callable[..., Gallery], names: list[str]) -> None:
    galleries: dict[str, Any] = {name: make_gallery() for name in names}
    with pytest.raises(ConfigError):
        BucketSwitch(galleries)


@pytest.mark.parametrize("name", ["a%20b", "what?", "a #1"])
def test_bucket_of_any_name_has_links_and_a_cookie(
    make_gallery: Callable[..., Gallery], blog: Config, name: str
) -> None:
    switch = BucketSwitch({"docs": make_gallery(), name: make_gallery(config=blog)})
    visitor = Visitor(DispatcherMiddleware(Response("none", 404), {"/m%": switch}))
    page = visitor.get("/m%25/").get_data(as_text=True)
    url = unescape(re.findall(r'<a href="([^"]*)">' + re.escape(name), page)[0])
    answer = visitor.get(url)
    page = answer.get_data(as_text=True)
    assert "post.png" in page
    links = {unescape(link) for link in re.findall(r'(?:src|action)="(/[^"]*)"', page)}
    assert all(link.startswith(url) for link in links)
    assert f"Path={url};" in answer.headers["Set-Cookie"] + ";"


def test_mount_and_name_may_be_in_any_script(make_gallery: Callable[..., Gallery], blog: Config) -> None:
    switch = BucketSwitch({"docs": make_gallery(), "\u56fe": make_gallery(config=blog)})
    mounts = {"/\u00e9".encode().decode("latin-1"): switch}
    answer = Visitor(DispatcherMiddleware(Response("none", 404), mounts)).get("/%C3%A9/@%E5%9B%BE/")
    page = answer.get_data(as_text=True)
    assert '<a href="/%C3%A9/@%E5%9B%BE/" aria-current="true">\u56fe</a>' in page
    assert 'href="/%C3%A9/@%E5%9B%BE/object?key=post.png"' in page
    assert "Path=/%C3%A9/@%E5%9B%BE/" in answer.headers["Set-Cookie"]
