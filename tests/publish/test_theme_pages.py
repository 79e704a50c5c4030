"""Sites of other generators and their themes: published, no box stands elsewhere and every picture loads.

One page of some themes is in ``tests/data/sites`` and always tried; at night whole sites are built from packages.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import theme_pages
from markdown_it import MarkdownIt
from static_server import serving
from theme_pages import HEXO_THEMES, TEXT, WIDTHS, page_boxes, write_pictures

from s3img import Config, Images

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

SNAPSHOTS = Path(__file__).parents[1] / "data" / "sites"
BUILDERS = {
    "hugo": theme_pages.build_with_hugo,
    "jekyll": theme_pages.build_with_jekyll,
    **{f"hexo-{theme}": partial(theme_pages.build_with_hexo, theme=theme) for theme in HEXO_THEMES},
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a cache folder in which each picture is rendered once for all pages."""
    return str(tmp_path_factory.mktemp("rendered"))


def pages_of(site: Path) -> list[str]:
    return sorted(page.relative_to(site).as_posix() for page in site.rglob("*.html") if page.name != "404.html")


def assert_same_boxes(browser: Browser, before: Path, after: Path) -> None:
    """Compare all pages of two sites in both windows."""
    pages = pages_of(before)
    assert pages == pages_of(after)
    with serving(before) as one, serving(after) as two:
        for page in pages:
            for width in WIDTHS:
                old, new = (page_boxes(browser, base + page, width) for base in (one, two))
                assert old.moved(new) == [], f"{page} at {width} px"
                assert set(new.broken) <= {url.replace(one, two) for url in old.broken}


@pytest.mark.parametrize("name", ["hexo_landscape", "hugo_papermod", "jekyll_minima"])
def test_page_of_a_theme_keeps_its_boxes(name: str, chromium: Browser, tmp_path: Path, rendered: str) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    shutil.copytree(SNAPSHOTS / name, before)
    write_pictures(before)
    shutil.copytree(before, after)
    result = Images(Config(widths=(320, 640), formats=("webp",), cache_dir=rendered)).publish(after)
    assert (result.exit_code, result.problems, result.pages_changed) == (0, (), 1)
    assert (after / "index.html").read_text().count("<source") >= 8
    assert_same_boxes(chromium, before, after)


@pytest.mark.nightly
@pytest.mark.parametrize("name", BUILDERS)
def test_site_of_a_generator_keeps_its_boxes(
    name: str, request: pytest.FixtureRequest, chromium: Browser, tmp_path: Path, rendered: str
) -> None:
    build: Callable[[pytest.FixtureRequest, Path], Path] = BUILDERS[name]
    before = build(request, tmp_path)
    after = tmp_path / "after"
    shutil.copytree(before, after)
    result = Images(Config(cache_dir=rendered)).publish(after)
    assert result.exit_code == 0
    assert result.pages_changed or name == "hexo-fluid"  # which loads all pictures by a script
    assert_same_boxes(chromium, before, after)


@pytest.mark.nightly
def test_site_of_vitepress_is_left_alone_and_published_by_its_sources(
    request: pytest.FixtureRequest, chromium: Browser, tmp_path: Path, rendered: str
) -> None:
    """Its script renders pages again, so the addresses have to be in the Markdown before the build."""
    (tmp_path / "plain").mkdir()
    before = theme_pages.build_with_vitepress(request, tmp_path / "plain", TEXT.format("./"))
    copy = shutil.copytree(before, tmp_path / "copy")
    result = Images(Config(cache_dir=rendered)).publish(copy)
    assert {problem.code for problem in result.problems} == {"rendered-again"}
    assert result.pages_changed == 0
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    with serving(bucket) as public:
        render = MarkdownIt("commonmark").enable("table").render
        config = Config(bucket=bucket.as_uri(), public_url=public.rstrip("/"), cache_dir=rendered)
        sources = tmp_path / "sources"
        write_pictures(sources)
        (sources / "index.md").write_text(TEXT.format("./"))
        Images(config).publish_sources([sources / "index.md"], root=sources, render=render)
        text = (sources / "index.md").read_text()
        assert text.count(public) == TEXT.count("{0}")
        (tmp_path / "moved").mkdir()
        after = theme_pages.build_with_vitepress(request, tmp_path / "moved", text)
        assert_same_boxes(chromium, before, after)
