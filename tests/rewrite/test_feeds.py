from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.rewrite import Reference, TagEdit, find_references, rewrite

RSS = "application/rss+xml"
ATOM = "application/atom+xml"


def rss(item: str, channel: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:atom="http://www.w3.org/2005/Atom" '
        'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" xmlns:m="http://search.yahoo.com/mrss/">'
        f"<channel>{channel}<item><title>é</title>{item}</item></channel></rss>"
    )


def atom(entry: str, prefix: str = "") -> str:
    declared = (
        f'xmlns:{prefix.rstrip(":")}="http://www.w3.org/2005/Atom"' if prefix else 'xmlns="http://www.w3.org/2005/Atom"'
    )
    return f"<{prefix}feed {declared}><{prefix}entry>{entry}</{prefix}entry></{prefix}feed>"


def listed(data: bytes | str, media_type: str) -> list[str]:
    return [f"{found.kind}: {found.url}" for found in find_references(data, media_type)]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ('<enclosure url="a.jpg" length="12" type="image/jpeg"/>', ["enclosure url: a.jpg"]),
        ("<enclosure\n  type = 'image/png' url = 'a.png?b=1&amp;c=2'></enclosure>", ["enclosure url: a.png?b=1&c=2"]),
        ('<enclosure url="a.jpg" />', ["enclosure url: a.jpg"]),
        ('<enclosure url="a.mp3" type="audio/mpeg"/><enclosure url="a.mp4" type="VIDEO/mp4"/>', []),
        ('<media:content url="a.jpg" medium="image"/>', ["media:content url: a.jpg"]),
        (
            '<media:group><m:content url="a"/><m:thumbnail url="b"/></media:group>',
            ["media:content url: a", "media:thumbnail url: b"],
        ),
        (
            '<media:content url="a.mp4" medium="video"><media:thumbnail url="b.jpg"/></media:content>',
            ["media:thumbnail url: b.jpg"],
        ),
        ('<itunes:image href="a.jpg"/>', ["itunes:image href: a.jpg"]),
        ('<atom:link rel="enclosure" href="a.jpg" type="image/jpeg"/>', ["link href: a.jpg"]),
        ('<link>https://x/a.png</link><guid>b.png</guid><url>c.png</url><source url="d.png"/>', []),
        ("<!-- <enclosure url='a.jpg'/> --><![CDATA[<enclosure url='b.jpg'/>]]><?x <enclosure url='c.jpg'/> ?>", []),
        ('<enclosure url="" length="0" type="image/png"/><enclosure length="0"/>', []),
    ],
)
def test_feed_elements_of_an_rss_item_are_found(item: str, expected: list[str]) -> None:
    assert listed(rss(item), RSS) == expected
    assert listed(rss(item).encode(), RSS) == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("<description>&lt;p>&lt;img src=&quot;a.png&quot;&gt;</description>", ["img src: a.png"]),
        ("<description>&lt;img src='a&amp;amp;b&amp;#233;.png'></description>", ["img src: a&bé.png"]),
        ("<description>&#60;img src&#x3D;a.png&#62;</description>", ["img src: a.png"]),
        (
            "<description><![CDATA[<img srcset='a.png 1x, b.png 2x'>]]></description>",
            ["img srcset: a.png", "img srcset: b.png"],
        ),
        ("<content:encoded>é<![CDATA[é<p style='background:url(a.png)'>]]> </content:encoded>", ["css url: a.png"]),
        ("<description>&lt;img<![CDATA[ src='a.png'>]]></description>", ["img src: a.png"]),
        ("<description>&lt;img src='a<![CDATA[.png'>]]></description>", []),
        ("<description>&lt;!-- &lt;img src='a.png'> --></description>", []),
        ("<description>&amp;lt;img src='a.png'></description>", []),
        ("<description><p><img src='a.png'/></p></description>", ["img src: a.png"]),
        ("<media:description>&lt;img src='a.png'></media:description><title>&lt;img src='b'></title>", []),
    ],
)
def test_feed_html_of_an_rss_item_is_read_as_html(item: str, expected: list[str]) -> None:
    assert listed(rss(item), RSS) == expected
    assert listed(rss(item).encode(), RSS) == expected


@pytest.mark.parametrize("prefix", ["", "atom:", "a:"])
@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('<{0}link rel="enclosure" href="a.png" length="1"/><{0}link rel="alternate" href="b"/>', ["link href: a.png"]),
        ("<{0}logo> a.png </{0}logo><{0}icon>b.png</{0}icon>", ["feed logo: a.png", "feed icon: b.png"]),
        ('<{0}content type="html">&lt;img src="a.png"></{0}content>', ["img src: a.png"]),
        ('<{0}summary type="text/html"><![CDATA[<img src="a.png">]]></{0}summary>', ["img src: a.png"]),
        (
            '<{0}content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><img src="a.png"/></div></{0}content>',
            ["img src: a.png"],
        ),
        ('<{0}content type="text">&lt;img src="a.png"></{0}content><{0}summary>&lt;img src="b"></{0}summary>', []),
    ],
)
def test_feed_elements_of_an_atom_entry_are_found(entry: str, expected: list[str], prefix: str) -> None:
    assert listed(atom(entry.format(prefix), prefix), ATOM) == expected


def test_feed_image_of_the_channel_is_found() -> None:
    channel = "<image><url>\n <![CDATA[a.png]]> </url><title>x</title><link>b.png</link></image>"
    assert listed(rss("", channel), RSS) == ["image url: a.png"]


