from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.pictures.format_comparison import ImageCandidate
from s3img.pictures.markup import Picture, attributes, dimensions, pixels, sizes_of, srcset, surroundings
from s3img.pictures.variants import NEAR, collapse

SMALL, LARGE = ImageCandidate("a.w-320.jpg", 320, 9000), ImageCandidate("a.w-640.jpg", 640, 30000)


def picture(**changes: object) -> Picture:
    values: dict[str, object] = {
        "sources": {},
        "image": [SMALL, LARGE],
        "width": 1000,
        "height": 500,
        "layout_width": 0,
    }
    return Picture(**{**values, **changes})  # type: ignore[arg-type]


@given(st.sets(st.integers(1, 20_000), min_size=1), st.integers(1, 20_000))
def test_collapse_never_exceeds_the_limit_and_keeps_the_top(wanted: set[int], limit: int) -> None:
    widths = collapse(wanted, limit)
    assert widths[-1] == min(limit, max(wanted))
    assert all(a * NEAR < b for a, b in itertools.pairwise(widths))


@pytest.mark.parametrize(
    ("author", "found"),
    [
        ({}, {"width": "1000", "height": "500"}),
        ({"width": "300"}, {"height": "150"}),
        ({"height": "333"}, {"width": "666"}),
        ({"width": "300px"}, {"height": "150"}),
        ({"width": "50%"}, {}),
        ({"width": "300", "height": "300"}, {}),
        ({"width": "1"}, {"height": "1"}),
        ({"style": "max-height:9em"}, {}),
        ({"style": "width:50%"}, {"width": "1000", "height": "500"}),
        ({"style": "line-height:2;color:red"}, {"width": "1000", "height": "500"}),
    ],
)
def test_dimensions_come_as_a_pair(author: dict[str, str | None], found: dict[str, str]) -> None:
    assert dimensions(picture(sources={"webp": [SMALL]}), author) == found


@pytest.mark.parametrize(
    ("text", "px"),
    [
        ("300", 300),
        (" 300px ", 300),
        ("", 0),
        (None, 0),
        ("3.5", 0),
        ("-3", 0),
        ("auto", 0),
        ("9 of them", 9),
        ("50%", 0),
        ("9" * 30, 0),
    ],
)
def test_pixels_reads_whole_px_only(text: str | None, px: int) -> None:
    assert pixels(text) == px


@pytest.mark.parametrize(
    ("changes", "author", "sizes"),
    [
        ({}, {}, "auto, (min-width: 1000px) 1000px, 100vw"),
        ({"eager": True}, {}, "(min-width: 1000px) 1000px, 100vw"),
        ({"priority": True}, {}, "(min-width: 1000px) 1000px, 100vw"),
        ({"eager": True}, {"loading": "lazy"}, "auto, (min-width: 1000px) 1000px, 100vw"),
        ({"layout_width": 300}, {}, "auto, (min-width: 300px) 300px, 100vw"),
        ({"sizes": "50vw"}, {}, "auto, 50vw"),
        ({"layout": "full"}, {}, "auto, 100vw"),
        ({"layout": "fixed"}, {}, ""),
        ({}, {"sizes": "9vw"}, ""),
        ({}, {"width": "50%"}, "(min-width: 1000px) 1000px, 100vw"),
        ({"nested": True}, {}, "1000px"),
    ],
)
def test_sizes_has_auto_only_with_lazy_loading(
    changes: dict[str, object], author: dict[str, str | None], sizes: str
) -> None:
    assert sizes_of(picture(**changes), author) == sizes


def test_fixed_layout_uses_densities() -> None:
    assert srcset(picture(layout="fixed", layout_width=320), [SMALL, LARGE]) == "a.w-320.jpg 1x, a.w-640.jpg 2x"


def test_single_candidate_needs_no_srcset() -> None:
    found = attributes(picture(image=[LARGE]), {})
    assert (found["src"], "srcset" in found, "sizes" in found) == ("a.w-640.jpg", False, False)


def test_markup_is_escaped() -> None:
    before, after = surroundings(picture(sources={"webp": [ImageCandidate('a"&<.webp', 320, 1)]}), {}, media='(x: "y")')
    assert re.findall(r'"[^"]*"', before)[1:] == [
        '"image/webp"',
        '"a&quot;&amp;&lt;.webp 320w"',
        '"(x: &quot;y&quot;)"',
        '"auto, (min-width: 1000px) 1000px, 100vw"',
    ]
    assert after == "</picture>"


def test_sources_in_a_picture_of_the_authors_stand_alone() -> None:
    before, after = surroundings(picture(sources={"avif": [SMALL]}, nested=True), {})
    assert before.startswith('<source type="image/avif"')
    assert after == ""


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ({}, "s3img"),
        ({"width": "9"}, "s3img s3img-wide"),
        ({"height": "9"}, "s3img s3img-tall"),
        ({"width": "9%"}, "s3img s3img-plain"),
    ],
)
def test_wrapper_tells_the_style_sheet_which_sides_are_ours(author: dict[str, str | None], name: str) -> None:
    before, _ = surroundings(picture(sources={"webp": [SMALL]}), author)
    assert before.startswith(f'<picture class="{name}"><source ')


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ({}, "s3img-full"),
        ({"width": "9", "class": "a  b"}, "a b s3img-wide"),
        ({"height": "9", "width": "auto"}, "s3img-tall"),
        ({"width": "9%"}, None),
    ],
)
def test_image_without_sources_has_a_class_instead_of_a_wrapper(
    author: dict[str, str | None], name: str | None
) -> None:
    assert surroundings(picture(), author) == ("", "")
    assert attributes(picture(), author).get("class") == name


def test_img_markup_has_one_modern_format_and_a_plain_src() -> None:
    found = attributes(picture(sources={"avif": [SMALL], "webp": [ImageCandidate("a.webp", 320, 1)]}, markup="img"), {})
    assert (found["src"], found["srcset"], found["class"]) == ("a.w-640.jpg", "a.webp 320w", "s3img-full")


def test_bare_markup_has_no_size_but_a_density() -> None:
    webp = ImageCandidate("a.webp", 800, 1)
    found = attributes(picture(sources={"webp": [webp]}, markup="bare"), {})
    assert found == {"src": "a.w-640.jpg", "srcset": "a.webp 0.8x", "loading": "lazy", "decoding": "async"}
