"""Pixels of imgproxy's options, compared with turns and cuts that are made one after the other."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, ImageChops

from s3img.imaging import draw_processed
from s3img.imgproxy import OptionGrammar, Pipeline, ProcessingOptions
from s3img.imgproxy.box_geometry import position, turned_back
from s3img.imgproxy.processing_options import PLACES, CropArea, Gravity

ACROSS, DOWN = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM
TURNS = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
EXIF = {1: (0, False), 2: (0, True), 3: (180, False), 4: (180, True), 5: (90, True), 6: (90, False), 7: (270, True)}
EXIF[8] = (270, False)
GRAMMAR = OptionGrammar(allow_security_options=True)


def coordinates(width: int, height: int) -> Image.Image:
    """A picture whose px tell where they are."""
    picture = Image.new("RGB", (width, height))
    picture.putdata([(x * 4, y * 4, 7) for y in range(height) for x in range(width)])
    return picture


def turned(picture: Image.Image, degrees: int, *, across: bool, down: bool) -> Image.Image:
    picture = picture.transpose(TURNS[degrees]) if degrees else picture
    picture = picture.transpose(ACROSS) if across else picture
    return picture.transpose(DOWN) if down else picture


@pytest.mark.parametrize("orientation", EXIF)
def test_crop_is_that_of_stored_px_turned_afterwards(orientation: int) -> None:
    chance = random.Random(orientation)
    for _ in range(15):
        size = chance.randint(5, 60), chance.randint(5, 60)
        stored = coordinates(*size)
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = io.BytesIO()
        stored.save(file, "PNG", exif=exif)
        point = Gravity("fp", chance.random(), chance.random())
        gravity = chance.choice([point, Gravity(chance.choice(PLACES), chance.randint(-4, 9), chance.randint(-4, 9))])
        pipeline = Pipeline(
            crop=CropArea(chance.randint(1, 40), chance.randint(1, 40), gravity),
            rotate=chance.choice([0, 90, 180, 270]),
            flip_horizontal=chance.random() < 0.5,
            flip_vertical=chance.random() < 0.5,
            auto_rotate=chance.random() < 0.8,
        )
        angle, is_mirrored = EXIF[orientation] if pipeline.auto_rotate else (0, False)
        sides = int(pipeline.crop.width), int(pipeline.crop.height)
        across, down = sides[::-1] if (angle + pipeline.rotate) % 180 else sides
        across, down = min(across, size[0]), min(down, size[1])
        flips = {"across": pipeline.flip_horizontal, "down": pipeline.flip_vertical}
        there = turned_back(turned_back(gravity, pipeline.rotate, **flips), angle, across=is_mirrored, down=False)
        left, top = position(size, (across, down), there, 1.0)
        cut = stored.crop((left, top, left + across, top + down))
        expected = turned(turned(cut, angle, across=is_mirrored, down=False), pipeline.rotate, **flips)
        drawn = draw_processed(file.getvalue(), ProcessingOptions(pipelines=(pipeline,), format="png")).picture
        assert isinstance(drawn, Image.Image)
        assert drawn.size == expected.size
        assert drawn.convert("RGB").tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("options", "size"),
    [("t:10", (20, 10)), ("t:10::1", (30, 10)), ("t:10::0:1", (20, 20)), ("t:10:00f", (60, 40)), ("t:300", (60, 40))],
)
def test_edges_are_trimmed(options: str, size: tuple[int, int]) -> None:
    picture = Image.new("RGB", (60, 40), "white")
    picture.paste((200, 0, 0), (25, 20, 45, 30))
    file = io.BytesIO()
    picture.save(file, "PNG")
    drawn = draw_processed(file.getvalue(), GRAMMAR.parse(f"/{options}/f:png/plain/x").options).picture
    assert drawn.size == size  # type: ignore[union-attr] # a picture


def test_specks_and_thin_lines_are_no_picture_to_trim_to() -> None:
    """imgproxy's own trim takes a median of 3x3 px first."""
    picture = Image.new("RGB", (60, 40), "white")
    picture.paste((200, 0, 0), (25, 20, 45, 30))
    picture.putpixel((3, 3), (0, 0, 0))
    picture.paste((0, 0, 0), (0, 37, 60, 38))
    file = io.BytesIO()
    picture.save(file, "PNG")
    drawn = draw_processed(file.getvalue(), GRAMMAR.parse("/t:10/f:png/plain/x").options).picture
    assert drawn.size == (20, 10)  # type: ignore[union-attr] # a picture


@pytest.mark.parametrize(
    ("options", "blurred"),
    [
        ("ba:3:0:0:0.5:1", (0, 0, 20, 20)),
        ("rot:90/ba:3:0:0:0.5:1", (0, 0, 20, 20)),
        ("fl:1/ba:3:0:0:0.5:1", (20, 0, 40, 20)),
        ("c:20:20:we/ba:3:0.25:0:0.25:1", (10, 0, 20, 20)),
        ("w:80/el:1/ba:3:0:0.5:1:0.5", (0, 20, 80, 40)),
    ],
)
def test_blurred_area_turns_and_is_cut_with_the_picture(options: str, blurred: tuple[int, int, int, int]) -> None:
    picture = Image.new("L", (40, 20))
    picture.putdata([255 * ((x + y) % 2) for y in range(20) for x in range(40)])
    file = io.BytesIO()
    picture.save(file, "PNG")
    drawn = [
        draw_processed(file.getvalue(), GRAMMAR.parse(f"/{one}/f:png/plain/x").options).picture
        for one in (options, "/".join(part for part in options.split("/") if not part.startswith("ba:")) or "el:0")
    ]
    with_area, plain = drawn
    assert isinstance(with_area, Image.Image)
    assert isinstance(plain, Image.Image)
    assert ImageChops.difference(with_area.convert("L"), plain.convert("L")).getbbox() == blurred


def test_transparent_edges_are_trimmed_too() -> None:
    picture = Image.new("RGBA", (60, 40))
    picture.paste((0, 0, 0, 255), (25, 20, 45, 30))
    file = io.BytesIO()
    picture.save(file, "PNG")
    drawn = draw_processed(file.getvalue(), GRAMMAR.parse("/t:0/plain/x").options).picture
    assert drawn.size == (20, 10)  # type: ignore[union-attr] # a picture


def test_canvas_is_transparent_or_of_the_colour_asked_for() -> None:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(file, "PNG")
    for options, corner in (("", (0, 0, 0, 0)), ("/bg:00ff00", (0, 255, 0, 255))):
        drawn = draw_processed(file.getvalue(), GRAMMAR.parse(f"/pd:5{options}/f:png/plain/x").options).picture
        assert isinstance(drawn, Image.Image)
        assert drawn.size == (30, 20)
        assert drawn.convert("RGBA").getpixel((0, 0)) == corner
        assert drawn.convert("RGBA").getpixel((6, 6)) == (255, 0, 0, 255)
    jpeg = draw_processed(file.getvalue(), GRAMMAR.parse("/pd:5/f:jpg/plain/x").options).encode()
    assert min(Image.open(io.BytesIO(jpeg.data)).convert("L").getpixel((1, 1)), 255) > 240  # type: ignore[type-var] # one band
