"""References that only work from the page's own origin keep the local file when images go to a bucket elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sites import SVG, photo

from s3img import Config, Images
from s3img.publish.cross_origin import movable
from s3img.rewrite import find_references

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site

    from s3img.publish.result import PublishResult

PHOTO = photo(60, 40)


def publish(site: Site, tmp_path: Path, **settings: object) -> PublishResult:
    values = {"bucket": (tmp_path / "bucket").as_uri(), "public_url": "https://cdn.test/i", "check_public": False}
    return Images(Config(**{**values, "cache_dir": str(tmp_path / "cache"), **settings})).publish(site.root)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("css", "moves"),
    [
        ("mask:url(a.svg)", False),
        ("-webkit-mask-image: url('a.svg#x'), url(b.svg)", False),
        ("shape-outside:url(a.png)", False),
        ("clip-path : url(a.svg#x)", False),
        ("backdrop-filter:blur(2px) url(a.svg#x)", False),
        ("--icon:url(a.svg)", False),
        ("--hero:url(a.jpg)", True),
        ("color:red;background:url(a.svg)", True),
        ("mask:none;background:url(a.png)", True),
        ("mask-border-source:url(a.png)", False),
        ("masked:url(a.png)", True),
        ("cursor:url(a.png),auto", True),
    ],
)
def test_url_of_css_moves_unless_it_is_loaded_with_cors(css: str, moves: object) -> None:
    for data, media_type in (
        (f".a{{{css}}}", "text/css"),
        (f"<style>.a{{{css}}}</style>", "text/html"),
        (f'<p style="{css.replace("url(", "url(&quot;").replace(")", "&quot;)")}">', "text/html"),
    ):
        text = data.replace("blur(2px&quot;)", "blur(2px)").encode()
        assert bool(movable(find_references(text, media_type), text)) is moves


@pytest.mark.parametrize(
    ("html", "kinds"),
    [
        ('<a href="a.jpg" download>x</a><a href="a.jpg">y</a>', ["a href"]),
        ('<img src="a.jpg" crossorigin><img src="a.jpg">', ["img src"]),
        (
            '<picture><source srcset="b.jpg"><img src="a.jpg" crossorigin=anonymous></picture><img src="a.jpg">',
            ["img src"],
        ),
        (
            '<picture><source srcset="b.jpg"><img src="a.jpg"></picture><picture><source srcset="b.jpg"><img src=a crossorigin></picture>',
            ["source srcset", "img src"],
        ),
        ('<link rel="preload" as="image" href="a.jpg" crossorigin>', []),
    ],
)
def test_element_moves_unless_it_asks_for_its_own_origin(html: str, kinds: list[str]) -> None:
    data = html.encode()
    found = movable(find_references(data, "text/html", optional={"a href"}), data)
    assert [reference.kind for reference in found] == kinds


def test_masked_icon_and_crossorigin_image_stay_in_the_site(site: Site, tmp_path: Path) -> None:
    site.add("icon.svg", SVG)
    site.add("a.jpg", PHOTO)
    site.add("main.css", ".i{mask:url(icon.svg)}.b{background:url(icon.svg)}")
    site.page("index.html", '<img src="a.jpg" crossorigin>\n<img src="a.jpg">')
    result = publish(site, tmp_path, remove_local=True)
    assert site.text("main.css").startswith(".i{mask:url(icon.svg)}.b{background:url(https://cdn.test/i/icon.")
    assert '<img src="a.jpg" crossorigin>' in site.text("index.html")
    assert "https://cdn.test/i/a." in site.text("index.html")
    assert (site.root / "icon.svg").exists()
    assert (site.root / "a.jpg").exists()
    (note,) = (problem for problem in result.problems if problem.code == "cross-origin")
    assert str(note).startswith("index.html:3:17: the image stays in the site: with crossorigin, browsers show")


@pytest.mark.parametrize("settings", [{"bucket": "", "public_url": ""}, {"site_url": "https://cdn.test/"}])
def test_one_origin_needs_no_permission(site: Site, tmp_path: Path, settings: dict[str, str]) -> None:
    site.add("a.jpg", photo(640, 420))
    site.page("index.html", '<img src="a.jpg" crossorigin>')
    result = publish(site, tmp_path, formats=("webp",), widths=(320,), **settings)
    assert ".webp" in site.text("index.html")
    assert [problem for problem in result.problems if problem.code == "cross-origin"] == []
