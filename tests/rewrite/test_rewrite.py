from __future__ import annotations

import pytest

from s3img.rewrite import Reference, TagEdit, find_references, rewrite


@pytest.mark.parametrize(
    ("html", "url", "expected"),
    [
        ("<img src=\"a\">", "b&c\"'", "<img src=\"b&amp;c&quot;'\">"),
        ("<img src='a'>", "b&c\"'", "<img src='b&amp;c\"&#39;'>"),
        ("<img src=a>", "b/c.png?d", "<img src=b/c.png?d>"),
        ("<img src=a>", "b?c=1&d", '<img src="b?c=1&amp;d">'),
        ("<img src=a>", "b/", '<img src="b/">'),
        ("<img src=a>", "b c", '<img src="b c">'),
        ("<IMG  SRC = ' a '\n/>", "b", "<IMG  SRC = ' b '\n/>"),
        ("<img srcset=\"a 1x, a  2x\">", "b c,d", "<img srcset=\"b%20c%2Cd 1x, b%20c%2Cd  2x\">"),
        ("<img srcset=a,>", "b'", "<img srcset=b&#39;,>"),
        ("<p style=\"c:url(a)\">", "b c\"", "<p style=\"c:url('b c&quot;')\">"),
        ("<p style='c:url(a)'>", "b(c", "<p style='c:url(\"b(c\")'>"),
        ("<p style='c:url(\"a\")'>", "b\"c\\d\n", "<p style='c:url(\"b\\\"c\\\\d\\a \")'>"),
        ("<p style=c:url(a)>", "b c", "<p style=c:url(&#34;b&#32;c&#34;)>"),
        ("<p style='c:url(&quot;a&quot;)'>", "b&d", "<p style='c:url(&quot;b&amp;d&quot;)'>"),
        ("<style>c{d:url(a)}</style>", "b</style>", "<style>c{d:url(b\\3c /style\\3e )}</style>"),
        ("<svg><style>c{d:url(a)}</style></svg>", "b&e", "<svg><style>c{d:url(b&amp;e)}</style></svg>"),
        ("<img src=\"a\">", "é€😀", "<img src=\"é€😀\">"),
    ],
)  # fmt: skip
def test_rewrite_writes_for_the_place(html: str, url: str, expected: str) -> None:
    assert rewrite(html, "text/html", lambda _: url) == expected
    assert rewrite(html.encode(), "text/html", lambda _: url, charset="utf-8") == expected.encode()
    assert {r.url for r in find_references(expected)} <= {url.strip(), url.replace(" ", "%20").replace(",", "%2C")}


@pytest.mark.parametrize(
    ("css", "url", "expected"),
    [
        ("a{b:url(c)}", "d e", 'a{b:url("d e")}'),
        ("a{b:url( 'c' )}", "d'e", "a{b:url( 'd\\'e' )}"),
        ('a{b:image-set("c" 1x, url(c) 2x)}', "d", 'a{b:image-set("d" 1x, url(d) 2x)}'),
    ],
)
def test_rewrite_style_sheet(css: str, url: str, expected: str) -> None:
    assert rewrite(css, "text/css", lambda _: url) == expected


def edit(html: str, change: TagEdit) -> str:
    return rewrite(html, "text/html", lambda _: change)


@pytest.mark.parametrize(
    ("html", "attributes", "expected"),
    [
        ("<img src=a>", {"src": "b", "alt": 'c"'}, '<img src=b alt="c&quot;">'),
        ("<img src=a />", {"alt": ""}, '<img src=a alt="" />'),
        ("<img src='a'/>", {"alt": "x"}, "<img src='a' alt=\"x\"/>"),
        ("<img src=a/>", {"alt": "x"}, '<img src=a/ alt="x">'),
        ("<img hidden src=a alt=>", {"hidden": "x", "alt": "y"}, '<img hidden="x" src=a alt="y">'),
        ("<img alt='x' src=a>", {"alt": ""}, "<img alt='' src=a>"),
        ("<img alt=x src=a>", {"alt": ""}, '<img alt="" src=a>'),
        ("<img src=a alt=x ALT=y>", {"alt": "z"}, "<img src=a alt=z ALT=y>"),
        ("<img src=a data-x='1' data-x=2>", {"data-x": None}, "<img src=a>"),
        ("<img src=a data-x=1/>", {"data-x": None}, "<img src=a>"),
        ("<img src=a data-x='1'/>", {"data-x": None}, "<img src=a />"),
        ("<img src='a' data-x='1'/>", {"data-x": None}, "<img src='a'/>"),
        ("<img data-x src=a>", {"data-x": None}, "<img src=a>"),
        ("<img src=a b='2' c='3'/>", {"b": None, "c": None}, "<img src=a />"),
        ("<img src=a b='2'c='3'>", {"b": None}, "<img src=a c='3'>"),
        ("<img src=a>", {"data-x": None}, "<img src=a>"),
    ],
)
def test_tag_edit_changes_attributes(html: str, attributes: dict[str, str | None], expected: str) -> None:
    assert edit(html, TagEdit(attributes)) == expected


