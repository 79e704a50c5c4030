from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3img.rewrite import OPTIONAL_KINDS, Reference, find_references, head_end, position, rewrite

PIECES = st.sampled_from(
    "<img src=|<img srcset='a 1x, b'>|<p style=\"a:url(|)\">|<style>|</style>|<svg>|</svg>|<image href=|<!--|-->|<script>|"
    "</script>|&amp;|&#x2c;|&copy|\"|'|=|>|<|/|url(|image-set(|\\|a.png|é|😀| |\n|\0|\t|,|(|)|<noscript>|</noscript>|"
    "<title>|<![CDATA[|<math>|<base href=b>|<meta charset=gbk>|<meta charset=iso-2022-jp>|\x1b$B|\ud800".split("|")
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)
BYTES = st.one_of(st.binary(max_size=200), TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
MEDIA = st.sampled_from(["text/html", "text/css"])


@settings(deadline=None)
@given(st.one_of(BYTES, TEXTS), MEDIA)
def test_keeping_everything_returns_the_same_object(data: bytes | str, media_type: str) -> None:
    assert rewrite(data, media_type, lambda _: None) is data
    assert rewrite(data, media_type, lambda r: r.url) is data


@settings(deadline=None)
@given(st.one_of(BYTES, TEXTS), MEDIA)
def test_spans_are_valid_and_in_order(data: bytes | str, media_type: str) -> None:
    at = 0
    for reference in find_references(data, media_type, optional=OPTIONAL_KINDS):
        assert at <= reference.start < reference.end <= len(data)
        at = reference.end
        if reference.tag:
            assert reference.tag.start < reference.start
            assert at <= reference.tag.end


@settings(deadline=None)
@given(BYTES, st.sampled_from(["utf-8", "shift_jis", "gbk", "euc-jp", "iso-2022-jp", "windows-1252"]))
def test_only_the_spans_change(data: bytes, charset: str) -> None:
    found = find_references(data, charset=charset)
    ends = [0, *(reference.end for reference in found)]
    starts = [*(reference.start for reference in found), len(data)]
    kept = [data[low:high] for low, high in zip(ends, starts, strict=True)]
    assert rewrite(data, "text/html", lambda _: "n", charset=charset) == b"n".join(kept)


@settings(deadline=None)
@given(TEXTS, MEDIA)
def test_rewriting_is_idempotent(text: str, media_type: str) -> None:
    def replace(reference: Reference) -> str | None:
        return None if reference.url.startswith("https://x/") else "https://x/a&b"

    once = rewrite(text, media_type, replace)
    assert rewrite(once, media_type, replace) is once


@settings(deadline=None)
@given(BYTES)
def test_head_end_and_position_take_anything(data: bytes) -> None:
    offset = head_end(data)
    assert offset is None or data[offset : offset + 6].lower() == b"</head"
    assert position(data, len(data))[0] >= 1


@pytest.mark.parametrize(
    "data", [b"", b"<", b"<!", b"</", b"<!--", b"<![CDATA[", b"&", b"<img src", b"\xff\xfe", b"\xff\xfe<"]
)
def test_truncated_input_is_left_alone(data: bytes) -> None:
    assert rewrite(data, "text/html", lambda _: "b") is data


@settings(deadline=None)
@given(st.one_of(BYTES, TEXTS), MEDIA)
def test_references_found_before_are_rewritten_alike(data: bytes | str, media_type: str) -> None:
    found = find_references(data, media_type, optional=OPTIONAL_KINDS)
    chosen = {reference.start for reference in found[::2]}

    def replace(reference: Reference) -> str | None:
        return "new" if reference.start in chosen else None

    expected = rewrite(data, media_type, replace, optional=OPTIONAL_KINDS)
    assert rewrite(data, media_type, replace, optional=OPTIONAL_KINDS, found=found[::2]) == expected
