"""Python's own documentation, some of it and at night all of it, published to SeaweedFS and read back as a browser would."""

from __future__ import annotations

import io
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest
from PIL import Image
from python_docs import FEW, copy_pages
from s3_servers import new_bucket
from selectolax.lexbor import LexborHTMLParser
from static_server import serving

from s3img import Config, Images
from s3img.rewrite import find_references

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from s3_servers import S3Server

    from s3img.publish.result import PublishResult

MEDIA_TYPES = {".html": "text/html", ".css": "text/css"}
ADDED = {"src", "srcset", "sizes", "width", "height", "loading", "decoding", "fetchpriority"}
IMAGE_LINKS = 'link[rel~="icon"], meta[property="og:image"], a[href$=".png"], a[href$=".svg"]'


@dataclass(frozen=True)
class Published:
    """The documentation before and after, and the run between the two."""

    before: Path
    after: Path
    images: Images
    result: PublishResult
    only: Sequence[str]

    def pages(self) -> list[str]:
        return sorted(file.relative_to(self.after).as_posix() for file in self.after.rglob("*.html"))


@pytest.fixture(
    scope="module", params=[pytest.param(FEW, id="few"), pytest.param(("*",), id="all", marks=pytest.mark.nightly)]
)
def docs(
    request: pytest.FixtureRequest, python_docs: Path, seaweedfs: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    folder = tmp_path_factory.mktemp("python_docs")
    bucket = new_bucket(seaweedfs)
    config = Config(
        bucket=f"{bucket.address}/python",
        endpoint_url=seaweedfs.endpoint_url,
        public_url=f"{bucket.public_url}/python",
        widths=(160, 320, 640),
        formats=("webp",),
        cache_dir=str(folder / "cache"),
    )
    keys = {"S3IMG_ACCESS_KEY_ID": seaweedfs.access_key, "S3IMG_SECRET_ACCESS_KEY": seaweedfs.secret_key}
    images = Images(config, environ=keys)
    site = copy_pages(python_docs, folder / "site", request.param)
    return Published(python_docs, site, images, images.publish(site, require_upload=True), request.param)


def references(site: Path, base: str) -> Iterator[str]:
    """Yield the absolute URL of every image reference of a site that is served at a URL."""
    for file in sorted(site.rglob("*")):
        if media_type := MEDIA_TYPES.get(file.suffix):
            page = base + file.relative_to(site).as_posix()
            for reference in find_references(file.read_bytes(), media_type):
                yield urljoin(urljoin(page, reference.base or ""), reference.url)


def decode(url: str) -> None:
    with urllib.request.urlopen(url, timeout=30) as answer:
        data = answer.read()
        if answer.headers.get_content_type() != "image/svg+xml":
            Image.open(io.BytesIO(data)).load()
        else:
            assert LexborHTMLParser(data).css_first("svg")


def without_image_markup(page: bytes) -> str:
    """Return a page with all taken out that publishing may add or change; it has no ``<picture>`` of its own."""
    tree = LexborHTMLParser(page)
    for added in tree.css('link[href$="assets/_s3img/s3img.css"], picture.s3img > source'):
        added.decompose()
    tree.unwrap_tags(["picture"])
    for image in tree.css("img"):
        for name in ADDED & set(image.attributes):
            del image.attrs[name]
        own = [name for name in (image.attributes.get("class") or "").split() if not name.startswith("s3img")]
        if own:
            image.attrs["class"] = " ".join(own)
        elif "class" in image.attributes:
            del image.attrs["class"]
    for node in tree.css(IMAGE_LINKS):
        for name in {"href", "content"} & set(node.attributes):
            node.attrs[name] = ""
    return str(tree.html)


def test_everything_is_published(docs: Published) -> None:
    result = docs.result
    assert (result.exit_code, result.failed, result.problems) == (0, (), ())
    assert result.pages_changed > len(docs.pages())  # and style sheets
    assert result.requests["put"] == result.uploaded + 1  # and what says so to a clean-up


def test_every_reference_can_be_fetched_and_decoded(docs: Published) -> None:
    public = docs.images.config.public_url
    with serving(docs.after, "/python/") as base:
        found = list(references(docs.after, base))
        ours = {url for url in found if url.startswith((base, public))}
        for url in ours:
            decode(url)
    assert len(found) > 3 * len(docs.pages())
    assert len([url for url in ours if url.startswith(public)]) > 20


def test_pages_differ_in_image_markup_only(docs: Published) -> None:
    for page in docs.pages():
        before, after = ((site / page).read_bytes() for site in (docs.before, docs.after))
        assert before != after
        assert without_image_markup(before) == without_image_markup(after), page


def test_other_files_stay(docs: Published) -> None:
    for file in docs.after.rglob("*.*"):
        before = docs.before / file.relative_to(docs.after)
        if file.is_file() and file.suffix not in MEDIA_TYPES and before.exists():
            assert file.read_bytes() == before.read_bytes()


def test_second_publish_asks_only_whether_its_claim_is_the_last(docs: Published) -> None:
    result = docs.images.publish(docs.after, require_upload=True)
    assert (result.requests, result.pages_changed) == ({"list": 1}, 0)


def test_publish_of_a_new_copy_sends_one_listing(docs: Published, tmp_path: Path) -> None:
    site = copy_pages(docs.before, tmp_path / "site", docs.only)
    result = docs.images.publish(site, require_upload=True)
    assert (result.requests, result.rendered) == ({"list": 1}, 0)
    for page in docs.pages():
        assert (site / page).read_bytes() == (docs.after / page).read_bytes()
