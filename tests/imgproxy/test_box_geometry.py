"""Sizes and places of imgproxy's results: its own expectations, and what always holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.imgproxy import OptionGrammar, Pipeline, plan_boxes
from s3img.imgproxy.box_geometry import position
from s3img.imgproxy.processing_options import PLACES, CropArea, Extend, Gravity, Padding

VECTORS = json.loads((Path(__file__).parent.parent / "data/imgproxy/imgproxy-sizes.json").read_text())["vectors"]
BOXES = json.loads((Path(__file__).parent.parent / "data/imgproxy/imgproxy-boxes.json").read_text())["vectors"]
GRAMMAR = OptionGrammar(allow_security_options=True)

SIDES = st.integers(1, 3000)
ASKED = st.integers(0, 3000)
GRAVITIES = st.one_of(
    st.builds(Gravity, st.sampled_from(PLACES), st.floats(-50, 50), st.floats(-50, 50)),
    st.builds(Gravity, st.just("fp"), st.floats(0, 1), st.floats(0, 1)),
)
PIPELINES = st.builds(
    Pipeline,
    resizing_type=st.sampled_from(["fit", "fill", "fill-down", "force", "auto"]),
    width=ASKED,
    height=ASKED,
    dpr=st.floats(0.1, 5),
    enlarge=st.booleans(),
    extend=st.builds(Extend, st.booleans(), GRAVITIES),
    gravity=GRAVITIES,
    crop=st.builds(CropArea, st.floats(0, 2000), st.floats(0, 1), st.one_of(st.none(), GRAVITIES)),
    padding=st.builds(Padding, st.integers(0, 50), st.integers(0, 50)),
    rotate=st.sampled_from([0, 90, 180, 270]),
    flip_horizontal=st.booleans(),
    flip_vertical=st.booleans(),
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["options"])
def test_size_is_what_imgproxy_expects(vector: dict[str, Any]) -> None:
    options = GRAMMAR.parse(f"/{vector['options']}/plain/x").options
    planned = plan_boxes((200, 100), 1, options.pipelines[0], max_dimension=options.max_result_dimension)
    assert planned.canvas == tuple(vector["size"])


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("rs:fill:300:50", (200, 50)),
        ("rs:fit:300:300/exar:1", (200, 200)),
        ("rs:fit:0:200/ex:1", (200, 200)),
        ("dpr:2/pd:20:30:40:10/el:1/rs:fit:200:100", (480, 320)),
        ("c:50:50/dpr:0.5", (25, 25)),
        ("rs:fill:26:100/dpr:2", (26, 100)),
        ("mw:300", (300, 150)),
        ("z:2/w:50", (100, 50)),
        ("rs:force:30", (30, 100)),
        ("car:1", (100, 100)),
        ("c:100:20/car:2.5", (50, 20)),
        ("c:100:20/car:2.5:1", (100, 40)),
        ("c:200:50/car:1:1", (100, 100)),
    ],
)
def test_size_of_a_picture_of_200_x_100(options: str, size: tuple[int, int]) -> None:
    pipeline = GRAMMAR.parse(f"/{options}/plain/x").options.pipelines[0]
    assert plan_boxes((200, 100), 1, pipeline).canvas == size


@given(SIDES, SIDES, st.integers(1, 8), PIPELINES)
def test_boxes_stay_inside_what_they_are_taken_from(
    width: int, height: int, orientation: int, pipeline: Pipeline
) -> None:
    planned = plan_boxes((width, height), orientation, pipeline)
    for (left, top, across, down), outer in ((planned.crop, planned.source), (planned.window, planned.scaled)):
        assert 0 <= left <= left + across <= outer[0]
        assert 0 <= top <= top + down <= outer[1]
        assert min(across, down) >= 1
    assert planned.offset[0] + planned.size[0] <= planned.canvas[0]
    assert planned.offset[1] + planned.size[1] <= planned.canvas[1]


@given(SIDES, SIDES, PIPELINES)
def test_nothing_grows_that_may_not(width: int, height: int, pipeline: Pipeline) -> None:
    planned = plan_boxes((width, height), 1, pipeline)
    if not pipeline.enlarge:
        assert planned.scaled[0] <= planned.crop[2]
        assert planned.scaled[1] <= planned.crop[3]


@given(SIDES, SIDES, PIPELINES, st.integers(100, 500))
def test_result_keeps_to_the_limit_of_its_sides(width: int, height: int, pipeline: Pipeline, most: int) -> None:
    planned = plan_boxes((width, height), 1, pipeline, max_dimension=most)
    assert max(planned.canvas) <= most + 3  # each length is rounded by itself, as in imgproxy


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((1089, 2544), "rs:force:2813:2/exar:1"),
        ((3, 3), "rs:fit:2407:2/z:3.56:1/exar:1/rot:90"),
        ((2, 1), "rs:fill-down:2:2977/z:1.45:1/exar:1/pd:30:45:0:0"),
    ],
)
def test_limit_holds_where_a_side_is_1_px(size: tuple[int, int], options: str) -> None:
    pipeline = GRAMMAR.parse(f"/{options}/plain/x").options.pipelines[0]
    assert max(plan_boxes(size, 1, pipeline, max_dimension=300).canvas) <= 302


@given(SIDES, SIDES, PIPELINES)
def test_four_quarter_turns_leave_the_size(width: int, height: int, pipeline: Pipeline) -> None:
    stored = plan_boxes((width, height), 6, pipeline)
    upright = plan_boxes((height, width), 1, pipeline)
    assert stored.canvas == upright.canvas
    assert stored.source == upright.source


@pytest.mark.parametrize(
    ("gravity", "place"),
    [
        (Gravity("no"), (76, 0)),
        (Gravity("soea", 10, 20), (140, 30)),
        (Gravity("ce"), (76, 26)),
        (Gravity("fp", 1, 0), (150, 0)),
        (Gravity("we", 0.1), (20, 26)),
    ],
)
def test_place_of_a_window_of_50_x_50_in_200_x_100(gravity: Gravity, place: tuple[int, int]) -> None:
    assert position((200, 100), (50, 50), gravity, 1.0) == place


def test_length_that_the_limit_makes_less_than_a_pixel_still_cuts() -> None:
    pipeline = Pipeline(resizing_type="fill", width=201, height=1, enlarge=True)
    assert plan_boxes((3, 200), 1, pipeline, max_dimension=100).canvas == (100, 1)


@pytest.mark.parametrize("part", range(8))
def test_boxes_are_those_of_imgproxys_own_arithmetic(part: int) -> None:
    for stored, orientation, options, scaled, window, canvas, offset in BOXES[part::8]:
        read = GRAMMAR.parse(f"/{options}/plain/x").options
        most = read.max_result_dimension
        planned = plan_boxes(tuple(stored), orientation, read.pipelines[0], max_dimension=most)
        found = [planned.scaled, planned.window, planned.canvas, planned.offset]
        assert [[*box] for box in found] == [scaled, window, canvas, offset], (stored, orientation, options)
