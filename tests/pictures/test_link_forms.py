"""The address of a picture in the forms that people write it in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from s3img.errors import ConfigError
from s3img.pictures.link_forms import FORMS, PictureLink, markdown_image

LINK = PictureLink(
    url="https://x/a%20b.png", key="i/a [b].png", name="a [b].png", width=300, height=200,
    renderings=(("https://x/v128", 128), ("https://x/v64", 64)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("url", "https://x/a%20b.png"),
        ("markdown", r"![a \[b\]](https://x/a%20b.png)"),
        ("html", '<img src="https://x/a%20b.png" srcset="https://x/v64 64w, https://x/v128 128w, https://x/a%20b.png 300w" sizes="100vw" width="300" height="200" alt="a [b]">'),
        ("rst", ".. image:: https://x/a%20b.png"),
        ("asciidoc", "image::https://x/a%20b.png[]"),
        ("bbcode", "[img]https://x/a%20b.png[/img]"),
        ("{url} {key} {name} {width} {height}", "https://x/a%20b.png i/a [b].png a [b].png 300 200"),
        ("{{url}}|{{ width }}{{width}", "https://x/a%20b.png|{{ width }}{300"),
        ("{{< figure src={url} >}}", "{{< figure src=https://x/a%20b.png >}}"),
        ("\\includegraphics{{{url}}}", "\\includegraphics{https://x/a%20b.png}"),
    ],
)  # fmt: skip
def test_link_in_each_form(form: str, text: str) -> None:
    assert LINK.text(form) == text


def test_each_form_is_written_for_a_picture_of_which_little_is_known() -> None:
    assert all("https://x/y" in PictureLink(url="https://x/y").text(form) for form in FORMS)


@pytest.mark.parametrize("form", ["", "textile", "{alt}", "{url.__class__}", "{}", "{url!r}", "{0}"])
def test_text_that_is_neither_form_nor_template_is_explained(form: str) -> None:
    with pytest.raises(ConfigError, match="format: "):
        LINK.text(form)


@given(st.text(st.sampled_from("a _*`[]()!<>&;#\\~\"'lt|{}"), max_size=20))
def test_markdown_parser_reads_the_name_and_address_that_were_written(alt: str) -> None:
    tokens = MarkdownIt("commonmark").parseInline(markdown_image("https://x/a_(b).png", alt))[0].children or []
    assert [token.type for token in tokens] == ["image"]
    assert tokens[0].attrs["src"] == "https://x/a_%28b%29.png"
    read = "".join(token.content for token in tokens[0].children or [])
    assert read == " ".join(alt.split())
