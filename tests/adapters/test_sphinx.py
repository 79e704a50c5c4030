"""The Sphinx extension in real builds."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from sites import photo
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import docutils_namespace, patch_docutils

from s3img.config.mkdocs_yml import THEME_SIZES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chromium import PageOpener

SETTINGS = {"widths": [160], "formats": ["webp"]}
INDEX = "Cats\n====\n\n.. image:: cat.jpg\n   :alt: A cat\n\n.. toctree::\n\n   other\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.rst").write_text(INDEX)
    (source / "other.rst").write_text("Other\n=====\n\nNothing to see.\n")
    (source / "cat.jpg").write_bytes(photo(400, 300))
    return source


def build(
    source: Path, cache_dir: str, builder: str = "html", *, theme: str = "basic", **settings: Any
) -> tuple[Path, str]:
    """Build a project in parallel; return the folder of the output, and what was warned of."""
    warned = io.StringIO()
    overrides = {
        "extensions": ["s3img.adapters.sphinx"],
        "s3img": {**SETTINGS, "cache_dir": cache_dir, **settings},
        "html_theme": theme,
        "html_baseurl": "https://docs.example.com/",
    }
    output = source.parent / builder
    with warnings.catch_warnings(), patch_docutils(str(source)), docutils_namespace():
        warnings.simplefilter("ignore")  # of Sphinx and docutils, about each other
        app = Sphinx(
            source, None, output, source.parent / f"{builder}-trees", builder, overrides, None, warned, parallel=2
        )
        app.build()
    return output, re.sub(r"\x1b\[[0-9;]*m", "", warned.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize(("builder", "page"), [("html", "index.html"), ("dirhtml", "index.html")])
def test_build_publishes_pages(project: Path, cache_dir: str, builder: str, page: str) -> None:
    output, warned = build(project, cache_dir, builder)
    html = (output / page).read_text()
    assert warned == ""
    assert '<picture class="s3img">' in html
    assert 'alt="A cat"' in html
    url = re.search(r'srcset="([^" ]+\.webp) 160w', html)
    assert url
    assert (output / url[1]).is_file()


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["alabaster", "furo"])
def test_sizes_of_a_known_theme_are_as_wide_as_its_column(
    theme: str, project: Path, cache_dir: str, serve: Callable[..., str], open_page: PageOpener
) -> None:
    if theme == "furo":
        pytest.importorskip("furo", reason="no theme: pip install furo")
    (project / "cat.jpg").write_bytes(photo(3000, 200))
    output, _ = build(project, cache_dir, theme=theme)
    assert f'sizes="{THEME_SIZES[theme]}"' in (output / "index.html").read_text()
    address = serve(output)
    for width in (360, 800, 1024, 1400, 1920):
        [image] = [image for image in open_page(f"{address}index.html", width=width).images if image.alt == "A cat"]
        assert 0 <= told(THEME_SIZES[theme], width) - image.box[2] <= 0.15 * image.box[2], width


def told(sizes: str, width: int) -> float:
    """Return the px that a ``sizes`` says for a window of a width."""
    for size in sizes.split(", "):
        found = re.fullmatch(r"(?:\(min-width: (\d+)(px|em)\) )?(?:(\d+)px|calc\(100vw - (\d+)px\))", size)
        assert found, size
        if not found[1] or width >= int(found[1]) * {"px": 1, "em": 16}[found[2]]:
            return int(found[3]) if found[3] else width - int(found[4])
    raise AssertionError(sizes)


@pytest.mark.slow
def test_next_build_writes_only_what_changed(project: Path, cache_dir: str) -> None:
    output, _ = build(project, cache_dir)
    before = (output / "index.html").read_bytes()
    (project / "other.rst").write_text("Other\n=====\n\n.. image:: cat.jpg\n   :alt: The same cat\n")
    build(project, cache_dir)
    assert (output / "index.html").read_bytes() == before
    assert '<picture class="s3img">' in (output / "other.html").read_text()


@pytest.mark.slow
def test_bucket_gets_the_images(project: Path, cache_dir: str, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    output, _ = build(
        project, cache_dir, bucket=bucket.as_uri(), public_url="https://img.example.com", check_public=False
    )
    assert 'src="https://img.example.com/_images/cat.' in (output / "index.html").read_text()
    assert list(bucket.glob("_images/cat.*.webp"))


def test_other_builders_are_left_alone(project: Path, cache_dir: str) -> None:
    output, warned = build(project, cache_dir, "json")
    assert (warned, "<picture" in (output / "index.fjson").read_text()) == ("", False)


@pytest.mark.slow
def test_problem_names_the_document(project: Path, cache_dir: str) -> None:
    (project / "other.rst").write_text('Other\n=====\n\n.. raw:: html\n\n   <img src="nope.jpg" alt="">\n')
    _, warned = build(project, cache_dir)
    assert re.search(r"other\.rst: WARNING: .*nope\.jpg", warned)
    with pytest.raises(ExtensionError, match=r"other: .*nope\.jpg"):
        build(project, cache_dir, missing="error")


@pytest.mark.parametrize(("written", "name"), [([], "…"), ({5: 6}, "5")])
def test_settings_of_another_form_are_named(tmp_path: Path, written: Any, name: str) -> None:
    (tmp_path / "conf.py").write_text(f'extensions = ["s3img.adapters.sphinx"]\ns3img = {written}\n')
    with warnings.catch_warnings(), docutils_namespace():
        warnings.simplefilter("ignore")  # of Sphinx and docutils, about each other
        with pytest.raises(ExtensionError, match=rf"conf\.py: s3img\['{name}'\]"):
            Sphinx(tmp_path, tmp_path, tmp_path / "html", tmp_path / "trees", "html", {}, None, io.StringIO())


def test_wrong_setting_stops_the_build_at_its_start(project: Path, cache_dir: str) -> None:
    with pytest.raises(ExtensionError, match=r"conf\.py: s3img\['colour'\]"):
        build(project, cache_dir, colour="red")
    assert not (project.parent / "html" / "index.html").exists()
