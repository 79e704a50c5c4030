"""Without a format of its own, a result is in the one that takes the fewest bytes."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFilter

from s3img.imaging import encode as encoders
from s3img.imaging import render, smallest
from s3img.transform import Transform
from s3img.transform.worthwhile import worthwhile

ACCEPTED = {
    "chrome": ("image/avif", "image/webp"),
    "older": ("image/webp",),
    "curl": (),
}


def scan() -> Image.Image:
    """Lines of text in black on white, as a scanner writes them."""
    page = Image.new("1", (700, 500), 1)
    draw = ImageDraw.Draw(page)
    for row in range(25):
        for word in range(7):
            draw.text((20 + word * 95, 12 + row * 19), ["invoice", "12.50", "No. 4711"][(row + word) % 3], fill=0)
    return page


def icon(side: int = 256) -> Image.Image:
    picture = Image.new("P", (side, side), 0)
    picture.putpalette([255, 255, 255, 20, 60, 160, 220, 40, 40])
    draw = ImageDraw.Draw(picture)
    for n in range(0, side, 16):
        draw.line((n, 0, side - 1 - n, side - 1), fill=1 + n // 16 % 2)
    return picture


def photo(width: int = 480, height: int = 320) -> Image.Image:
    noise = [Image.effect_noise((width, height), 70).filter(ImageFilter.GaussianBlur(2)) for _ in "RGB"]
    return Image.merge("RGB", noise)


def wheel() -> list[Image.Image]:
    frames = []
    for n in range(8):
        frame = Image.new("P", (128, 128), 0)
        frame.putpalette([255, 255, 255, 0, 0, 0, 200, 30, 30])
        draw = ImageDraw.Draw(frame)
        draw.pieslice((14, 14, 114, 114), 45 * n, 45 * n + 30, fill=1)
        draw.rectangle((60, 60, 68, 68), fill=2)
        frames.append(frame)
    return frames


def sources(make: Any) -> dict[str, bytes]:
    return {
        "scan": make.encode(scan(), "png"),
        "icon": make.encode(icon(), "png", optimize=True),
        "tiny": make.encode(icon(16), "png", optimize=True),
        "favicon": make.encode(photo(32, 32), "jpeg", quality=80),
        "flat": make.encode(Image.new("RGB", (300, 200), (200, 30, 40)), "gif"),
        "gradient": make.encode(Image.linear_gradient("L").convert("RGB"), "png"),
        "wheel": make.animate(wheel(), "gif", duration=80),
        "light": make.encode(photo(), "jpeg", quality=20),
    }


@pytest.mark.parametrize("text", ["", "f-auto", "w-100,c-at_max", "w-700,c-at_max"])
@pytest.mark.parametrize("name", ["scan", "icon", "tiny", "favicon", "flat", "gradient", "wheel", "light"])
def test_result_is_never_larger_than_what_a_simpler_client_gets(make: Any, name: str, text: str) -> None:
    source = sources(make)[name]
    made = {
        client: len(render(source, Transform.parse(text), profile="request", accept=accept).data)
        for client, accept in ACCEPTED.items()
    }
    assert made["chrome"] <= made["older"] <= made["curl"]
    if text in {"", "f-auto"}:
        assert made["curl"] <= len(source)


def test_source_that_is_smaller_is_sent_without_metadata(make: Any) -> None:
    source = make.encode(photo(), "jpeg", quality=10, comment=b"secret")
    result = render(source, Transform.parse("q-95"), accept=ACCEPTED["curl"])
    assert result.media_type == "image/jpeg"
    assert b"secret" not in result.data
    assert make.decode(result.data).tobytes() == make.decode(source).tobytes()


def test_source_of_another_size_or_look_is_never_the_result(make: Any) -> None:
    source = make.encode(photo(), "jpeg", quality=5)
    assert render(source, Transform.parse("w-479,q-95"), accept=ACCEPTED["chrome"]).width == 479
    grey = make.decode(render(source, Transform.parse("e-grayscale,q-95"), accept=ACCEPTED["chrome"]).data)
    assert all(low == high for low, high in zip(*grey.convert("RGB").resize((1, 1)).getextrema()[:2], strict=True))


def test_photograph_is_not_written_as_png(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    encode = smallest.encode

    def counted(picture: Image.Image, encoding: encoders.Encoding) -> bytes:
        written.append(encoding.format)
        return encode(picture, encoding)

    monkeypatch.setattr(smallest, "encode", counted)
    source = make.encode(photo(), "png")
    assert (
        render(source, Transform.parse("w-400"), profile="request", accept=ACCEPTED["chrome"]).media_type != "image/png"
    )
    assert "png" not in written


def test_format_that_is_asked_for_is_made_whatever_its_size(make: Any) -> None:
    source = make.encode(icon(), "png", optimize=True)
    assert render(source, Transform.parse("f-avif"), accept=ACCEPTED["chrome"]).media_type == "image/avif"


@pytest.mark.parametrize(
    ("sizes", "source", "expected"),
    [
        ({"avif": 5, "webp": 7, "jpeg": 9}, None, ["avif", "webp", "jpeg"]),
        ({"avif": 8, "webp": 7, "jpeg": 9}, None, ["webp", "jpeg"]),
        ({"avif": 9, "webp": 9, "png": 9}, None, ["png"]),
        ({"avif": 5, "webp": 7, "jpeg": 9}, 6, ["avif"]),
        ({"avif": 5, "jpeg": 9}, 5, []),
    ],
)
def test_formats_worth_having_are_smaller_than_all_plainer_ones(
    sizes: dict[str, int], source: int | None, expected: list[str]
) -> None:
    assert worthwhile(sizes, source=source) == expected
