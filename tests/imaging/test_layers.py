"""Layers on pixels: where they lie, how they are mixed in, what they are made of."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from s3img.config import Config
from s3img.errors import ImageError, ImageTooLarge, TransformError, UnsupportedImage
from s3img.images import Images
from s3img.imaging import probe, render
from s3img.limits import Limits
from s3img.transform import Transform

if TYPE_CHECKING:
    from pathlib import Path

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def png(image: Image.Image, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, options.pop("format", "PNG"), **options)
    return stream.getvalue()


def logo() -> bytes:
    """A square of 20 px, red and green, in a transparent margin of 10 px."""
    image = Image.new("RGBA", (40, 40))
    image.paste((*RED, 255), (10, 10, 20, 30))
    image.paste((*GREEN, 255), (20, 10, 30, 30))
    return png(image)


BASE = png(Image.new("RGB", (100, 50), BLUE))
INPUTS = {"logo.png": logo(), "block.png": png(Image.new("RGB", (10, 10), RED))}


def run(text: str, base: bytes = BASE, inputs: dict[str, bytes] | None = None, **settings: Any) -> Image.Image:
    result = render(base, Transform.parse(f"{text},f-png"), inputs=INPUTS if inputs is None else inputs, **settings)
    image = Image.open(BytesIO(result.data))
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def box(image: Image.Image, color: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Return the box of all px of one colour."""
    found = image.convert("RGB")
    bands = [
        band.point([255 * (level == value) for level in range(256)])
        for band, value in zip(found.split(), color, strict=True)
    ]
    mask = Image.merge("RGB", bands).convert("L").point([255 * (level == 255) for level in range(256)])
    return mask.getbbox()


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ("", (40, 15, 50, 35)),
        ("lfo-top_left", (0, 0, 10, 20)),
        ("lx-N5,ly-5", (75, 5, 85, 25)),
        ("lx-bw_mul_0.1,ly-bh_div_2", (10, 25, 20, 45)),
        ("lx-cw,ly-iw_div_8", (20, 5, 30, 25)),
        ("lxc-50,lyc-25", (40, 15, 50, 35)),
        ("lx-200,ly-0", (80, 0, 90, 20)),
        ("lx-N0,ly-N0", (80, 30, 90, 50)),
    ],
)
def test_layer_is_trimmed_and_lies_where_it_is_put(place: str, wanted: tuple[int, ...]) -> None:
    image = run(f"l-image,i-logo.png,{place},l-end")
    assert (image.mode, image.size) == ("RGB", (100, 50))
    assert box(image, RED) == wanted


def test_layer_keeps_its_margin_on_request() -> None:
    assert box(run("l-image,i-logo.png,t-false,lx-0,ly-0,l-end"), RED) == (10, 10, 20, 30)


def test_parameters_of_the_step_come_first_and_those_of_the_layer_are_its_own() -> None:
    image = run("w-50,l-image,i-block.png,w-5,lx-0,ly-0,l-end")
    assert image.size == (50, 25)
    assert box(image, RED) == (0, 0, 5, 5)


def test_layers_are_laid_in_their_order() -> None:
    text = "l-image,i-block.png,lx-0,ly-0,l-end,l-image,i-ik_canvas,bg-white,w-4,h-4,lx-0,ly-0,l-end"
    image = run(text)
    assert (image.getpixel((2, 2)), image.getpixel((7, 7))) == (WHITE, RED)


def test_expressions_are_of_the_parent_at_that_moment() -> None:
    text = "w-50:l-image,i-block.png,w-bw_div_2,h-bh,c-force,lx-0,ly-0:l-image,i-ik_canvas,bg-white,w-bw_div_5,lx-0,l-end,l-end"
    image = run(text)
    assert box(image, RED) == (5, 0, 25, 25)
    assert box(image, WHITE) == (0, 0, 5, 25)


def test_chain_of_a_layer_runs_from_left_to_right() -> None:
    image = run("l-image,i-logo.png,w-10:rt-90:w-20,lx-0,ly-0,l-end")
    assert image.getpixel((10, 3)) == RED
    assert image.getpixel((10, 16)) == GREEN


def test_transparent_layers_show_the_base() -> None:
    assert run("l-image,i-ik_canvas,bg-FF000050,l-end").getpixel((5, 5)) == (128, 0, 127)
    faded = run("l-image,i-block.png,o-50,lx-0,ly-0,l-end").getpixel((5, 5))
    assert all(abs(one - other) <= 2 for one, other in zip(faded, (128, 0, 127), strict=True))  # type: ignore[arg-type]