def test_tag_edit_puts_markup_around() -> None:
    change = TagEdit({"src": "b"}, before="<picture><source srcset='é'>", after="</picture>")
    assert edit("x<img src=a>y", change) == "x<picture><source srcset='é'><img src=b></picture>y"


def test_tag_edit_answers_for_the_whole_tag() -> None:
    asked: list[Reference] = []

    def replace(reference: Reference) -> TagEdit:
        asked.append(reference)
        return TagEdit({"src": "b"})

    assert rewrite("<img src=a srcset='a 2x'><img src=c>", "text/html", replace) == (
        "<img src=b srcset='a 2x'><img src=b>"
    )
    assert [reference.url for reference in asked] == ["a", "c"]


def test_tag_edit_wins_over_earlier_urls_of_its_attributes() -> None:
    def replace(reference: Reference) -> TagEdit | str:
        return "new" if reference.url != "c" else TagEdit({"srcset": None, "src": "d"})

    html = "<img style='x:url(s)' srcset='a 1x' src=c>"
    assert rewrite(html, "text/html", replace) == "<img style='x:url(new)' src=d>"


@pytest.mark.parametrize("answer", [None, "same"])
def test_nothing_changed_is_the_same_object(answer: str | None) -> None:
    html = "<img src=a alt='&copy'><p style='b:url(c&d)'>é"
    for data in (html, html.encode(), html.encode("utf-16")):
        assert rewrite(data, "text/html", lambda r: r.url if answer else None) is data


def test_tag_edit_that_changes_nothing_is_the_same_object() -> None:
    html = "<img src='a'>"
    assert edit(html, TagEdit({"src": "a", "alt": None})) is html


def test_url_outside_the_charset_is_percent_encoded() -> None:
    page = "<meta charset=iso-8859-2><img src=a>".encode("iso-8859-2")
    assert rewrite(page, "text/html", lambda _: "ř日") == page.replace(b"src=a", b'src="%C5%99%E6%97%A5"')


def test_markup_outside_the_charset_becomes_references() -> None:
    page = b"<meta charset=iso-8859-2><img src=a>"
    new = rewrite(page, "text/html", lambda _: TagEdit({"alt": "ř日"}, after="日"))
    assert new == b'<meta charset=iso-8859-2><img src=a alt="\xf8&#26085;">&#26085;'


def test_undecodable_bytes_stay() -> None:
    page = b"\xff<img alt=\xfe src='\xfd.png'>\xfc"
    (reference,) = find_references(page)
    assert reference.url == "\ufffd.png"
    assert rewrite(page, "text/html", lambda _: "b") == b"\xff<img alt=\xfe src='b'>\xfc"


def test_utf16_references_have_offsets_of_bytes_in_both_calls() -> None:
    data = '\ufeff<p>\U0001f63a<img src="cat.jpg" srcset="a.jpg 2x">'.encode("utf-16-le")
    asked: list[tuple[int, int]] = []
    rewrite(data, "text/html", lambda reference: asked.append((reference.start, reference.end)))
    assert asked == [(found.start, found.end) for found in find_references(data)]
    assert [data[start:end].decode("utf-16-le") for start, end in asked] == ["cat.jpg", "a.jpg"]


def test_xml_declaration_decides_about_a_feed() -> None:
    feed = '<?xml version="1.0" encoding="iso-8859-1"?><rss><channel><item><enclosure url="\xe9.jpg" type="image/jpeg"/></item></channel></rss>'
    (found,) = find_references(feed.encode("latin-1"), "application/rss+xml")
    assert found.url == "\xe9.jpg"


def test_meta_in_a_code_sample_does_not_decide_about_markdown() -> None:
    text = "`<meta charset=latin-1>` `<meta charset=iso-8859-1>`\n\n![x](\xe9.jpg)\n"
    (found,) = find_references(text.encode(), "text/markdown")
    assert found.url == "\xe9.jpg"
