from __future__ import annotations

import pytest

from s3img.rewrite import OPTIONAL_KINDS, Reference, find_references, head_end, position, rewrite


def found(html: str | bytes, **options: object) -> list[tuple[str, str]]:
    return [(r.kind, r.url) for r in find_references(html, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<img src=a.png>", [("img src", "a.png")]),
        ("<image src=a.png>", [("img src", "a.png")]),
        ("<img srcset='a.png 1x, b.png 2x' src=c.png>", [("img srcset", u) for u in ("a.png", "b.png")] + [("img src", "c.png")]),
        ("<img srcset='a.png nonsense, b.png 2x'>", [("img srcset", "a.png"), ("img srcset", "b.png")]),
        ("<source srcset=a.webp src=b.mp4>", [("source srcset", "a.webp")]),
        ("<video poster=a.png src=b.mp4>", [("video poster", "a.png")]),
        ("<input type=image src=a.png>", [("input src", "a.png")]),
        ("<link rel=icon href=a.ico>", [("link href", "a.ico")]),
        ("<link rel='preload nofollow' as=image href=a.png imagesrcset='b.png 2x'>", [("link href", "a.png"), ("link imagesrcset", "b.png")]),
        ("<link rel=preload as=font href=image.woff>", []),
        ("<meta property=og:image content=a.png>", [("meta content", "a.png")]),
        ("<meta name=description content='an image: a.png'>", []),
        ("<svg><image href=a.png /><feImage xlink:href=b.png /></svg>", [("image href", "a.png"), ("feimage xlink:href", "b.png")]),
        ("<p style='background:url(a.png)'>", [("css url", "a.png")]),
        ("<textarea style='background:url(a.png)'></textarea>", [("css url", "a.png")]),
        ("<style>p{background:url(a.png)}</style>", [("css url", "a.png")]),
        ("<svg><style>p{background:url(a.png?b&amp;c)}</style></svg>", [("css url", "a.png?b&c")]),
        ("<a href=a.png><td background=b.png><img data-src=c.png>", []),
        ("<img src=''><img src='  '><img src><img src=>", []),
        ("<img src='\n a.png\t'>", [("img src", "a.png")]),
        ("<img src='a\0b'>", [("img src", "a\ufffdb")]),
        ("<svg><desc><![CDATA[ > <img src=n.png> ]]></desc></svg><img src=a.png>", [("img src", "a.png")]),
        ("<svg><desc><p></desc><![CDATA[ > ]]><img src=a.png></svg>", [("img src", "a.png")]),
        ("<div><svg><path></div><title><img src=n.png></title><img src=a.png>", [("img src", "a.png")]),
        ("<template><img src=a.png></template>", [("img src", "a.png")]),
        ("<noscript><img src=a.png><!-- </noscript><img src=b.png>", [("img src", "a.png"), ("img src", "b.png")]),
    ],
)  # fmt: skip
def test_default_kinds(html: str, expected: list[tuple[str, str]]) -> None:
    assert found(html) == expected


@pytest.mark.parametrize("attribute", ["property", "name", "itemprop"])
@pytest.mark.parametrize("name", ["og:image:secure_url", "twitter:image", "image", "thumbnail", "thumbnailUrl", "msapplication-TileImage"])  # fmt: skip
def test_what_link_previews_and_search_engines_show_is_found_by_its_name(attribute: str, name: str) -> None:
    assert found(f'<meta {attribute}="{name}" content="a.jpg">') == [("meta content", "a.jpg")]


@pytest.mark.parametrize(
    ("kind", "html"),
    [
        ("a href", "<a href=x.png><A\nHREF='x.png'>"),
        ("img data-src", "<img data-src=x.png><img data-src='x.png'>"),
        ("img data-srcset", "<img data-srcset='x.png 1x, x.png 2x'>"),
        ("source data-srcset", "<source data-srcset='x.png 1x, x.png 2x'>"),
        ("body background", "<body background=x.png background=n.png><body background=x.png>"),
        ("td background", "<td background=x.png><td background=x.png>"),
    ],
)
def test_optional_kinds_are_found_on_request(kind: str, html: str) -> None:
    assert kind in OPTIONAL_KINDS
    assert found(html) == []
    assert found(html, optional=[kind]) == [(kind, "x.png")] * 2


