"""Shadow, gradient, tint, exchanged colours, distortion and backgrounds made from the picture."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageChops

from s3img.errors import TransformError
from s3img.imaging import render
from s3img.transform import Transform

WHITE, RED, BLUE = (255, 255, 255), (255, 0, 0), (0, 0, 255)


def rendered(image: Image.Image, text: str) -> Image.Image:
    stream = BytesIO()
    image.save(stream, "PNG")
    data = render(stream.getvalue(), Transform.parse(f"{text},f-png")).data
    return Image.open(BytesIO(data)).convert("RGBA")


def close(pixel: Any, wanted: tuple[int, ...], by: int = 4) -> bool:
    return all(abs(one - other) <= by for one, other in zip(pixel, wanted, strict=False))


@pytest.mark.parametrize(
    ("direction", "first", "last"),
    [
        ("", (50, 1), (50, 98)),
        ("ld-top_", (50, 98), (50, 1)),
        ("ld-90_", (1, 50), (98, 50)),
        ("ld-left_", (98, 50), (1, 50)),
        ("ld-bottom_right_", (1, 1), (98, 98)),
    ],
)
def test_gradient_runs_from_one_side_to_the_other(direction: str, first: Any, last: Any) -> None:
    result = rendered(Image.new("RGB", (100, 100)), f"e-gradient-{direction}from-red_to-blue")
    assert close(result.getpixel(first), RED, 8)
    assert close(result.getpixel(last), BLUE, 8)
    assert close(result.getpixel((50, 50)), (127, 0, 127), 8)


@pytest.mark.parametrize("stop", ["0.2", "20", "ih_div_5"])
def test_gradient_ends_at_its_stop(stop: str) -> None:
    result = rendered(Image.new("RGB", (60, 100)), f"e-gradient-from-red_to-blue_sp-{stop}")
    assert [close(result.getpixel((30, y)), BLUE) for y in (15, 22, 99)] == [False, True, True]


def test_gradient_to_transparent_shows_no_grey() -> None:
    result = rendered(Image.new("RGB", (20, 100), WHITE), "e-gradient")
    assert result.getextrema() == ((255, 255),) * 4


def test_colorize_mixes_in_the_colour_and_keeps_alpha() -> None:
    logo = Image.new("RGBA", (20, 10), (0, 200, 0, 255))
    logo.paste((0, 0, 0, 0), (0, 0, 10, 10))
    result = rendered(logo, "e-colorize-co-red")
    assert (result.getpixel((15, 5)), result.getpixel((5, 5))[3]) == ((*RED, 255), 0)
    assert close(rendered(logo, "e-colorize-co-red_in-50").getpixel((15, 5)), (127, 100, 0))


def test_a_named_colour_is_replaced_and_others_stay() -> None:
    flag = Image.new("RGB", (30, 10), RED)
    flag.paste(BLUE, (20, 0, 30, 10))
    result = rendered(flag, "cr-00AA00_20_FF0000")
    assert close(result.getpixel((5, 5)), (0, 170, 0))
    assert close(result.getpixel((25, 5)), BLUE)


def test_without_a_name_the_most_frequent_colour_is_replaced() -> None:
    flag = Image.new("RGB", (30, 10), RED)
    flag.paste(BLUE, (20, 0, 30, 10))
    result = rendered(flag, "cr-white_10")
    assert close(result.getpixel((5, 5)), WHITE)
    assert close(result.getpixel((25, 5)), BLUE)


def test_corners_move_to_their_places() -> None:
    result = rendered(Image.new("RGB", (100, 80), RED), "e-distort-p-20_10_80_10_100_80_0_80")
    assert result.size == (100, 80)
    inside = [(50, 12), (22, 14), (77, 14), (3, 78), (96, 78)]
    outside = [(50, 5), (10, 20), (90, 20)]
    assert [result.getpixel(place)[3] for place in inside] == [255] * 5
    assert [result.getpixel(place)[3] for place in outside] == [0] * 3


@pytest.mark.parametrize(("text", "end", "middle"), [("a-90", 1, 0), ("a-N90", 0, 1)])
def test_an_arc_bends_its_ends_down_or_up(text: str, end: int, middle: int) -> None:
    alpha = rendered(Image.new("RGB", (120, 30), RED), f"e-distort-{text}").getchannel("A")
    left, centre = alpha.crop((0, 0, 30, 30)).getbbox(), alpha.crop((55, 0, 65, 30)).getbbox()
    assert left
    assert centre
    assert (left[1] + left[3] > centre[1] + centre[3]) == bool(end and not middle)


def test_shadow_lies_under_what_can_be_seen_and_keeps_the_size() -> None:
    dot = Image.new("RGBA", (100, 100))
    dot.paste((*RED, 255), (30, 30, 60, 60))
    result = rendered(dot, "e-shadow-bl-2_st-60_x-10_y-10")
    assert result.size == (100, 100)
    assert result.getpixel((45, 45)) == (*RED, 255)
    assert close(result.getpixel((65, 65)), (0, 0, 0, 153))
    assert result.getpixel((20, 20))[3] == 0


def test_shadow_of_a_large_picture_is_refused() -> None:
    assert Transform.parse("w-1000,e-shadow").output_size((4000, 3000)) == (1000, 750)
    with pytest.raises(TransformError, match="2,000,000"):
        Transform.parse("e-shadow").output_size((4000, 3000))


def test_padding_is_filled_with_the_colour_of_the_edges() -> None:
    picture = Image.new("RGB", (100, 50), BLUE)
    picture.paste(RED, (20, 10, 80, 40))
    result = rendered(picture, "w-100,h-100,cm-pad_resize,bg-dominant")
    assert [close(result.getpixel((50, y)), BLUE, 8) for y in (2, 97)] == [True, True]


def test_padding_is_filled_with_the_blurred_picture() -> None:
    picture = Image.new("RGB", (100, 50), BLUE)
    picture.paste(RED, (0, 0, 50, 50))
    result = rendered(picture, "w-100,h-100,cm-pad_resize,bg-blurred")
    assert close(result.getpixel((5, 3)), RED, 30)
    assert close(result.getpixel((95, 3)), BLUE, 30)
    darker = rendered(picture, "w-100,h-100,cm-pad_resize,bg-blurred_20_N100")
    assert darker.getpixel((5, 3))[0] < 170
    middle = (0, 30, 100, 70)
    assert not ImageChops.difference(result.crop(middle), darker.crop(middle)).getbbox()


def test_padding_is_filled_with_a_gradient_of_the_pictures_colours() -> None:
    picture = Image.new("RGB", (100, 50), BLUE)
    picture.paste(RED, (0, 0, 30, 50))
    result = rendered(picture, "w-100,h-100,cm-pad_resize,bg-gradient_dominant")
    assert close(result.getpixel((50, 1)), BLUE, 20)
    assert close(result.getpixel((50, 98)), RED, 20)


@pytest.mark.parametrize("text", ["e-gradient", "e-colorize", "cr-red", "e-distort-a-20", "bg-dominant", "e-shadow"])
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA"])
def test_every_mode_can_be_drawn_on(text: str, mode: str) -> None:
    assert rendered(Image.radial_gradient("L").convert(mode).resize((9, 7)), text).size == (9, 7)