def test_feed_of_rss_1_is_found() -> None:
    text = '<rdf:RDF xmlns:rdf="r"><image rdf:about="a.png"><url>a.png</url></image></rdf:RDF>'
    assert listed(text, "application/rdf+xml") == ["image url: a.png"]


def test_xml_that_is_no_feed_has_no_feed_images() -> None:
    text = '<project><description>&lt;img src="a.png"></description><enclosure url="b.png"/></project>'
    assert listed(text, "text/xml") == []


def test_feed_url_type_and_length_change_together() -> None:
    text = rss("<enclosure\n url='a.png'  length='12' type='image/png' />")
    edit = TagEdit({"url": "https://x/a.webp?b&c", "type": "image/webp", "length": "7"})
    new = rewrite(text, RSS, lambda found: edit if found.kind == "enclosure url" else None)
    assert new == text.replace(
        "url='a.png'  length='12' type='image/png'", "url='https://x/a.webp?b&amp;c'  length='7' type='image/webp'"
    )


def test_feed_replacement_keeps_every_other_byte() -> None:
    text = rss("<description>é &amp;lt; &lt;IMG  src = 'a.png'&#62;<!-- x -->&#xe9;</description>\r\n<!-- a.png -->")
    expected = text.replace("'a.png'", "'https://x/&amp;amp;&amp;#39;'")
    assert rewrite(text, RSS, lambda _: "https://x/&'") == expected
    assert rewrite(text.encode(), RSS, lambda _: "https://x/&'") == expected.encode()


@pytest.mark.parametrize(
    "form", ["<![CDATA[<img src=a.png>]]>", "&lt;img src=a.png&gt;", "&lt;img src=&quot;a.png&quot;>"]
)
@pytest.mark.parametrize("url", ["https://x/a?b=1&lt;=2", "a]]>b", "a]]", "a\"b'c<d", "é"])
def test_feed_replacement_arrives_through_both_layers(form: str, url: str) -> None:
    new = rewrite(rss(f"<description>{form}</description>"), RSS, lambda _: url)
    inner = ElementTree.fromstring(new.encode()).findtext("channel/item/description") or ""
    arrived = url.replace("]]", "]%5D") if "CDATA" in form else url
    assert [found.url for found in find_references(inner, "text/html")] == [arrived]


@pytest.mark.parametrize("charset", ["utf-16", "windows-1252", "shift_jis"])
def test_feed_of_another_encoding_is_rewritten(charset: str) -> None:
    text = rss("<description>&lt;img src='a.png'></description>").replace("é", "ソ" if charset == "shift_jis" else "é")
    new = rewrite(text.encode(charset), RSS, lambda _: "n.png", charset=charset)
    assert new.decode(charset) == text.replace("a.png", "n.png")


def test_feed_replacement_in_elements_is_xml() -> None:
    new = rewrite(rss("<description><img src='a.png'/></description>"), RSS, lambda _: "a<&'\"")
    image = ElementTree.fromstring(new.encode()).find("channel/item/description/img")
    assert image is not None
    assert image.get("src") == "a<&'\""


def test_feed_image_that_the_author_excluded_is_marked() -> None:
    item = "&lt;img src=a data-s3img=off>&lt;!-- s3img:off -->&lt;img src=b>&lt;!-- s3img:on -->&lt;img src=c>"
    found = find_references(rss(f"<description>{item}</description>"), RSS)
    assert [(reference.url, reference.tag is not None and reference.tag.off) for reference in found] == [
        ("a", True),
        ("b", True),
        ("c", False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<rss",
        "<rss><enclosure url='a",
        "<rss><![CDATA[",
        "<rss><description>&lt;img src='a",
        "<rss></feed><enclosure url='a'/>",
    ],
)
def test_feed_that_breaks_off_is_left_alone(text: str) -> None:
    assert rewrite(text, RSS, lambda _: "n") is text


def test_feed_elements_are_read_once_however_they_nest() -> None:
    depth = 3000
    nested = "<description><img src='a.png'/>" * depth + "</description>" * depth
    assert listed(f"<rss>{nested}</rss>", RSS) == ["img src: a.png"] * depth


PARTS = [
    "<description>",
    "</description>",
    "<![CDATA[",
    "]]>",
    "&lt;img src='",
    "<img src='",
    "a.png",
    "'>",
    "'&gt;",
    "&amp;",
    "é",
]
PARTS += ["<enclosure url='", "'/>", "<!--", "-->", "<item>", "</item>", "<url>", "</url>", "<image>", "</image>", "\n"]


@given(st.lists(st.sampled_from(PARTS)))
def test_feed_without_replacement_is_the_same_object(parts: list[str]) -> None:
    data = f"<rss>{''.join(parts)}</rss>".encode()
    assert rewrite(data, RSS, lambda _: None) is data


@given(st.lists(st.sampled_from(PARTS)))
def test_feed_spans_ascend_and_hold_the_url(parts: list[str]) -> None:
    text = f"<rss>{''.join(parts)}</rss>"
    found: list[Reference] = find_references(text, RSS)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert all("a.png" in text[reference.start : reference.end] for reference in found if "a.png" in reference.url)


@given(st.lists(st.sampled_from(PARTS)))
def test_feed_that_is_well_formed_stays_so(parts: list[str]) -> None:
    text = f"<rss>{''.join(parts)}</rss>"
    try:
        ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return
    ElementTree.fromstring(rewrite(text, RSS, lambda _: "a]]>\"'<&"))


@given(st.binary())
def test_feed_takes_any_bytes(data: bytes) -> None:
    assert rewrite(b"<rss>" + data, RSS, lambda _: None) == b"<rss>" + data