@pytest.mark.parametrize(
    "url", ["x.png", "X.JPeG", "a/x.webp?b#c.d", " x.svg ", "a.b/x.avif", "x&#46;gif", "x.p&#x6e;g"]
)
def test_link_to_an_image_file_is_found(url: str) -> None:
    assert found(f"<a class=b href='{url}' title=\"c.d\">", optional=["a href"]) != []
    assert found(f"<a href='{url}' href='x.html'>", optional=["a href"]) != []


@pytest.mark.parametrize("url", ["x.html", "x.pngx", "x", "x.html?a=x.png", "x.html#x.png", "png", "x.png/", ".", ""])
def test_link_to_another_file_is_not_found(url: str) -> None:
    assert found(f"<a href='{url}' title='x.png'><a title=x.png href=\"{url}\">", optional=["a href"]) == []


@pytest.mark.parametrize(
    ("key", "syntax", "html", "urls"),
    [
        (("amp-img", "src"), "url", "<amp-img src=a.png>", ["a.png"]),
        (("AMP-IMG", "srcset"), "srcset", "<amp-img srcset='a.png 1x, b.png 2x'>", ["a.png", "b.png"]),
        (("x", "data-bg"), "css", "<x data-bg='url(a.png)'>", ["a.png"]),
        (("iframe", "data-poster"), "url", "<iframe data-poster=a.png><img src=n.png></iframe>", ["a.png"]),
        (("link", "data-x"), "url", "<link data-x=a.png>", ["a.png"]),
        (("img", "data-full"), "url", "<img src=a.png data-full=b.png>", ["a.png", "b.png"]),
    ],
)
def test_extra_attributes_are_found(key: tuple[str, str], syntax: str, html: str, urls: list[str]) -> None:
    assert [url for _, url in found(html, extra={key: syntax})] == urls


def test_json_ld_is_found_on_request() -> None:
    html = (
        '<base href=/b/><script type="application/ld+json">{"image": "a.png"}</script><script>{"image": "n"}</script>'
    )
    assert found(html) == []
    (reference,) = find_references(html, optional=["script json-ld"])
    assert html[reference.start : reference.end] == reference.url == "a.png"
    assert reference.base == "/b/"


def test_json_ld_can_not_end_its_script() -> None:
    html = '<script type="application/ld+json">{"image": "a.png"}</script>'
    new = rewrite(html, "text/html", lambda _: "</script>", optional=["script json-ld"])
    assert new.lower().count("</script") == 1


def test_references_are_values() -> None:
    html = "<img src=a alt=b><p style='c:url(d)'><style>e{f:url(g)}</style>"
    first, again = find_references(html), find_references(html)
    assert first == again
    assert [hash(reference.tag) for reference in first] == [hash(reference.tag) for reference in again]
    assert len(repr(first)) < 2000


def only(html: str) -> Reference:
    (reference,) = find_references(html)
    return reference


def test_tag_tells_attributes_in_source_order() -> None:
    tag = only("x<IMG Alt='a &amp; b' src=c.png ALT=n hidden>y").tag
    assert tag is not None
    assert (tag.name, tag.start, tag.end) == ("img", 1, 45)
    assert [(a.name, a.value, a.quote) for a in tag.attributes] == [
        ("alt", "a & b", "'"),
        ("src", "c.png", ""),
        ("hidden", "", ""),
    ]
    assert (tag.get("alt"), tag.get("hidden"), tag.get("title")) == ("a & b", "", None)


def test_tag_attributes_have_spans() -> None:
    html = "<img alt='é' src=c.png hidden>"
    for data in (html, html.encode()):
        (reference,) = find_references(data)
        assert reference.tag is not None
        alt, src, hidden = reference.tag.attributes
        encode = str.encode if isinstance(data, bytes) else str
        assert data[alt.start : alt.end] == encode("é")
        assert data[alt.name_start : alt.name_start + 3] == encode("alt")
        assert data[src.start : src.end] == encode("c.png")
        assert hidden.start == hidden.end


