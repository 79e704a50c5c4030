"""The browser that other tests look through sees what it must see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sites import SVG, photo

if TYPE_CHECKING:
    from collections.abc import Callable

    from chromium import PageOpener
    from sites import Site

TEXT = "<p>" + "words " * 60 + "</p>"


@pytest.fixture
def site_with_photo(site: Site) -> Site:
    site.add("cat.jpg", photo(600, 400))
    return site


def test_clean_page_is_reported_clean(site_with_photo: Site, open_page: PageOpener, serve: Callable[..., str]) -> None:
    site_with_photo.page("index.html", f'<img src="cat.jpg" alt="A cat" width="300" height="200">{TEXT}')
    report = open_page(serve(site_with_photo.root, "/docs/"))
    assert (report.faults, report.layout_shift) == ((), 0)
    (image,) = report.images
    assert (image.current_src.rpartition("/")[2], image.natural_width, image.alt) == ("cat.jpg", 600, "A cat")
    assert image.box[2:] == (300, 200)
    assert report.screenshot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("content", [None, b"", b"not an image", photo(60, 40)[:100]])
def test_broken_image_is_reported(
    site: Site, open_page: PageOpener, serve: Callable[..., str], content: bytes | None
) -> None:
    if content is not None:
        site.add("cat.jpg", content)
    site.page("index.html", '<img src="cat.jpg" alt="">')
    report = open_page(serve(site.root))
    assert [url.rpartition("/")[2] for url in report.broken_images] == ["cat.jpg"]
    assert bool(report.failed_requests) is (content is None)


def test_lazy_image_far_below_is_loaded(site: Site, open_page: PageOpener, serve: Callable[..., str]) -> None:
    site.page("index.html", '<p style="height: 9000px"></p><img src="missing.jpg" alt="" loading="lazy">')
    assert open_page(serve(site.root)).broken_images


def test_image_that_is_not_rendered_is_left_out(site: Site, open_page: PageOpener, serve: Callable[..., str]) -> None:
    site.page("index.html", '<div style="display: none"><img src="cat.jpg" alt="" loading="lazy"></div>')
    report = open_page(serve(site.root))
    assert (report.faults, report.images) == ((), ())


@pytest.mark.parametrize("script", ["console.error('oh')", "throw new Error('oh')"])
def test_console_error_is_reported(site: Site, open_page: PageOpener, serve: Callable[..., str], script: str) -> None:
    site.page("index.html", f"<script>{script}</script>")
    (error,) = open_page(serve(site.root)).console_errors
    assert "oh" in error


def test_failed_request_is_reported(site: Site, open_page: PageOpener, serve: Callable[..., str]) -> None:
    site.page("index.html", '<link rel="stylesheet" href="missing.css"><script src="http://example.com/x.js"></script>')
    url = serve(site.root, "/docs/")
    failed = open_page(url).failed_requests
    assert {f"{url}missing.css: 404", "http://example.com/x.js: net::ERR_NAME_NOT_RESOLVED"} <= set(failed)


def test_image_without_dimensions_shifts_the_layout(
    site_with_photo: Site, open_page: PageOpener, serve: Callable[..., str]
) -> None:
    site_with_photo.page("index.html", f'{TEXT}<img src="cat.jpg" alt="">{TEXT}')
    assert open_page(serve(site_with_photo.root)).layout_shift > 0.01


def test_shift_before_all_images_is_not_theirs(
    site_with_photo: Site, open_page: PageOpener, serve: Callable[..., str]
) -> None:
    script = "addEventListener('load', () => document.querySelector('hr').style.marginTop = '300px')"
    image = '<img src="cat.jpg" alt="" width="300" height="200" style="position: absolute; bottom: 0">'
    site_with_photo.page("index.html", f"<p>a</p><hr>{TEXT}{image}<script>{script}</script>")
    assert open_page(serve(site_with_photo.root)).layout_shift == 0


def test_page_opens_from_disk(site: Site, open_page: PageOpener) -> None:
    site.add("a.svg", SVG)
    page = site.page("index.html", '<img src="a.svg" alt="">')
    report = open_page(page.as_uri())
    assert (report.faults, report.images[0].natural_width) == ((), 120)
