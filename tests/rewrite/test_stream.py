from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3img.rewrite import Reference, Stream, TagEdit, rewrite

TOKENS = (
    "<img src=a.png>", "<img alt='>' srcset='a 1x, b 2x'/>", "<p style='b:url(c)'>", "</p>", "<svg>", "</svg>", "<path d=1 />",
    "<svg><path/></svg>", "<style>", "</style>", "<style>a{b:url(c)}</style>", "<script>", "</script>", "<!--", "-->", "--!>",
    "<![CDATA[", "]]>", "<title>", "</title>", "<desc>", "</desc>", "<foreignObject>", "</foreignObject>", "<image href=c />",
    "text", '"', "'", "=", "<math>", "</math>", "<mi>", "<noscript>", "</noscript>", "<textarea>", "</textarea>", "<picture>",
    "</picture>", "<!-- s3img:off -->", "<!-- s3img:on -->", "<base href=/b/>", "<a title='<img src=n>'>", "<", ">", "</", "<!",
    "<?x", "url(g)", "<b>", "</b>", "<div>", "</div>", "<plaintext>", "<link rel=icon href=i>", "<!doctype html>", "\0", "é", " ",
    "<script type=application/ld+json>{\"image\": \"j.png\"}</script>", "<a href=k.png>", "<!" + "-" * 70, "<script><!--",
)  # fmt: skip
PAGES = st.lists(st.sampled_from(TOKENS), max_size=25).map("".join).map(str.encode)
OPTIONAL = ("a href", "script json-ld")


def tell(reference: Reference) -> TagEdit | str:
    """Answer with all that a stream has to carry from one piece to the next."""
    tag = reference.tag
    if tag is None or not reference.kind.startswith("img"):
        return f"{reference.kind} {reference.base}"
    state = f"{tag.picture} {tag.noscript} {tag.off} {reference.base}"
    return TagEdit({"src": state, "alt": None, "new": ""}, before="<i>", after="</i>")


def streamed(data: bytes, cuts: list[int], **options: object) -> bytes:
    stream = Stream(tell, optional=OPTIONAL, **options)  # type: ignore[arg-type]
    ends = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return b"".join([*(stream.feed(data[low:high]) for low, high in pairwise(ends)), stream.finish()])


@settings(deadline=None)
@given(PAGES, st.lists(st.integers(0, 2000), max_size=12))
def test_any_cutting_gives_the_whole_document(data: bytes, cuts: list[int]) -> None:
    assert streamed(data, cuts) == rewrite(data, "text/html", tell, charset="utf-8", optional=OPTIONAL)


@settings(deadline=None)
@given(PAGES)
def test_byte_by_byte_gives_the_whole_document(data: bytes) -> None:
    whole = rewrite(data, "text/html", tell, charset="utf-8", optional=OPTIONAL)
    assert streamed(data, list(range(len(data)))) == whole


@settings(deadline=None)
@given(PAGES)
def test_unchanged_page_passes(data: bytes) -> None:
    stream = Stream(lambda _: None)
    assert stream.feed(data) + stream.finish() == data


def test_stream_sends_what_is_decided() -> None:
    stream = Stream(lambda _: "b")
    assert stream.feed(b"<p>text<img src=a><im") == b"<p>text<img src=b>"
    assert stream.feed(b"g src=a") == b""
    assert stream.feed(b">x") == b"<img src=b>x"
    assert stream.finish() == b""


@pytest.mark.parametrize("start", [b"<script>", b"<textarea>", b"<!-- ", b"<svg>", b"<plaintext>"])
def test_stream_passes_long_constructs_on(start: bytes) -> None:
    stream = Stream(lambda _: "b", max_hold=1000)
    out = [stream.feed(start)] + [stream.feed(b"x" * 100) for _ in range(100)]
    assert len(b"".join(out)) > 9000


@pytest.mark.parametrize("start", [b"<img alt='", b"<style>", b"<noscript>", b"<!doctype"])
def test_construct_above_max_hold_ends_rewriting(start: bytes) -> None:
    stream = Stream(lambda _: "b", max_hold=1000)
    data = start + b"x" * 2000 + b"'></style></noscript><img src=a>"
    out = stream.feed(b"<img src=a>") + stream.feed(data[:1500]) + stream.feed(data[1500:]) + stream.finish()
    assert out == b"<img src=b>" + data


@pytest.mark.parametrize("charset", ["utf-16", "utf-16be", "replacement", "nonsense"])
def test_unreadable_charset_passes(charset: str) -> None:
    stream = Stream(lambda _: "b", charset=charset)
    assert stream.feed(b"<img src=a>") + stream.finish() == b"<img src=a>"


def test_stream_in_a_wide_charset() -> None:
    page = '<p title="表"><img src="ソ.png">能'.encode("cp932")
    stream = Stream(lambda r: r.url + "?", charset="shift_jis")
    out = b"".join(stream.feed(page[at : at + 1]) for at in range(len(page))) + stream.finish()
    assert out.decode("cp932") == '<p title="表"><img src="ソ.png?">能'
