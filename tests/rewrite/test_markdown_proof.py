from __future__ import annotations

import itertools
from pathlib import Path

import markdown
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from s3img.rewrite import Reference, TagEdit, find_references
from s3img.rewrite.markdown.proof import rewrite_markdown

DATA = Path(__file__).parent.parent / "data" / "markdown"
COMMONMARK = MarkdownIt("commonmark").render
EXTENSIONS = ["admonition", "attr_list", "def_list", "footnotes", "md_in_html", "tables", "toc"]
EXTENSIONS += [f"pymdownx.{name}" for name in ("arithmatex", "details", "superfences", "tabbed")]


def python_markdown(text: str) -> str:
    return markdown.markdown(text, extensions=EXTENSIONS)


def to_bucket(found: Reference) -> str | None:
    return None if found.url.startswith("https:") else f"https://x/{found.url.replace(' ', '_')}?v=1&w=2"


def test_page_is_rewritten_as_expected() -> None:
    text = (DATA / "guide.md").read_text("utf-8")
    result = rewrite_markdown(text, to_bucket, python_markdown, optional=["front matter image"])
    assert result.text == (DATA / "guide.rewritten.md").read_text("utf-8")
    assert result.refusals == ()


def test_rewritten_page_stays_as_it_is() -> None:
    text = (DATA / "guide.rewritten.md").read_text("utf-8")
    result = rewrite_markdown(text, to_bucket, python_markdown, optional=["front matter image"])
    assert result.text is text
    assert result.changed == 0


def test_markdown_without_replacement_is_the_same_object_and_is_not_rendered() -> None:
    text = "![a](b.png)"
    assert rewrite_markdown(text, lambda _: None, lambda _: pytest.fail("rendered")).text is text


def test_what_the_renderer_takes_for_code_is_refused_with_its_place() -> None:
    text = "![a](b.png)\n\n!!! note\n\n    ![c](d.png)\n"
    result = rewrite_markdown(text, to_bucket, COMMONMARK)
    assert result.text == text.replace("b.png", "https://x/b.png?v=1&w=2")
    assert [str(refusal).partition(":")[0] for refusal in result.refusals] == ["line 5, column 10"]
    assert result.changed == 1


def test_the_same_page_is_proven_with_the_renderer_it_was_written_for() -> None:
    result = rewrite_markdown("!!! note\n\n    ![c](d.png)\n", to_bucket, python_markdown)
    assert (result.changed, result.refusals) == (1, ())


def test_link_may_change_with_an_image_when_they_share_a_definition() -> None:
    result = rewrite_markdown("[![a][c]][c]\n\n[c]: d.png", to_bucket, COMMONMARK)
    assert result.text == "[![a][c]][c]\n\n[c]: https://x/d.png?v=1&w=2"


def test_links_are_rewritten_when_asked_for() -> None:
    result = rewrite_markdown("[![a](b)](c.png)", to_bucket, COMMONMARK, optional=["markdown link"])
    assert result.text == "[![a](https://x/b?v=1&w=2)](https://x/c.png?v=1&w=2)"


def test_raw_html_without_quotes_may_get_them() -> None:
    result = rewrite_markdown("é <img src=b.png>", to_bucket, COMMONMARK)
    assert result.text == 'é <img src="https://x/b.png?v=1&amp;w=2">'


@pytest.mark.parametrize("url", ["a b.png", "é.png", "a%20b.png", "img\\b.png", "a&amp;b.png"])
@pytest.mark.parametrize("render", [COMMONMARK, python_markdown])
def test_spelling_of_a_url_in_the_page_does_not_matter(url: str, render: markdown.Markdown) -> None:
    result = rewrite_markdown(f"![a](<{url}>)", lambda _: "https://x/y z(é).png", render)
    assert (result.changed, result.refusals) == (1, ())


def test_renderer_that_fails_changes_nothing() -> None:
    text = "![a](b.png)"
    result = rewrite_markdown(text, to_bucket, lambda _: str(1 / 0))
    assert result.text is text
    assert "ZeroDivisionError" in result.refusals[0].reason


def test_renderer_that_is_never_the_same_changes_nothing() -> None:
    count = itertools.count()
    result = rewrite_markdown("![a](b.png)", to_bucket, lambda text: f"<i>{next(count)}</i>{COMMONMARK(text)}")
    assert result.changed == 0
    assert "twice" in result.refusals[0].reason


def test_renderer_that_looks_at_urls_changes_nothing() -> None:
    result = rewrite_markdown("![a](b.png)", to_bucket, lambda text: f"{COMMONMARK(text)}{len(text)}")
    assert [refusal.url for refusal in result.refusals] == ["b.png"]


@pytest.mark.slow
def test_many_refusals_do_not_render_the_page_for_each() -> None:
    renderings = []
    text = "".join(f"!!! note\n\n    ![a]({number}.png)\n\n" for number in range(400))
    result = rewrite_markdown(text, to_bucket, lambda text: renderings.append(1) or COMMONMARK(text))
    assert len(result.refusals) == 400
    assert len(renderings) < 100


def test_tag_edit_counts_as_none() -> None:
    text = "<img src=a>"
    assert rewrite_markdown(text, lambda _: TagEdit({"src": "b"}), COMMONMARK).text is text


PARTS = ["![a](b.png)", "![q](<r s.png> 't')", "![e](f(1).png)", "![x][l]", "[l]", "![", "[", "]", "](", "(", ")"]
PARTS += ["\n", "\n\n", " ", "  ", "    ", "\t", "> ", "- ", "* ", "1. ", "2) ", "`", "``", "```", "~~~", "\\!", "\\]"]
PARTS += [
    '<img src="i.png">',
    "<b>",
    "<div>",
    "</div>",
    "<",
    ">",
    "'",
    '"',
    "a",
    "*",
    "_",
    "# ",
    "---",
    "===",
    "é",
    "!",
]
PARTS += ["!", "&amp;"]
SOURCES = st.lists(st.sampled_from(PARTS), max_size=16).map(lambda parts: "".join(parts) + "\n\n[l]: d.png\n")


def images(page: str) -> set[str]:
    return {found.url.replace("%20", " ") for found in find_references(page, "text/html")}


@given(SOURCES)
def test_images_are_those_that_commonmark_renders(text: str) -> None:
    assert {found.url for found in find_references(text, "text/markdown")} == images(COMMONMARK(text))


@given(SOURCES)
def test_rewritten_source_renders_to_the_mapped_page(text: str) -> None:
    result = rewrite_markdown(text, to_bucket, COMMONMARK)
    refused = {refusal.url for refusal in result.refusals}
    before = images(COMMONMARK(text))
    assert images(COMMONMARK(result.text)) == {
        url if url in refused else f"https://x/{url.replace(' ', '_')}?v=1&w=2" for url in before
    }


@given(st.text() | SOURCES)
def test_markdown_spans_ascend_and_any_text_is_taken(text: str) -> None:
    found = find_references(text, "text/markdown", optional=["markdown link", "front matter image"])
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert all(0 <= reference.start <= reference.end <= len(text) for reference in found)


@given(st.binary())
def test_markdown_takes_any_bytes(data: bytes) -> None:
    assert all(found.end <= len(data) for found in find_references(data, "text/markdown"))


def test_what_the_author_excluded_is_left_alone() -> None:
    text = "![](a.png){ data-s3img=off } <img src=b data-s3img=off> <!-- s3img:off --> ![](c)"
    assert rewrite_markdown(text, to_bucket, COMMONMARK).text is text
