"""The documents hang together: every page is in the navigation, every link and anchor leads somewhere, and the site builds."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from markdown.extensions.toc import slugify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chromium import PageOpener

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
REPOSITORY = "https://github.com/s3img/s3img/blob/main/"
MADE_BY_THE_BUILD = {"reference/commands.md"}
FENCE = re.compile(r"^ *(```+).*?^ *\1$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^ *(```+).*?^ *\1$|(?<!`)`[^`\n]+`(?!`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?)(?: +\{ *#([\w-]+) *\})?$", re.MULTILINE)

WORDS = (
    "bucket folder, path-style, virtual-hosted, multi-region, custom domain, read-only permission, assume role, shared credentials file,"
    "MinIO, version id, CORS, Public URL, canonical header, 404, GitHub Actions, GitLab CI, Cloudflare, nginx, base URL, CDN domain"
)


class Loader(yaml.SafeLoader):
    """YAML as MkDocs reads it: names of Python functions are not looked up."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda _loader, suffix, _node: suffix)


def in_navigation(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            yield from in_navigation(target) if isinstance(target, list) else [target]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page, as both GitHub and MkDocs make them of headings."""
    found: set[str] = set()
    for heading in HEADING.finditer(FENCE.sub("", page.read_text("utf-8"))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "")
        slug = heading[2] or slugify(plain, "-")
        found.add(slug if slug not in found else f"{slug}_1")
    return found


def test_navigation_has_every_page_once() -> None:
    config = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)
    listed = list(in_navigation(config["nav"]))
    assert len(listed) == len(set(listed))
    pages = {page.relative_to(DOCS).as_posix() for page in PAGES} | MADE_BY_THE_BUILD
    assert set(listed) == pages, "the nav of mkdocs.yml is the list of all pages"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = CODE.sub("", page.read_text("utf-8"))
    broken = []
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        if target.startswith(REPOSITORY):
            target, place = target.removeprefix(REPOSITORY), ROOT
        elif re.match(r"[a-z]+:", target):
            continue
        else:
            place = page.parent
        path = (place / target).resolve() if target else page
        if path.is_relative_to(DOCS) and path.relative_to(DOCS).as_posix() in MADE_BY_THE_BUILD:
            continue
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


def test_readme_has_only_absolute_links_as_it_is_the_page_of_the_package_too() -> None:
    text = CODE.sub("", (ROOT / "README.md").read_text("utf-8"))
    assert [link for link in LINK.findall(text) if not link.startswith("https://")] == []


def test_addresses_of_the_package_are_those_of_the_documents() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    config = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)
    assert project["urls"]["Documentation"] == config["site_url"]
    assert REPOSITORY.startswith(project["urls"]["Source"])
    assert project["urls"]["Source"] == config["repo_url"]


@pytest.mark.parametrize("word", WORDS.replace("\n", "").split(","))
def test_word_that_people_search_for_is_found(word: str) -> None:
    pattern = re.compile(re.escape(word.strip()).replace(r"\ ", r"\s+"), re.IGNORECASE)
    assert any(pattern.search(page.read_text("utf-8")) for page in PAGES)


def test_links_of_the_page_for_language_models_are_pages() -> None:
    site = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Documentation"]
    links = LINK.findall((DOCS / "llms.txt").read_text("utf-8"))
    assert links
    for link in links:
        page = link.removeprefix(site).rstrip("/") + ".md"
        assert (DOCS / page).is_file() or page in MADE_BY_THE_BUILD, link


def test_public_names_are_in_the_reference() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \|", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE)
    listed = {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}
    text = (DOCS / "reference" / "python.md").read_text("utf-8")
    blocks = re.findall(r"^::: ([\w.]+)\n((?:    .*\n)*)", text, re.MULTILINE)
    shown = {module: set(re.findall(r"\w+", options.partition("[")[2].partition("]")[0])) for module, options in blocks}
    assert listed == shown, "docs/reference/python.md shows what docs/api.md lists"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_page_has_one_title(page: Path) -> None:
    titles = re.findall(r"^# .+", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    assert len(titles) == 1


@pytest.mark.nightly
@pytest.mark.browser
@pytest.mark.process
def test_site_is_built_by_s3img_without_a_warning_and_shows_every_picture(
    tmp_path: Path, serve: Callable[..., str], open_page: PageOpener
) -> None:
    pytest.importorskip("mkdocstrings")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(site)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert built.returncode == 0, built.stdout + built.stderr
    assert 'id="s3img.Images.publish"' in (site / "reference" / "python" / "index.html").read_text("utf-8")
    assert "--public-url" in (site / "reference" / "commands" / "index.html").read_text("utf-8")
    command = [sys.executable, "-m", "s3img", "check", "--pages", str(site)]  # as .github/workflows/docs.yml has it
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert checked.returncode == 0, checked.stdout
    assert int(checked.stderr.split()[0]) > 50
    report = open_page(serve(site))
    assert report.broken_images == ()
    # Material asks GitHub for the repository's stars; nothing else leaves the site.
    assert [request for request in report.failed_requests if not request.startswith("https://api.github.com/")] == []
    assert report.layout_shift < 0.01
