"""Keys and versions that no object has are the client's mistake (400, 404), at every address and in every real store."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from gallery_visitor import Visitor, picture
from s3_servers import TestBucket, new_bucket
from transform_service import NOW, Served

from s3img.config import Config
from s3img.gallery import Gallery
from s3img.service import TransformService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from werkzeug.test import TestResponse

KEYS = [
    "missing.png",
    "a\x01b.png",
    "a\nb.png",
    "a\x7f.png",
    "a\uffff.png",
    "a\\b.png",
    "a//b.png",
    "/a.png",
    "a/./b.png",
    "a/../b.png",
    "../b.png",
    "s" * 300,
    "\U0001f408" * 255,
    "/".join("a" * 500),
    "x" * 1025,
    "cat.png/x.png",
    "cat.png ",
    "n",
    "*",
    "a\0b.png",
]
VERSIONS = ["1", "nope", "0" * 32, "f" * 36, "00000000-0000-4000-8000-000000000000", "a\nb", "v" * 1025, "\xe9", " "]
VERSIONS += ["../x", "a/b", "..", "a&b=c"]
CLIENT_FAULTS = {400, 404, 413}


@pytest.fixture(scope="module", params=["moto_server", "seaweedfs", "rclone"])
def store(request: pytest.FixtureRequest) -> TestBucket:
    found = new_bucket(request.getfixturevalue(request.param), use_obstore=False)
    for key in ("cat.png", "n/owl.png"):
        found.bucket.put(key, picture(), media_type="image/png")
    return found


@pytest.fixture(scope="module")
def config(store: TestBucket, tmp_path_factory: pytest.TempPathFactory) -> Config:
    return Config(
        bucket=store.address,
        endpoint_url=store.server.endpoint_url,
        region="us-east-1",
        access="open",
        cache_dir=str(tmp_path_factory.mktemp("cache")),
        public_url="https://img.example.com",
        imgproxy={},  # type: ignore[arg-type] # as in a file of settings
    )


@pytest.fixture(scope="module")
def served(config: Config, store: TestBucket) -> Iterator[Served]:
    server = store.server
    environ = {"S3IMG_ACCESS_KEY_ID": server.access_key, "S3IMG_SECRET_ACCESS_KEY": server.secret_key}
    app = TransformService(config, environ=environ, clock=lambda: NOW)
    yield Served(app, config)
    app.close()


DOORS: dict[str, Callable[[Served, str, str], TestResponse]] = {
    "original": lambda served, key, query: served.ask(f"/{key}{query}"),
    "its headers": lambda served, key, query: served.ask(f"/{key}{query}", "HEAD"),
    "its first bytes": lambda served, key, query: served.ask(f"/{key}{query}", Range="bytes=0-3"),
    "whether it changed": lambda served, key, query: served.ask(f"/{key}{query}", If_None_Match='"x"'),
    "transform in the path": lambda served, key, query: served.ask(f"/tr:w-10/{key}{query}"),
    "its headers again": lambda served, key, query: served.ask(f"/tr:w-10/{key}{query}", "HEAD"),
    "transform in the query": lambda served, key, query: served.ask(f"/{key}{query or '?'}&tr=w-10"),
    "ImageKit's thumbnail": lambda served, key, query: served.ask(f"/{key}/ik-thumbnail.jpg{query}"),
    "facts": lambda served, key, query: served.ask(f"/info/{key}{query}"),
}


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_key_that_no_object_has_is_the_clients_mistake(served: Served, key: str) -> None:
    codes = {name: ask(served, quote(key, safe="/"), "").status_code for name, ask in DOORS.items()}
    assert {name: code for name, code in codes.items() if code not in CLIENT_FAULTS} == {}


@pytest.mark.parametrize("version", VERSIONS, ids=range(len(VERSIONS)))
@pytest.mark.parametrize("key", ["cat.png", "missing.png"])
def test_version_that_no_object_has_is_the_clients_mistake(served: Served, key: str, version: str) -> None:
    for parameter in ("versionId", "ik-obj-version"):
        query = f"?{parameter}={quote(version, safe='')}"
        codes = {name: ask(served, key, query).status_code for name, ask in DOORS.items()}
        assert {name: code for name, code in codes.items() if code not in CLIENT_FAULTS} == {}


def test_address_of_imgproxy_with_a_wrong_key_or_version_is_the_clients_mistake(
    served: Served, store: TestBucket
) -> None:
    place = f"s3://{store.name}/"
    names = [place + key for key in KEYS] + [f"{place}cat.png?{version}" for version in VERSIONS]
    wanted = [f"/imgproxy/_/{door}/plain/{quote(name, safe='/')}" for name in names for door in ("w:10", "raw:1")]
    wanted += [f"/imgproxy/info/_/plain/{quote(name, safe='/')}" for name in names]
    codes = {path: served.ask(path).status_code for path in wanted}
    assert served.ask(f"/imgproxy/_/w:10/plain/{place}cat.png").status_code == 200
    assert {path: code for path, code in codes.items() if code not in CLIENT_FAULTS} == {}


def test_gallery_says_that_no_object_has_such_a_key(config: Config, store: TestBucket) -> None:
    gallery = Gallery(config, authorize=lambda action, key, environ: True, bucket=store.bucket)
    try:
        visitor = Visitor(gallery)
        visitor.get("/")
        codes = {}
        for key in KEYS[::3]:
            for page in ("/object", "/thumb", "/file"):
                codes[page, key] = visitor.get(page, query_string={"key": key}).status_code
            codes["/rename", key] = visitor.post("/rename", {"key": "cat.png", "new": f"{key}/../x"}).status_code
            codes["/remove", key] = visitor.post("/remove", {"key": key}).status_code
            codes["/restore", key] = visitor.post("/restore", {"key": key}).status_code
            codes["/", key] = visitor.get("/", query_string={"prefix": key}).status_code
        assert {place: code for place, code in codes.items() if code >= 500} == {}
        assert {
            place: code for place, code in codes.items() if place[0] == "/object" and code not in CLIENT_FAULTS
        } == {}
        assert store.bucket.head("cat.png") is not None
    finally:
        gallery.close()
