"""``pg-``: one frame of an animation, as a still picture and as a viewer shows it."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from s3img.errors import TransformError
from s3img.imaging import render
from s3img.transform import Transform

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def animation(kind: str, **options: object) -> bytes:
    """Return three frames of one colour each, 40x20 px."""
    frames = [Image.new("RGB", (40, 20), color) for color in COLORS]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100, **options)
    return out.getvalue()


def patched() -> bytes:
    """Return a GIF whose second frame is a patch over the first one, which stays around it."""
    frames = [Image.new("P", (40, 20), 0) for _ in range(2)]
    for frame in frames:
        frame.putpalette([255, 0, 0, 0, 255, 0])
    frames[1].paste(1, (10, 5, 20, 10))
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=100, optimize=False)
    return out.getvalue()


SOURCES = {
    "GIF": animation("GIF"),
    "WEBP": animation("WEBP", lossless=True),
    "PNG": animation("PNG"),
    "AVIF": animation("AVIF", quality=95),
}


def shown(data: bytes, transform: str, **inputs: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(render(data, Transform.parse(transform), inputs=inputs).data))
    assert getattr(picture, "n_frames", 1) == 1
    return picture.convert("RGB")


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_frame_is_a_still_picture(kind: str, number: int) -> None:
    picture = shown(SOURCES[kind], f"pg-{number},w-20,f-png")
    assert picture.size == (20, 10)
    pixel = picture.getpixel((9, 5))
    assert isinstance(pixel, tuple)
    assert max(abs(have - want) for have, want in zip(pixel, COLORS[number - 1], strict=True)) < 6


def test_frame_shows_what_those_before_it_have_left() -> None:
    picture = shown(patched(), "pg-2,f-png")
    assert [picture.getpixel(place) for place in ((1, 1), (15, 7))] == [(255, 0, 0), (0, 255, 0)]


def test_frame_of_a_source_keeps_no_animation_and_is_not_the_source() -> None:
    assert render(SOURCES["GIF"], Transform.parse("pg-1")).media_type == "image/gif"
    assert shown(SOURCES["GIF"], "pg-3").getpixel((1, 1)) == (0, 0, 255)
    assert shown(SOURCES["WEBP"], "w-20:pg-2,f-png").getpixel((1, 1)) == (0, 255, 0)  # wherever it stands
    assert shown(SOURCES["GIF"], "if-w_gt_9,pg-2,if-end,f-png").getpixel((1, 1)) == (0, 255, 0)


def test_layer_has_a_frame_of_its_own() -> None:
    picture = shown(SOURCES["GIF"], "pg-1,l-image,i-a,pg-3,t-false,w-10,lx-0,ly-0,l-end,f-png", a=SOURCES["GIF"])
    assert [picture.getpixel(place) for place in ((2, 2), (39, 19))] == [(0, 0, 255), (255, 0, 0)]


def test_page_of_a_tiff() -> None:
    tiff = animation("TIFF")
    assert [shown(tiff, f"pg-{number},f-png").getpixel((9, 5)) for number in (1, 2, 3)] == [*COLORS]
    with pytest.raises(TransformError, match="it has 3"):
        render(tiff, Transform.parse("pg-4"))


@pytest.mark.parametrize("kind", ["GIF", "JPEG"])
def test_frame_that_is_not_there_is_an_error(kind: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (9, 9)).save(out, kind)
    data = SOURCES.get(kind, out.getvalue())
    has = {"GIF": "3 frames", "JPEG": "one picture"}
    with pytest.raises(TransformError, match=f"There is no frame 4: the source has {has[kind]}") as caught:
        render(data, Transform.parse("w-9:pg-4"))
    assert caught.value.token == "pg-4"
    if kind != "GIF":
        assert render(data, Transform.parse("pg-1,f-png")).width == 9


@pytest.mark.parametrize("value", ["0", "3-4", "name-cover", "1.5", "N1", ""])
def test_ranges_and_names_of_pages_are_refused(value: str) -> None:
    expected = "a value of ImageKit" if value.startswith("name") else "needs another value: 1 to 9999"
    with pytest.raises(TransformError, match=expected):
        Transform.parse(f"pg-{value}")
