from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.rewrite import find_references, rewrite

NAMESPACES = (
    'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'
)


def sitemap(images: str, namespaces: str = NAMESPACES) -> str:
    return f'<?xml version="1.0"?>\n<urlset {namespaces}>\n<url><loc>https://x/p.png</loc>{images}</url>\n</urlset>'


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ("<image:image><image:loc>a.png</image:loc></image:image>", ["a.png"]),
        ("<image:image><image:loc>\n  a.png?b&amp;c&#233;\n</image:loc></image:image>", ["a.png?b&cé"]),
        ("<image:image><image:loc> <![CDATA[a.png?b&c]]></image:loc></image:image>", ["a.png?b&c"]),
        ("<image:image ><image:loc >a</image:loc ><image:title>t.png</image:title></image:image>" * 2, ["a", "a"]),
        ("<image:image><image:loc/><image:license>l.png</image:license></image:image>", []),
        ("<!-- <image:image><image:loc>a.png</image:loc></image:image> -->", []),
        ("<image:loc>a.png</image:loc>", []),
        ("<image:image><image:loc>a<!-- -->.png</image:loc></image:image>", []),
        ("<image:image><image:loc>a.png</image:image></image:loc>", []),
    ],
)
@pytest.mark.parametrize("media_type", ["application/xml", "text/xml"])
def test_sitemap_image_locations_are_found(images: str, expected: list[str], media_type: str) -> None:
    assert [found.url for found in find_references(sitemap(images), media_type)] == expected


def test_sitemap_prefix_is_the_documents_own() -> None:
    images = "<i:image><i:loc>a.png</i:loc></i:image>"
    text = sitemap(images, NAMESPACES.replace("xmlns:image", "xmlns:i"))
    assert [(found.kind, found.url) for found in find_references(text, "text/xml")] == [("image:loc", "a.png")]


def test_sitemap_replacement_keeps_every_other_byte() -> None:
    text = sitemap("<image:image>\r\n<image:loc>  é.png\t</image:loc> </image:image>")
    new = rewrite(text.encode(), "text/xml", lambda _: "https://x/a.png?b&c<")
    assert new == text.replace("é.png", "https://x/a.png?b&amp;c&lt;").encode()


def test_sitemap_replacement_cannot_end_a_cdata_section() -> None:
    text = sitemap("<image:image><image:loc><![CDATA[a.png]]></image:loc></image:image>")
    new = rewrite(text, "text/xml", lambda _: "a]]>&b")
    assert "<![CDATA[a]%5D>&b]]>" in new


@pytest.mark.parametrize("text", ["</:loc>", "<a></a></:a>", "<?xml version='1.0'?>x<urlset htt</:// a='<:loc>"])
def test_end_of_an_element_that_was_never_begun_ends_the_search(text: str) -> None:
    assert find_references(text.encode(), "application/xml") == []


@pytest.mark.parametrize(
    "text", ["", "<", "<urlset", "<!DOCTYPE", "<urlset><![CDATA[", "<urlset><!--", "<svg><a/></svg>"]
)
def test_sitemap_that_breaks_off_is_left_alone(text: str) -> None:
    assert rewrite(text, "text/xml", lambda _: "n") is text


@given(
    st.lists(
        st.sampled_from(["<image:image>", "</image:image>", "<image:loc>", "</image:loc>", "a.png", "<!--", "-->"])
    )
)
def test_sitemap_without_replacement_is_the_same_object(parts: list[str]) -> None:
    data = sitemap("".join(parts)).encode()
    assert rewrite(data, "text/xml", lambda _: None) is data
