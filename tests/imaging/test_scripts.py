"""Scripts of the world as Chromium sets them: letters joined, ordered and stacked in the same places.

The pictures in ``tests/data/fonts/chromium`` are the ink of a span of 48 px in the same fonts, made by
``python tests/support/script_references.py``.
"""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat, features

from s3img.imaging import render
from s3img.transform import Transform

FONTS = Path(__file__).parent.parent / "data" / "fonts"
CASES = {
    "arabic": ("السلام عليكم", "noto-sans-arabic-arabic-400-normal"),
    "devanagari": ("हिन्दी क्षत्रिय", "noto-sans-devanagari-devanagari-400-normal"),
    "emoji": ("🎉👩‍💻🇩🇪👍🏽", "noto-emoji-subset"),
    "hebrew": ("שלום עולם", "noto-sans-hebrew-subset"),
    "japanese": ("日本語、漢字。", "noto-sans-jp-subset"),
    "pointed": ("בְּרֵאשִׁית", "noto-sans-hebrew-subset"),
    "thai": ("สวัสดีที่นี่", "noto-sans-thai-thai-400-normal"),
}
MOST = 3.0
"""Mean difference of 255 levels, over 400 x 120 px of which letters cover less than a tenth: other smoothing, no other
letter. The same letters in another order give 7 and more."""
pytestmark = pytest.mark.skipif(not features.check("raqm"), reason="libfribidi is not installed")


def drawn(words: str, font: str) -> Image.Image:
    """Return the ink of a text of 48 px."""
    stream = BytesIO()
    Image.new("RGB", (400, 200), "white").save(stream, "PNG")
    text = base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")
    transform = Transform.parse(f"l-text,ie-{text},fs-48,ff-{font}.woff2,l-end,f-png")
    result = render(stream.getvalue(), transform, inputs={f"{font}.woff2": FONTS / f"{font}.woff2"})
    image = Image.open(BytesIO(result.data)).convert("L")
    return image.crop(ImageChops.invert(image).getbbox())


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference at the best of 25 places, up to 2 px away."""

    def on_sheet(image: Image.Image, place: tuple[int, int] = (2, 2)) -> Image.Image:
        sheet = Image.new("L", (400, 120), 255)
        sheet.paste(image, place)
        return sheet.filter(ImageFilter.GaussianBlur(1))

    reference = on_sheet(other)
    places = ((x, y) for x in range(5) for y in range(5))
    return min(ImageStat.Stat(ImageChops.difference(on_sheet(one, place), reference)).mean[0] for place in places)


@pytest.mark.parametrize("name", CASES)
def test_script_is_set_as_chromium_sets_it(name: str) -> None:
    words, font = CASES[name]
    ours, reference = drawn(words, font), Image.open(FONTS / "chromium" / f"{name}.png").convert("L")
    assert abs(ours.width - reference.width) <= 2
    assert abs(ours.height - reference.height) <= 2
    assert difference(ours, reference) < MOST


@pytest.mark.parametrize("name", ["arabic", "devanagari", "hebrew", "japanese", "thai"])
def test_other_letters_are_not_taken_for_the_reference(name: str) -> None:
    words, font = CASES[name]
    reference = Image.open(FONTS / "chromium" / f"{name}.png").convert("L")
    assert difference(drawn(words[::-1], font), reference) > 2 * MOST
