"""Real builds with MkDocs, ProperDocs, and the plugins and themes that sites use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sites import SVG, Site, animation, drawing, photo

from s3img import Config, Images
from s3img.publish.page_check import broken_references

if TYPE_CHECKING:
    from pathlib import Path

INDEX = """# Home

![A photograph](img/photo.jpg)

![Drawing](img/drawing.png){ width=200 }

![Moving](img/moving.gif) ![Shape](img/shape.svg)

![Night](img/photo.jpg#only-dark)

```html
<img src="img/photo.jpg">
```
"""


@pytest.fixture
def project(tmp_path: Path) -> Site:
    """Return a MkDocs project without a configuration."""
    source = Site(tmp_path / "project")
    source.add("docs/index.md", INDEX)
    source.add("docs/guide/page.md", "# Page\n\n![Again](../img/photo.jpg)\n")
    source.add("docs/img/photo.jpg", photo(900, 600))
    source.add("docs/img/drawing.png", drawing(500, 300))
    source.add("docs/img/moving.gif", animation(200, 150))
    source.add("docs/img/shape.svg", SVG)
    return source


def configure(project: Site, **settings: object) -> None:
    base = {"site_name": "T", "markdown_extensions": ["attr_list"], "site_url": "https://example.com/docs/"}
    project.add("mkdocs.yml", json.dumps(base | settings))  # JSON is YAML


def build(project: Site, *options: str, program: str = "mkdocs") -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "XDG_CACHE_HOME": str(project.root / "cache"), "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", program, "build", *options]
    return subprocess.run(
        command, cwd=project.root, env=environ, capture_output=True, text=True, check=False, timeout=240
    )


PLUGIN = {"s3img": {"widths": [200, 400], "formats": ["webp"]}}


@pytest.mark.parametrize("program", ["mkdocs", "properdocs"])
def test_build_publishes_the_site(project: Site, program: str) -> None:
    configure(project, plugins=[PLUGIN])
    if program == "properdocs":
        configure(project, plugins=[PLUGIN], theme="material")
    done = build(project, program=program)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Published \d+ images?, \d+ variants inside the site", done.stderr)
    text = (project.root / "site/index.html").read_text()
    assert re.search(r'<picture class="s3img"><source type="image/webp" srcset="assets/_s3img/img/photo\.', text)
    assert re.search(r'src="[^"]+#only-dark"', text)
    assert "&lt;img src=" in re.sub(r"<[^>]*>", "", text) or "img/photo.jpg" in text
    assert broken_references(project.root / "site", site_url="https://example.com/docs/")[0] == []


def test_build_beside_everything(project: Site) -> None:
    """Material, glightbox, two languages and a minifier, all at once; our plugin last."""
    for name in ("index", "guide/page"):
        project.add(f"docs/{name}.fr.md", (project.root / f"docs/{name}.md").read_text().replace("# ", "# FR "))
    languages = [
        {"locale": "en", "name": "English", "default": True, "build": True},
        {"locale": "fr", "name": "French", "build": True},
    ]
    plugins = [
        "search",
        {"i18n": {"docs_structure": "suffix", "languages": languages}},
        "glightbox",
        "minify_html",
        PLUGIN,
    ]
    configure(project, theme={"name": "material", "font": False}, plugins=plugins)
    done = build(project)
    assert done.returncode == 0, done.stderr
    site = project.root / "site"
    for page in ("index.html", "guide/page/index.html", "fr/index.html", "fr/guide/page/index.html"):
        assert "_s3img" in (site / page).read_text(), page
    assert broken_references(site, site_url="https://example.com/docs/")[0] == []
    assert re.search(r"<a[^>]*glightbox[^>]*><picture", (site / "index.html").read_text())


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_missing_as_error_stops_the_build(project: Site, quiet: list[str]) -> None:
    project.add("docs/guide/page.md", "`![x](../img/foto.jpg)`\n\nText: ![x](../img/foto.jpg)")
    configure(project, plugins=[{"s3img": {"missing": "error"}}])
    done = build(project, *quiet)
    assert done.returncode == 1
    assert "guide/page.md:3:12: image 'guide/img/foto.jpg' does not exist: " in done.stderr


def test_missing_as_warning_counts_in_strict_mode(project: Site) -> None:
    project.add("docs/guide/page.md", '<img src="../../img/foto.jpg" alt="">')
    configure(project, plugins=[PLUGIN])
    done = build(project, "--strict")
    assert done.returncode == 1
    assert re.search(r"WARNING.*guide/page\.md:1:11: image 'img/foto\.jpg'", done.stderr)


def test_problem_with_an_image_that_a_template_shows_names_the_file_alone(project: Site) -> None:
    project.add(
        "overrides/main.html", '{% extends "base.html" %}{% block content %}<img src="/docs/no.png">{% endblock %}'
    )
    configure(project, theme={"name": "mkdocs", "custom_dir": "overrides"}, plugins=[PLUGIN])
    done = build(project)
    assert "guide/page.md: image 'no.png' does not exist" in done.stderr


def test_mistake_in_settings_names_mkdocs_yml(project: Site) -> None:
    configure(project, plugins=[{"s3img": {"widths": [-1], "bucket": "my-images"}}])
    done = build(project)
    assert done.returncode == 1
    for words in ("mkdocs.yml plugins: s3img: widths", "mkdocs.yml plugins: s3img: bucket"):
        assert words in done.stderr


def test_no_credentials_publish_inside_with_one_line(project: Site) -> None:
    configure(project, plugins=[{"s3img": {**PLUGIN["s3img"], "bucket": "s3://my-images"}}])
    done = build(project, "--strict")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no credentials for s3://my-images") == 1
    assert "assets/_s3img" in (project.root / "site/index.html").read_text()


def test_disabled_plugin_changes_nothing(project: Site) -> None:
    configure(project, plugins=[{"s3img": {"enabled": False}}])
    assert build(project).returncode == 0
    assert "s3img" not in (project.root / "site/index.html").read_text()


def test_serving_adds_dimensions_only(project: Site) -> None:
    from mkdocs_s3img.plugin import S3ImgPlugin

    configure(project, plugins=[])
    assert build(project).returncode == 0
    plugin = S3ImgPlugin()
    errors, warnings = plugin.load_config({})
    assert (errors, warnings) == ([], [])
    settings = type("C", (), {"site_url": "", "config_file_path": str(project.root / "mkdocs.yml")})()
    settings.site_dir = str(project.root / "site")
    settings.theme = type("T", (), {"name": "mkdocs"})()
    plugin.on_startup(command="serve", dirty=False)
    plugin.on_config(settings)
    plugin.on_post_build(config=settings)
    text = (project.root / "site/index.html").read_text()
    assert 'width="900" height="600"' in text
    assert not list((project.root / "site/assets/_s3img").glob("**/*.webp"))


def lock_images(project: Site, *names: str) -> None:
    """Sync images to a folder and take them off the disk, as in a checkout without them."""
    config = Config(bucket=(project.root / "store").as_uri(), cache_dir=str(project.root / "cache"))
    Images(config).sync(project.root / "docs/img", lock=project.root / "s3img.lock")
    for name in names:
        (project.root / "docs/img" / name).unlink()


def test_images_that_only_the_lock_names_are_files_of_the_site(project: Site) -> None:
    lock_images(project, "photo.jpg", "drawing.png")
    store = {"bucket": (project.root / "store").as_uri(), "public_url": "https://img.example.com"}
    configure(project, plugins=[{"s3img": {**PLUGIN["s3img"], **store}}])
    done = build(project, "--strict")
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    text = (project.root / "site/index.html").read_text()
    assert re.search(r'srcset="https://img\.example\.com/img/photo\.[0-9a-f]+\.w-200\.webp', text)
    assert not (project.root / "site/img/photo.jpg").exists()


def test_image_that_nobody_has_is_a_warning_still(project: Site) -> None:
    lock_images(project, "photo.jpg")
    project.add("docs/guide/page.md", "![Nowhere](../img/nowhere.jpg)")
    store = {"bucket": (project.root / "store").as_uri(), "public_url": "https://img.example.com"}
    configure(project, plugins=[{"s3img": {**PLUGIN["s3img"], **store}}])
    done = build(project, "--strict")
    assert done.returncode == 1
    assert "nowhere.jpg" in done.stderr


@pytest.mark.parametrize(("theme", "sizes"), [("material", "780px"), ("mkdocs", "830px"), ("readthedocs", "700px")])
def test_sizes_of_a_known_theme_are_its_columns(project: Site, theme: str, sizes: str) -> None:
    project.add("docs/index.md", "![Wide](img/photo.jpg)\n\n![Wide](img/drawing.png){ sizes=50vw }")
    configure(project, theme=theme, plugins=[PLUGIN])
    assert build(project).returncode == 0
    text = (project.root / "site/index.html").read_text()
    assert re.search(rf'<source [^>]*photo[^>]* sizes="[^"]*{sizes}', text)
    assert 'sizes="50vw"' in text


def test_sizes_that_were_set_stay(project: Site) -> None:
    configure(project, theme="material", plugins=[{"s3img": {**PLUGIN["s3img"], "sizes": "33vw"}}])
    assert build(project).returncode == 0
    text = (project.root / "site/index.html").read_text()
    assert "33vw" in text
    assert "780px" not in text


def test_summary_says_what_visitors_load_and_what_the_site_grew_by(project: Site) -> None:
    configure(project, plugins=[PLUGIN])
    done = build(project)
    found = re.search(
        r"loads at most ([\d.]+) kB of images instead of ([\d.]+) .* folder grew by ([\d.]+) kB", done.stderr
    )
    assert found, done.stderr
    written = sum(path.stat().st_size for path in (project.root / "site/assets/_s3img").rglob("*.*p*g"))
    written += sum(path.stat().st_size for path in (project.root / "site/assets/_s3img").rglob("*.webp"))
    assert float(found[3]) == pytest.approx(written / 1000, abs=0.1)
