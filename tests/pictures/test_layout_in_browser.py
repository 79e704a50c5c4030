"""Publishing moves nothing: under the style sheets of real themes every image keeps its place and its size."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sites import SVG, animation, drawing, photo

from s3img import Config, Images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chromium import Box, PageOpener

WIDTHS = (380, pytest.param(800, marks=pytest.mark.nightly), 1440)  # a telephone, a tablet, a desk
FRAMES = {"mkdocs": 16}
"""Px that images narrower than their column lose where a theme counts padding and border (10 px) as part of a width."""

TEXT = "A line of words that is long enough to be broken somewhere. " * 4
IMAGES = {
    "wide.jpg": photo(1600, 900),
    "tall.jpg": photo(700, 1100, seed=2),
    "small.jpg": photo(60, 40, seed=3),
    "drawing.png": drawing(500, 300),
    "moving.gif": animation(360, 200),
    "map.svg": SVG,
}
SIZED = f"""
<p><img src="wide.jpg" alt="paragraph"></p>
<p><img src="tall.jpg" alt="tall"></p>
<p>{TEXT}<img src="small.jpg" alt="text line">{TEXT}</p>
<p><a href="wide.jpg"><img src="wide.jpg" alt="link"></a></p>
<p><a href="tall.jpg"><img src="tall.jpg" alt="link, own width" width="200"></a></p>
<figure><img src="wide.jpg" alt="figure"><figcaption>{TEXT}</figcaption></figure>
<figure><img src="drawing.png" alt="figure, own width" width="240"><figcaption>Short.</figcaption></figure>
<table>
<tr><td><img src="wide.jpg" alt="cell"></td><td>{TEXT}</td></tr>
<tr><td><img src="tall.jpg" alt="cell, own width" width="120"></td><td><img src="small.jpg" alt="cell, small"></td></tr>
</table>
<table style="table-layout: fixed; width: 100%"><tr>
<td><img src="wide.jpg" alt="fixed cell"></td><td><img src="tall.jpg" alt="fixed cell, tall"></td>
</tr></table>
<p><img src="wide.jpg" alt="own width" width="300"></p>
<p><img src="wide.jpg" alt="own width, too wide" width="1500"></p>
<p><img src="wide.jpg" alt="own width and height" width="320" height="180"></p>
<p><img src="wide.jpg" alt="style, width" style="width: 50%"></p>
<p><img src="wide.jpg" alt="style, cover" style="width: 200px; height: 200px; object-fit: cover"></p>
<div style="display: flex; gap: 10px"><img src="tall.jpg" alt="flex" width="200"><p>{TEXT}</p></div>
<div style="display: flex; align-items: flex-start"><img src="wide.jpg" alt="flex, shrunk"><p>{TEXT}</p></div>
<div style="display: grid; grid-template-columns: 1fr 1fr"><img src="wide.jpg" alt="grid"><img src="tall.jpg" alt="grid, tall"></div>
<p><img src="drawing.png" alt="drawing"></p>
<p><img src="moving.gif" alt="moving"> <img src="map.svg" alt="map"></p>
<p><img src="moving.gif" alt="moving, own width" width="100"> <img src="map.svg" alt="map, own width" width="60"></p>
<p><img src="tall.jpg" alt="float" width="150" align="right">{TEXT}{TEXT}</p>
<ul style="clear: both"><li>{TEXT}<br><img src="tall.jpg" alt="list"></li></ul>
"""
UNSIZED = f"""
<p><img src="wide.jpg" srcset="small.jpg 60w, wide.jpg 1600w" sizes="100vw" alt="own srcset"></p>
<p>{TEXT}<img src="drawing.png" alt="text line, by style" style="height: 1.4em">{TEXT}</p>
<p><img src="wide.jpg" alt="own height" height="90"></p>
<p><img src="wide.jpg" alt="own ratio" width="320" height="60"></p>
<p><img src="wide.jpg" alt="percent" width="50%"></p>
<p><img src="tall.jpg" alt="style, height" style="height: 120px"></p>
<p><img src="tall.jpg" alt="style, max-height" style="max-height: 200px"></p>
<p><picture><source srcset="tall.jpg" media="(max-width: 600px)"><img src="wide.jpg" alt="picture"></picture></p>
"""
"""Images whose place only a browser can reserve, once it has the style or the file."""

MARKDOWN = f"# Title\n\n{TEXT}\n\n![markdown](wide.jpg)\n\n![markdown, own width](tall.jpg){{ width=200 }}\n"
DIRECTIVES = """

.. image:: wide.jpg
   :alt: directive

.. image:: tall.jpg
   :alt: directive, own width
   :width: 200

