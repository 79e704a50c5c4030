"""Sizes and boxes: documented examples, every way to fit, and the rules that ImageKit leaves open."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from s3img.errors import ImageError, ImageTooLarge, TransformError
from s3img.limits import Limits
from s3img.transform import Transform
from s3img.transform.geometry import Box, Hints, Plan, plan

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "transform" / "geometry.json").read_text("utf-8")
)


def planned(text: str, size: tuple[int, int]) -> Plan:
    """Return the plan of the last step."""
    return Transform.parse(text).plans(size)[-1]


def box(left: float, top: float, right: float, bottom: float) -> Box:
    return Box(*map(Fraction, (left, top, right, bottom)))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['source']}-{vector['tr']}")
def test_documented_examples_give_the_documented_size(vector: dict[str, Any]) -> None:
    hints = Hints.from_headers(vector.get("headers", {}))
    assert list(Transform.parse(vector["tr"]).output_size(tuple(vector["source"]), hints=hints)) == vector["size"]


@pytest.mark.parametrize("vector", [v for v in VECTORS if "box" in v], ids=lambda vector: vector["tr"])
def test_documented_examples_take_the_documented_region(vector: dict[str, Any]) -> None:
    assert planned(vector["tr"], tuple(vector["source"])).source == box(*vector["box"])


SCALED = [
    # transform, source, part taken, size of the result
    ("w-100,h-100", (300, 200), (50, 0, 250, 200), (100, 100)),
    ("w-100,h-100", (200, 301), (0, 50.5, 200, 250.5), (100, 100)),
    ("w-100,h-100,fo-left", (300, 200), (0, 0, 200, 200), (100, 100)),
    ("w-100,h-100,fo-bottom_right", (300, 200), (100, 0, 300, 200), (100, 100)),
    ("w-600,h-600", (300, 200), (50, 0, 250, 200), (600, 600)),
    ("w-100,h-100,c-force", (300, 200), (0, 0, 300, 200), (100, 100)),
    ("w-100,h-100,c-at_max", (300, 200), (0, 0, 300, 200), (100, 67)),
    ("w-900,h-900,c-at_max", (300, 200), (0, 0, 300, 200), (300, 200)),
    ("w-900,h-100,c-at_max", (300, 200), (0, 0, 300, 200), (150, 100)),
    ("w-900,h-900,c-at_max_enlarge", (300, 200), (0, 0, 300, 200), (900, 600)),
    ("w-100,h-100,c-at_least", (300, 200), (0, 0, 300, 200), (150, 100)),
    ("w-900,h-900,c-at_least", (300, 200), (0, 0, 300, 200), (1350, 900)),
    ("w-600,h-600,c-maintain_ratio_no_enlarge", (300, 200), (50, 0, 250, 200), (200, 200)),
    ("w-100,h-300,c-maintain_ratio_no_enlarge", (300, 200), (116, 0, 183, 200), (67, 200)),
    ("w-100,h-100,c-maintain_ratio_no_enlarge", (300, 200), (50, 0, 250, 200), (100, 100)),
    ("w-100,h-100,cm-extract", (300, 200), (100, 50, 200, 150), (100, 100)),
    ("w-100,h-100,cm-extract,fo-right", (300, 200), (200, 50, 300, 150), (100, 100)),
    ("w-100,h-100,cm-extract,x-10,y-20", (300, 200), (10, 20, 110, 120), (100, 100)),
    ("w-100,h-100,cm-extract,xc-60,yc-70", (300, 200), (10, 20, 110, 120), (100, 100)),
    ("w-100,h-100,cm-extract,x-iw_sub_100,y-0", (300, 200), (200, 0, 300, 100), (100, 100)),
    ("ar-1-1,w-100", (300, 200), (50, 0, 250, 200), (100, 100)),
    ("ar-iar,w-100,h-50", (300, 200), (0, 25, 300, 175), (100, 50)),
]


@pytest.mark.parametrize(("text", "size", "source", "output"), SCALED)
def test_a_step_takes_one_box_and_scales_it(text: str, size: Any, source: Any, output: Any) -> None:
    found = planned(text, size)
    assert (found.source, found.scaled, found.canvas, found.output) == (box(*source), output, output, output)


PADDED = [
    # transform, source, size of the picture on the canvas, its place, size of the result
    ("w-100,h-100,cm-pad_resize", (300, 200), (100, 67), (0, 16), (100, 100)),
    ("w-100,h-100,cm-pad_resize,fo-bottom", (300, 200), (100, 67), (0, 33), (100, 100)),
    ("w-100,h-100,cm-pad_resize,fo-top_right", (200, 300), (67, 100), (33, 0), (100, 100)),
    ("w-900,h-900,cm-pad_resize", (300, 200), (900, 600), (0, 150), (900, 900)),
    ("w-900,h-900,cm-pad_resize_no_enlarge", (300, 200), (300, 200), (300, 350), (900, 900)),
    ("w-100,h-100,cm-pad_resize_no_enlarge", (300, 200), (100, 67), (0, 16), (100, 100)),
    ("w-400,h-400,cm-pad_extract", (300, 200), (300, 200), (50, 100), (400, 400)),
    ("w-400,h-100,cm-pad_extract", (300, 200), (300, 100), (50, 0), (400, 100)),
    ("w-400,h-400,cm-pad_extract,fo-left", (300, 200), (300, 200), (0, 100), (400, 400)),
    ("w-100,h-100,cm-pad_extract,x-N20,y-150", (300, 200), (80, 50), (20, 0), (100, 100)),
    ("w-100,h-100,cm-pad_extract,xc-0,yc-0", (300, 200), (50, 50), (50, 50), (100, 100)),
    ("w-400,h-100,cm-pad_extract_no_shrink", (300, 200), (300, 200), (50, 0), (400, 200)),
    ("ar-1-1,cm-pad_resize", (300, 200), (300, 200), (0, 50), (300, 300)),
]


@pytest.mark.parametrize(("text", "size", "scaled", "offset", "output"), PADDED)
def test_a_step_pads_around_the_picture(text: str, size: Any, scaled: Any, offset: Any, output: Any) -> None:
    found = planned(text, size)
    assert (found.scaled, found.offset, found.canvas, found.pads) == (scaled, offset, output, True)


DECIDED = [
    # border adds to the size; an expression's border is rounded
    ("w-300,h-200,b-5_red", (600, 600), (310, 210)),
    ("b-iw_mul_0.02_red", (625, 100), (651, 126)),
    # turning: after scaling, quarter turns exact, other angles grow to the turned rectangle
    ("w-300,h-200,rt-90", (600, 600), (200, 300)),
    ("rt-N90", (640, 865), (865, 640)),
    ("rt-180", (640, 865), (640, 865)),
    ("rt-45", (100, 100), (141, 141)),
    ("rt-30", (200, 100), (223, 187)),
    ("b-10_red,rt-90", (100, 50), (70, 120)),
    # halves go up
    ("w-50", (100, 51), (50, 26)),
    ("w-iw_div_2", (601, 601), (301, 301)),
    # one pixel, never none
    ("w-1", (600, 400), (1, 1)),
    ("w-100", (6000, 1), (100, 1)),
    ("w-0.0001", (600, 400), (1, 1)),
    ("w-iw_div_9999", (600, 400), (1, 1)),
    # dpr: with shares and expressions; ignored as a whole when one side leaves 1 to 5000
    ("w-0.4,dpr-2", (600, 600), (480, 480)),
    ("w-iw_div_3,dpr-1.5", (600, 600), (300, 300)),
    ("w-2500,dpr-2", (6000, 6000), (5000, 5000)),
    ("w-2501,dpr-2", (6000, 6000), (2501, 2501)),
    ("w-100,h-3000,dpr-2", (6000, 6000), (100, 3000)),
    ("w-5,dpr-0.1", (600, 600), (5, 5)),
    ("dpr-2", (600, 600), (600, 600)),
    ("w-600,dpr-2,c-at_max", (800, 800), (800, 800)),
    # an extract ends at the picture's edges; a side that is not asked for is the picture's
    ("w-700,h-300,cm-extract", (600, 400), (600, 300)),
    ("w-300,h-300,cm-extract,x-500,y-0", (600, 400), (100, 300)),
    ("w-300,cm-extract", (600, 400), (300, 400)),
    ("h-500,cm-pad_extract", (600, 400), (600, 500)),
    # one side without a ratio: nothing to cut, the crop only says whether it may grow
    ("w-900,c-force", (600, 400), (900, 600)),
    ("w-900,cm-pad_resize", (600, 400), (900, 600)),
    ("w-900,c-maintain_ratio_no_enlarge", (600, 400), (600, 400)),
    ("h-900,c-at_max", (600, 400), (600, 400)),
    ("h-200,c-at_max", (600, 400), (300, 200)),
    # a ratio alone cuts, or pads
    ("ar-1-1", (600, 400), (400, 400)),
    ("ar-2-1", (600, 400), (600, 300)),
    ("ar-2-1,cm-pad_resize", (600, 400), (800, 400)),
    # shares and iw are of the source, cw of the picture that enters the step
    ("w-300:w-0.4", (600, 400), (240, 160)),
    ("w-300:w-cw_div_2", (600, 400), (150, 100)),
    ("w-300,h-300:w-car_mul_50", (600, 400), (50, 50)),
    # trimming depends on pixels: as if nothing was trimmed
    ("t-true,w-300", (600, 400), (300, 200)),
    ("w-300,orig-true", (600, 400), (600, 400)),
]


@pytest.mark.parametrize(("text", "size", "expected"), DECIDED)
def test_rules_that_imagekit_leaves_open(text: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert Transform.parse(text).output_size(size) == expected


@pytest.mark.parametrize(
    ("text", "hints", "expected"),
    [
        ("w-auto", Hints(), (1200, 800)),
        ("w-auto", Hints(width=200), (200, 133)),
        ("w-auto", Hints(width=201), (300, 200)),
        ("w-auto,dpr-2", Hints(width=300), (300, 200)),
        ("w-auto,h-100,dpr-auto", Hints(width=300, dpr=2), (300, 200)),
        ("w-auto,h-100,dpr-auto", Hints(dpr=2), (300, 200)),
        ("w-auto,ar-1-1", Hints(), (800, 800)),
        ("w-100,dpr-auto", Hints(), (100, 67)),
        ("w-100,dpr-auto", Hints(dpr=Fraction("2.625")), (263, 175)),
    ],
)
def test_client_hints_fill_in_auto(text: str, hints: Hints, expected: tuple[int, int]) -> None:
    assert Transform.parse(text).output_size((1200, 800), hints=hints) == expected


@pytest.mark.parametrize(
    ("headers", "hints"),
    [
        ({}, Hints()),
        ({"Sec-CH-DPR": "1.5", "Sec-CH-Width": "640"}, Hints(dpr=Fraction(3, 2), width=640)),
        ({"DPR": "2.0", "Width": "212"}, Hints(dpr=2, width=212)),
        ({"Sec-CH-DPR": "99", "Sec-CH-Width": "0"}, Hints(dpr=5)),
        ({"Sec-CH-DPR": "0", "Sec-CH-Width": "N5"}, Hints()),
        ({"Sec-CH-DPR": "nan", "Sec-CH-Width": "1e9"}, Hints()),
    ],
)
def test_senseless_hints_count_as_absent(headers: dict[str, str], hints: Hints) -> None:
    assert Hints.from_headers(headers) == hints


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("w-300,h-300,cm-extract,xc-10,yc-10", "leaves"),
        ("w-700,h-100,cm-extract,xc-300,yc-200", "leaves"),
        ("w-10,h-10,cm-extract,x-600,y-0", "outside"),
        ("w-10,h-10,cm-pad_extract,x-0,y-N10", "outside"),
        ("w-iw_sub_600", "w-iw_sub_600|iw_sub_600 is 0"),
        ("h-ih_sub_500", "ih_sub_500 is -100"),
        ("w-100,ar-iw_sub_700", "iw_sub_700"),
        ("b-iw_sub_601_red", "iw_sub_601"),
        ("w-100_div_iw_sub_iw", "-599.833"),
        ("w-iw_mod_ih_sub_400", "no value"),
    ],
)
def test_what_a_picture_can_not_do_is_an_error(text: str, words: str) -> None:
    with pytest.raises(TransformError, match=words):
        Transform.parse(text).output_size((600, 400))


@pytest.mark.parametrize(
    ("text", "size", "limit"),
    [
        ("w-20000,h-20000,c-force", (10, 10), "output_side"),
        ("w-60000", (10, 10), "output_side"),
        ("w-10", (10, 60_000), "output_side"),
        ("w-9000,h-9000", (10, 10), "output_pixels"),
        ("w-iw_pow_9", (600, 400), "output_side"),
        ("b-9000_red", (10, 10), "output_side"),
        ("rt-45", (16_000, 3_000), "output_pixels"),
        ("bl-10", (20_000, 10), "output_side"),
        ("f-webp", (20_000, 10), "output_side"),
        ("w-20000:w-10", (10, 10), "output_side"),
    ],
)
def test_results_above_a_limit_are_refused_by_its_name(text: str, size: tuple[int, int], limit: str) -> None:
    with pytest.raises(ImageTooLarge, match=f"limits.{limit}") as caught:
        Transform.parse(text).output_size(size)
    assert caught.value.limit == limit


def test_limits_are_those_of_the_caller() -> None:
    with pytest.raises(ImageTooLarge, match="100"):
        Transform.parse("w-101").output_size((600, 400), limits=Limits(output_side=100))


def test_an_untouched_original_has_no_limit() -> None:
    assert Transform.parse("orig-true").output_size((60_000, 10)) == (60_000, 10)


@pytest.mark.parametrize("text", ["", "w-300"])
@pytest.mark.parametrize("size", [(0, 5), (5, -1), (2**31, 5), (10**400, 5)])
def test_what_is_no_size_is_an_image_error(text: str, size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="sides"):
        Transform.parse(text).output_size(size)


@pytest.mark.parametrize(
    ("text", "radii"),
    [
        ("w-100", (0, 0, 0, 0)),
        ("r-20", (20, 20, 20, 20)),
        ("r-max", (50, 50, 50, 50)),
        ("r-99999", (50, 50, 50, 50)),
        ("b-5_red,r-max", (55, 55, 55, 55)),
        ("r-1_2_max_0", (1, 2, 50, 0)),
    ],
)
def test_radii_are_at_most_half_of_the_shorter_side(text: str, radii: Any) -> None:
    assert planned(text, (200, 100)).radii == radii


def test_a_step_that_changes_no_geometry_says_so() -> None:
    found = planned("bl-10", (200, 100))
    assert (found.resizes, found.crops, found.pads, found.border, found.output) == (False, False, False, 0, (200, 100))


def test_a_crop_at_the_pictures_own_scale_resamples_nothing() -> None:
    found = planned("w-600,h-600,c-maintain_ratio_no_enlarge", (300, 201))
    assert (found.resizes, found.crops, found.source.edges) == (False, True, (49.0, 0.0, 250.0, 201.0))


def test_plan_takes_the_size_after_trimming_and_the_source_for_shares() -> None:
    step = Transform.parse("t-true,w-0.5").steps[0]
    assert plan((400, 400), step, source=(600, 600)).output == (300, 300)
