"""The placeholder colour: one for a picture, whoever encoded or decoded it."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from sites import SVG, drawing, photo

from s3img.errors import ImageError, UnsupportedImage
from s3img.imaging import average_color


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "CMYK", "1"])
def test_plain_picture_is_its_colour(mode: str) -> None:
    picture = Image.new("RGB", (40, 30), (255, 255, 255)).convert(mode)
    assert average_color(encoded(picture, "TIFF")) == "#ffffff"


@pytest.mark.parametrize(
    ("colour", "shown"), [((200, 40, 40), "#cc2222"), ((8, 9, 128), "#001188"), ((0,) * 3, "#000000")]
)
def test_channels_have_sixteen_levels(colour: tuple[int, int, int], shown: str) -> None:
    assert average_color(encoded(Image.new("RGB", (64, 48), colour), "PNG")) == shown


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 70}), ("WEBP", {"quality": 60}), ("AVIF", {})])
def test_colour_does_not_depend_on_the_encoder(kind: str, options: dict[str, object]) -> None:
    picture = Image.open(io.BytesIO(photo(640, 480, seed=4)))
    assert average_color(encoded(picture, kind, **options)) == average_color(encoded(picture, "PNG"))


def test_transparent_px_do_not_count() -> None:
    assert average_color(drawing(60, 60)) == "#cc2222"
    assert average_color(encoded(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "PNG")) == "#ffffff"


def test_format_that_is_never_rendered_has_none() -> None:
    with pytest.raises(UnsupportedImage):
        average_color(SVG)


def test_truncated_picture_is_an_error() -> None:
    with pytest.raises(ImageError):
        average_color(photo(300, 200)[:3000])