.. image:: tall.jpg
   :alt: directive, scaled
   :scale: 30
   :align: center

.. figure:: wide.jpg
   :alt: directive figure
   :width: 60%
   :target: wide.jpg

   A caption.

.. list-table::

   * - .. image:: wide.jpg
          :alt: directive, cell
     - A cell.

"""


def _build_with_mkdocs(folder: Path, theme: str) -> Path:
    docs = folder / "docs"
    _write_images(docs)
    (docs / "index.md").write_text(MARKDOWN + SIZED)
    (docs / "unsized.md").write_text(f"# Title\n{UNSIZED}")
    settings = f"site_name: T\nuse_directory_urls: false\ntheme: {{name: {theme}, font: false, highlightjs: false}}\nmarkdown_extensions: [attr_list]\n"
    (folder / "mkdocs.yml").write_text(settings)
    _run("mkdocs", "build", "-q", "-f", folder / "mkdocs.yml", "-d", folder / "site")
    return folder / "site"


def _build_with_sphinx(folder: Path, theme: str) -> Path:
    docs = folder / "docs"
    _write_images(docs)
    for name, first, html in (("index", DIRECTIVES, SIZED), ("unsized", "\n", UNSIZED)):
        raw = "".join(f"   {line}\n" for line in html.splitlines())
        (docs / f"{name}.rst").write_text(f"Title\n=====\n{first}.. raw:: html\n\n{raw}")
    (docs / "conf.py").write_text(f'project = "T"\nhtml_theme = "{theme}"\n')
    _run("sphinx", "-q", "-b", "html", docs, folder / "site")
    _write_images(folder / "site")  # Sphinx copies the images of directives only, and those elsewhere
    return folder / "site"


def _write_images(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in IMAGES.items():
        (folder / name).write_bytes(content)


def _run(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", *map(str, arguments)], check=True, capture_output=True, timeout=120)


BUILDERS = {
    "mkdocs": _build_with_mkdocs,
    "readthedocs": _build_with_mkdocs,
    "material": _build_with_mkdocs,
    "alabaster": _build_with_sphinx,
    "furo": _build_with_sphinx,
}


THEMES = [
    pytest.param(theme, marks=() if theme in {"mkdocs", "furo"} else pytest.mark.nightly)  # one of each generator
    for theme in BUILDERS
]


@pytest.fixture(scope="module", params=THEMES)
def sites(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a site of one theme as it was built, and the same published."""
    theme: str = request.param
    if BUILDERS[theme] is _build_with_sphinx:
        pytest.importorskip("sphinx", reason="no Sphinx: pip install sphinx furo")
    if theme == "furo":
        pytest.importorskip("furo", reason="no theme: pip install furo")
    folder = tmp_path_factory.mktemp(theme)
    built = BUILDERS[theme](folder, theme)
    published = folder / "published"
    shutil.copytree(built, published)
    # One format and few widths: what a picture is made of takes time, and moves nothing.
    cheap = Config(cache_dir=str(folder / "cache"), formats=("webp",), widths=(320, 1280))
    result = Images(cheap).publish(published)
    assert result.ok
    return built, published


@pytest.mark.parametrize("page", ["index.html", "unsized.html"])
@pytest.mark.parametrize("width", WIDTHS)
def test_published_images_stand_where_they_stood(
    sites: tuple[Path, Path], open_page: PageOpener, serve: Callable[..., str], width: int, page: str
) -> None:
    before, after = (open_page(serve(site) + page, width=width) for site in sites)
    assert after.faults == ()
    assert after.layout_shift < 0.01 or page == "unsized.html"  # readthedocs' icon font moves a page by 6 px
    theme = sites[0].parent.name.rstrip("0123456789")
    moved = _differences(theme, {i.alt: i.box for i in before.images}, {i.alt: i.box for i in after.images})
    assert not moved, "\n".join(moved)


def _differences(theme: str, before: dict[str, Box], after: dict[str, Box]) -> list[str]:
    """Describe the images that changed in themselves; when none did, those that others have moved."""
    assert list(before) == list(after)
    frame = FRAMES.get(theme, 0)
    offsets = {alt: [abs(now - was) for was, now in zip(before[alt], after[alt], strict=True)] for alt in before}
    resized = [alt for alt, (x, _, *size) in offsets.items() if max(x, *size) > 1 + frame]
    moved = [alt for alt, (_, y, *_) in offsets.items() if y > 1 and not frame]
    return [f"{alt}: {_rounded(before[alt])} -> {_rounded(after[alt])}" for alt in resized or moved]


def _rounded(box: Box) -> str:
    return "x {:.0f}, y {:.0f}, {:.0f} x {:.0f}".format(*box)