def test_base_keeps_its_transparency() -> None:
    base = png(Image.new("RGBA", (100, 50), (0, 0, 255, 0)))
    image = run("l-image,i-block.png,lx-0,ly-0,l-end", base)
    assert (image.getpixel((5, 5)), image.getpixel((50, 5))[3]) == ((*RED, 255), 0)  # type: ignore[index]


def test_modes_mix_layer_and_base() -> None:
    base = png(Image.new("RGB", (100, 50), (200, 100, 255)))
    spot = "i-block.png,lx-0,ly-0"
    assert run(f"l-image,{spot},lm-multiply,l-end", base).getpixel((5, 5)) == (200, 0, 0)
    assert run(f"l-image,{spot},lm-multiply,l-end", base).getpixel((50, 5)) == (200, 100, 255)
    cut = run(f"l-image,{spot},lm-cutout,l-end").getchannel("A")
    assert (cut.getpixel((5, 5)), cut.getpixel((50, 5))) == (0, 255)
    kept = run(f"l-image,{spot},lm-cutter,l-end").getchannel("A")
    assert (kept.getpixel((5, 5)), kept.getpixel((50, 5))) == (255, 0)


def test_a_chart_displaces_by_its_colours() -> None:
    base = Image.new("RGB", (100, 50), BLUE)
    base.paste(RED, (40, 20, 60, 30))
    inputs = {"map.png": png(Image.new("RGB", (8, 8), (255, 128, 0)))}
    still = {"map.png": png(Image.new("RGB", (8, 8), (128, 128, 0)))}
    assert box(run("l-image,i-map.png,lm-displace,lx-10,ly-10,l-end", png(base), inputs), RED) == (50, 20, 70, 30)
    assert box(run("l-image,i-map.png,lm-displace,lx-10,ly-10,l-end", png(base), still), RED) == (40, 20, 60, 30)


def test_every_frame_of_an_animation_gets_the_layer_and_a_layer_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (60, 40), color) for color in (BLUE, WHITE)]
    moving = png(frames[0], format="GIF", save_all=True, append_images=frames[1:], duration=50, loop=0)
    result = render(moving, Transform.parse("l-image,i-block.png,lx-0,ly-0,l-end,f-gif"), inputs=INPUTS)
    image = Image.open(BytesIO(result.data))
    shown = []
    for number in range(2):
        image.seek(number)
        shown.append((image.convert("RGB").getpixel((5, 5)), image.convert("RGB").getpixel((50, 30))))
    assert shown == [(RED, BLUE), (RED, WHITE)]
    assert run("l-image,i-a.gif,w-10,lx-0,ly-0,l-end", inputs={"a.gif": moving}).getpixel((5, 5)) == BLUE


def test_condition_inside_a_layer_looks_at_the_layer() -> None:
    text = "l-image,i-{},lx-0,ly-0:if-w_gt_15,w-6,if-end,l-end"
    assert box(run(text.format("block.png")), RED) == (0, 0, 10, 10)
    assert [run(text.format("logo.png")).getpixel((x, 3)) for x in (1, 4, 7)] == [RED, GREEN, BLUE]


def test_condition_chooses_before_pixels_are_decoded() -> None:
    assert run("if-ar_eq_2-1,w-20,if-else,w-30,if-end").size == (20, 10)


def test_a_missing_layer_is_named() -> None:
    with pytest.raises(TransformError, match=r"'gone\.png'"):
        run("l-image,i-gone.png,l-end")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", ImageError),
        (b"nothing", UnsupportedImage),
        (logo()[:60], ImageError),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedImage),
    ],
)
def test_a_bad_layer_is_named(data: bytes, error: type[ImageError]) -> None:
    with pytest.raises(error, match=r"Layer 'bad'"):
        run("l-image,i-bad,l-end", inputs={"bad": data})


def test_layers_count_towards_the_limits() -> None:
    with pytest.raises(ImageTooLarge, match="and its layers"):
        run("l-image,i-logo.png,l-end", limits=Limits(input_pixels=6000))
    with pytest.raises(ImageTooLarge, match="output_side"):
        run("l-image,i-ik_canvas,w-20000,l-end")
    with pytest.raises(ImageTooLarge, match="output_pixels"):
        run("l-image,i-block.png,w-9000,l-end")


def test_images_render_takes_inputs(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(logo())
    result = Images(Config()).render(BASE, "l-image,i-logo.png,l-end,f-png", inputs={"logo.png": tmp_path / "logo.png"})
    assert probe(result.data).width == 100
