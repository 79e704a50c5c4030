"""Pages of real sites: built with the themes that MkDocs users have, and the HTML that installed packages ship."""

from __future__ import annotations

import subprocess
import sys
from email import message_from_string
from importlib import metadata
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from s3img.rewrite import Stream, find_references, rewrite
from s3img.rewrite.srcset import parse

THEMES = ("mkdocs", "readthedocs", "material")
SHIPPED = sorted(page for root in map(Path, sys.path) if root.name == "site-packages" for page in root.rglob("*.html"))


def descriptions() -> dict[str, str]:
    """Return the Markdown texts that installed packages describe themselves with."""
    found = {}
    for package in metadata.distributions():
        # Not package.metadata: another shape once some test has imported the package importlib_metadata.
        facts = message_from_string(package.read_text("METADATA") or "")
        text = str(facts.get_payload())
        if "markdown" in facts.get("Description-Content-Type", "") and "](" in text:
            found[facts["Name"]] = text
    return dict(sorted(found.items())[:20])


@pytest.fixture(scope="session", params=THEMES)
def pages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Build a site of real texts and return its pages."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "docs").mkdir()
    for name, text in descriptions().items():
        (folder / "docs" / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / "mkdocs.yml").write_text(f"site_name: x\ntheme: {request.param}\n", encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=200)
    return [page.read_bytes() for page in sorted((folder / "site").rglob("*.html"))]


def by_selectolax(page: bytes) -> list[str]:
    """Return the images that a tree of the page has, in document order."""
    found: list[str] = []
    icons = "link[rel~=icon i], link[rel~=apple-touch-icon i], link[rel~=mask-icon i]"
    for node in LexborHTMLParser(page).css(f"img, source, video, input[type=image i], {icons}"):
        for name in node.attributes:
            value = (node.attributes[name] or "").strip("\t\n\f\r ")
            single = {"img": "src", "video": "poster", "input": "src", "link": "href"}.get(node.tag or "")
            if name == single and value:
                found.append(value)
            elif name == "srcset" and node.tag in ("img", "source"):
                found.extend(candidate.url for candidate in parse(value))
    return found


def by_us(page: bytes) -> list[str]:
    kinds = ("img src", "img srcset", "source srcset", "video poster", "input src", "link href")
    return [r.url for r in find_references(page, charset="utf-8") if r.kind in kinds]


def test_built_pages_agree_with_selectolax(pages: list[bytes]) -> None:
    assert len(pages) > 15
    assert sum(len(by_us(page)) for page in pages) > 50
    for page in pages:
        assert by_us(page) == by_selectolax(page)


def test_built_pages_stay_the_same_objects(pages: list[bytes]) -> None:
    assert all(rewrite(page, "text/html", lambda _: None) is page for page in pages)


def test_built_pages_have_the_same_tree_but_for_the_urls(pages: list[bytes]) -> None:
    for page in pages:
        new = rewrite(page, "text/html", lambda r: f"https://x/?a&{len(r.url)}", charset="utf-8")
        assert [r.url for r in find_references(new)] == [
            f"https://x/?a&{len(r.url)}" for r in find_references(page, charset="utf-8")
        ]
        assert _outline(new) == _outline(page)


def test_built_pages_stream(pages: list[bytes]) -> None:
    for page in pages:
        stream = Stream(lambda r: f"n/{r.kind}/{r.base}")
        out = [stream.feed(page[at : at + 700]) for at in range(0, len(page), 700)]
        whole = rewrite(page, "text/html", lambda r: f"n/{r.kind}/{r.base}", charset="utf-8")
        assert b"".join((*out, stream.finish())) == whole


@pytest.mark.parametrize("page", SHIPPED, ids=[f"{page.parent.name}/{page.name}" for page in SHIPPED])
def test_shipped_page_agrees_with_selectolax(page: Path) -> None:
    data = page.read_bytes()
    assert by_us(data) == by_selectolax(data)


def _outline(page: bytes) -> list[tuple[str, tuple[str, ...]]]:
    """Return elements and attribute names in document order."""
    root = LexborHTMLParser(page).root
    return [(node.tag or "", tuple(node.attributes)) for node in root.traverse()] if root else []
