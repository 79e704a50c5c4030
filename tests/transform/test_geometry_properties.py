"""Laws of geometry, for any picture and any size asked for."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from s3img.errors import ImageTooLarge, TransformError
from s3img.limits import Limits
from s3img.transform import Transform
from s3img.transform.geometry import plan
from s3img.transform.steps import Crop, Focus, Step

sides = st.integers(1, 20_000)
sizes = st.tuples(sides, sides)
requests = st.none() | sides | st.fractions("0.001", "0.999")
steps = st.builds(
    Step,
    width=requests,
    height=requests,
    aspect_ratio=st.none() | st.fractions("0.01", 100, max_denominator=100),
    crop=st.sampled_from(get_args(Crop)),
    focus=st.sampled_from(get_args(Focus)),
    x=st.none() | st.integers(-99, 9999),
    yc=st.none() | st.integers(-99, 9999),
    dpr=st.fractions("0.1", 5, max_denominator=10),
    rotate=st.fractions(0, 359, max_denominator=4),
)
ROOMY = Limits(output_side=10**9, output_pixels=10**18)


@given(sizes, steps)
def test_boxes_lie_inside_the_picture_and_the_canvas(size: tuple[int, int], step: Step) -> None:
    with suppress(TransformError):
        found = plan(size, step, limits=ROOMY)
        box = found.source
        assert 0 <= box.left < box.right <= size[0]
        assert 0 <= box.top < box.bottom <= size[1]
        assert all(o >= 0 and o + s <= c for o, s, c in zip(found.offset, found.scaled, found.canvas, strict=True))


@given(sizes, steps)
def test_results_are_within_the_limits_or_refused(size: tuple[int, int], step: Step) -> None:
    with suppress(TransformError, ImageTooLarge):
        width, height = plan(size, step).output
        assert min(width, height) >= 1
        assert max(width, height) <= Limits().output_side
        assert width * height <= Limits().output_pixels


@given(sizes, sides, sides)
def test_a_crop_to_fill_never_distorts(size: tuple[int, int], width: int, height: int) -> None:
    box = plan(size, Step(width=width, height=height), limits=ROOMY).source
    assert Fraction(box.right - box.left) / (box.bottom - box.top) == Fraction(width, height)
    assert box.right - box.left == size[0] or box.bottom - box.top == size[1]


@given(sizes, sides, sides)
def test_at_max_fits_inside_and_never_enlarges(size: tuple[int, int], width: int, height: int) -> None:
    found = plan(size, Step(width=width, height=height, crop="at_max"), limits=ROOMY).output
    assert found[0] <= min(width, size[0])
    assert found[1] <= min(height, size[1])


@given(sizes, sides, sides)
def test_at_least_covers_with_one_side_equal(size: tuple[int, int], width: int, height: int) -> None:
    found = plan(size, Step(width=width, height=height, crop="at_least"), limits=ROOMY).output
    assert found[0] >= width
    assert found[1] >= height
    assert found[0] == width or found[1] == height


@given(sizes, sides)
def test_one_side_keeps_the_ratio_to_half_a_pixel(size: tuple[int, int], width: int) -> None:
    height = plan(size, Step(width=width), limits=ROOMY).output[1]
    exact = Fraction(size[1] * width, size[0])
    assert height == 1 or abs(height - exact) <= Fraction(1, 2)


@given(sizes, st.sampled_from([0, 90, 180, 270]))
def test_four_quarter_turns_lead_back(size: tuple[int, int], angle: int) -> None:
    step = Step(rotate=Fraction(angle))
    found = size
    for _ in range(4):
        found = plan(found, step, limits=ROOMY).output
    assert found == size


@given(sizes, st.fractions(0, 359, max_denominator=4))
def test_a_turned_canvas_has_at_least_the_pictures_area(size: tuple[int, int], angle: Fraction) -> None:
    width, height = plan(size, Step(rotate=angle), limits=ROOMY).output
    assert (width + 1) * (height + 1) >= size[0] * size[1]


@given(sizes, steps)
def test_the_canonical_step_has_the_same_geometry(size: tuple[int, int], step: Step) -> None:
    with suppress(TransformError):
        found = plan(size, step, limits=ROOMY)
        normal = Transform((step,)).steps or (Step(),)
        assert plan(size, normal[0], limits=ROOMY) == found