@pytest.mark.parametrize(
    ("html", "inside"),
    [
        ("<picture><img src=a></picture>", True),
        ("<picture></picture><img src=a>", False),
        ("<PICTURE><p><!-- </picture> --><img src=a>", True),
        ("<a title='<picture>'><img src=a></a>", False),
        ("<svg><picture><image href=a /></picture></svg>", False),
        ("<svg><desc><picture><img src=a></picture></desc></svg>", True),
        ("<svg><desc><picture></picture><img src=a></desc></svg>", False),
        ("<picture></picture></picture><picture><img src=a>", True),
    ],
)
def test_tag_knows_picture(html: str, inside: bool) -> None:  # noqa: FBT001  # a column of the table
    tag = only(html).tag
    assert tag is not None
    assert tag.picture is inside


@pytest.mark.parametrize(
    ("html", "flags"),
    [
        ("<noscript><img src=a></noscript><img src=b>", [(True, False), (False, False)]),
        ("<!-- s3img:off --><img src=a><!--s3img:on--><img src=b>", [(False, True), (False, False)]),
        ("<noscript><!-- s3img:off --><img src=a></noscript><img src=b>", [(True, True), (False, True)]),
        ("<svg><!-- s3img:off --><image href=a /></svg><p style='--x:url(b)'>", [(False, True), (False, True)]),
        ("<!-- s3img:offer --><img src=a><script><!-- s3img:off --></script><img src=b>", [(False, False)] * 2),
    ],
)
def test_tag_knows_noscript_and_off(html: str, flags: list[tuple[bool, bool]]) -> None:
    tags = [reference.tag for reference in find_references(html)]
    assert [(tag.noscript, tag.off) for tag in tags if tag] == flags


def test_style_sheet_in_switched_off_region_is_left_out() -> None:
    html = "<!-- s3img:off --><style>a{b:url(n)}</style><!-- s3img:on --><style>a{b:url(y)}</style>"
    assert found(html) == [("css url", "y")]


def test_base_is_the_first_href_before_the_reference() -> None:
    html = "<img src=1><base target=x><noscript><base href=n></noscript><base href=' /b/ '><img src=2><base href=c><img src=3>"
    assert [reference.base for reference in find_references(html)] == [None, "/b/", "/b/"]


@pytest.mark.parametrize(
    ("html", "raw"),
    [
        ("<img src=' a.png '>", ["a.png"]),
        ("<img srcset='a.png 1x,b.png'>", ["a.png", "b.png"]),
        ("<img srcset='a&#x2e;png&#32;1x&comma; b.png'>", ["a&#x2e;png", "b.png"]),
        ("<p style='a:url(&quot;b.png&quot;);c:image-set(\"d.png\" 1x)'>", ["b.png", "d.png"]),
        ("<p style='é:url(é.png)'>", ["é.png"]),
        ("<style>é{a:url( b.png )}</style>", ["b.png"]),
    ],
)
def test_span_is_the_raw_url(html: str, raw: list[str]) -> None:
    for data in (html, html.encode()):
        spans = [data[r.start : r.end] for r in find_references(data)]
        assert spans == [part.encode() if isinstance(data, bytes) else part for part in raw]


@pytest.mark.parametrize(
    ("html", "offset"),
    [
        (b"<head><title>a</title></head><body>", 22),
        (b"<head><!-- </head> --><script>'</head>'</script></HEAD\n>", 48),
        (b"<p title='</head>'>", None),
        (b"<title></head></title>", None),
        (b"", None),
    ],
)
def test_head_end(html: bytes, offset: int | None) -> None:
    assert head_end(html) == offset


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [("", 0, (1, 1)), ("ab", 1, (1, 2)), ("a\nb", 2, (2, 1)), ("a\r\nb", 3, (2, 1)), ("a\r\nb", 2, (1, 3)), ("a\rb\nc", 4, (3, 1))],
)  # fmt: skip
def test_position_counts_every_line_end(text: str, offset: int, expected: tuple[int, int]) -> None:
    assert position(text, offset) == position(text.encode(), offset) == expected


def test_unknown_media_type_has_no_references() -> None:
    assert find_references("<img src=a>", "text/plain") == []


def test_media_type_may_have_parameters() -> None:
    assert find_references("<img src=a>", "Text/HTML; charset=utf-8") != []
