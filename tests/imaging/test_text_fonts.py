"""Fonts of texts: emoji in colour, weights of variable fonts, letters that one of several fonts has.

``noto-color-emoji-bitmaps.ttf`` (CBDT), ``noto-color-emoji-layers.woff2`` (COLR 1) and ``montserrat-variable-subset.woff2``
are subsets made with fontTools. ``layers-version-0.ttf`` is made of squares: U+1F534 is a blue one on a red one (COLR 0)
with an outline as well, U+1F535 the same without, U+25A0 an outline only.
"""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat, features

from s3img.errors import TextError
from s3img.imaging import render, text
from s3img.imaging.text import lines_of
from s3img.imaging.text_fonts import clusters, load_font, strikes_of
from s3img.transform import Transform

FONTS = Path(__file__).parent.parent / "data" / "fonts"
BITMAPS, LAYERS, SQUARES = "noto-color-emoji-bitmaps.ttf", "noto-color-emoji-layers.woff2", "layers-version-0.ttf"
VARIABLE, HEBREW = "montserrat-variable-subset.woff2", "noto-sans-hebrew-subset.woff2"
FAMILY, FLAG, THUMB, KEYCAP = "👩\u200d💻", "🇩🇪", "👍🏽", "1\ufe0f\u20e3"
shaped = pytest.mark.skipif(not features.check("raqm"), reason="libfribidi is not installed")


def drawn(words: str, font: str, style: str = "fs-40", *, data: bytes = b"") -> Image.Image:
    """Return the ink of a text, on white; ``data`` is a font of the test's own."""
    stream = BytesIO()
    Image.new("RGB", (800, 300), "white").save(stream, "PNG")
    encoded = base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")
    transform = Transform.parse(f"l-text,ie-{encoded},ff-{font},{style},l-end,f-png")
    result = render(stream.getvalue(), transform, inputs={font: data or FONTS / font})
    image = Image.open(BytesIO(result.data)).convert("RGB")
    return image.crop(ImageChops.invert(image.convert("L")).getbbox())


def color_count(image: Image.Image) -> int:
    """Return the number of px whose channels differ by more than a smoothed edge of black letters does."""
    red, green, blue = image.split()
    spread = ImageChops.subtract(
        ImageChops.lighter(ImageChops.lighter(red, green), blue), ImageChops.darker(ImageChops.darker(red, green), blue)
    )
    return sum(spread.histogram()[40:])


def ink(image: Image.Image) -> float:
    """Return how dark a picture is in all."""
    return (255 - ImageStat.Stat(image.convert("L")).mean[0]) * image.width * image.height


def test_emoji_of_bitmaps_have_their_colours_at_every_size() -> None:
    large, small = drawn("🎉", BITMAPS, "fs-80"), drawn("🎉", BITMAPS, "fs-20")
    assert color_count(large) > 1000
    assert abs(large.width - 4 * small.width) <= 5
    assert abs(large.height - 4 * small.height) <= 5
    enlarged = drawn("🎉", BITMAPS, "fs-200")
    assert abs(enlarged.width - 2.5 * large.width) <= 6


@shaped
@pytest.mark.parametrize("sign", [FAMILY, FLAG, THUMB, KEYCAP])
def test_emoji_of_several_letters_are_one_picture(sign: str) -> None:
    assert abs(drawn(sign, BITMAPS).width - drawn("💻", BITMAPS).width) < 12
    assert color_count(drawn(sign, BITMAPS)) > 200


def test_letters_beside_emoji_come_from_open_sans_in_the_colour_of_the_text() -> None:
    image = drawn("Hi 🎉 1", BITMAPS, "fs-60,co-FF00FF")
    letters = image.crop((0, 0, 60, image.height))
    red, green, blue = letters.split()
    assert not ImageChops.difference(red, blue).getbbox()
    assert green.getextrema() == (0, 255)
    last = image.crop((image.width - 15, 0, image.width, image.height)).split()
    assert not ImageChops.difference(last[0], last[2]).getbbox()  # the digit is not that of a keycap
    assert color_count(image) > color_count(letters) + 1000


def test_emoji_are_as_opaque_as_their_text() -> None:
    opaque, faint = drawn("🎉", BITMAPS, "fs-80,co-000000"), drawn("🎉", BITMAPS, "fs-80,co-00000030")
    assert ink(faint) == pytest.approx(0.3 * ink(opaque), rel=0.05)


def test_edges_of_emoji_do_not_take_the_colour_of_the_text() -> None:
    black, green = (drawn("🎉", BITMAPS, f"fs-80,co-{color}") for color in ("black", "00FF00"))
    assert ImageStat.Stat(ImageChops.difference(black, green)).mean == [0, 0, 0]


def test_bold_text_keeps_emoji_as_they_are() -> None:
    assert not ImageChops.difference(drawn("🎉", BITMAPS), drawn("🎉", BITMAPS, "fs-40,tg-b")).getbbox()


def test_layers_with_an_outline_have_their_colours() -> None:
    image = drawn("🔴", SQUARES)
    assert image.size == (40, 40)
    assert image.getpixel((3, 3)) == (255, 0, 0)
    assert image.getpixel((20, 20)) == (0, 0, 255)
    assert drawn("■", SQUARES, "fs-40,co-green").getpixel((20, 20)) == (0, 128, 0)


@pytest.mark.parametrize(("sign", "font"), [("🎉", LAYERS), ("🔵", SQUARES), ("🎉", HEBREW)])
def test_emoji_that_can_not_be_drawn_are_refused_with_what_can(sign: str, font: str) -> None:
    with pytest.raises(
        TextError, match=r"bitmaps \(CBDT\), or layers with an outline \(COLR 0\).*NotoColorEmoji"
    ) as error:
        drawn(sign, font)
    assert error.value.status == 400


def test_emoji_of_several_letters_need_fribidi_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "has_shaping", lambda: False)
    with pytest.raises(TextError, match="libfribidi0"):
        drawn(FAMILY, BITMAPS, "fs-41")  # another size than elsewhere: layers are kept
    assert color_count(drawn("🎉", BITMAPS, "fs-41")) > 200


def test_a_mark_that_a_font_has_not_is_not_drawn_as_a_box() -> None:
    with pytest.raises(TextError, match=r"U\+0363, COMBINING LATIN SMALL LETTER A"):
        drawn("a\u0363", VARIABLE)


def test_a_blank_that_no_font_has_is_a_plain_one() -> None:
    assert not ImageChops.difference(drawn("H\u3000H", VARIABLE), drawn("H H", VARIABLE)).getbbox()
    single = drawn("H", VARIABLE)
    image = drawn("H H", VARIABLE)
    assert not ImageChops.invert(image.crop((single.width + 1, 0, image.width - single.width - 1, 28))).getbbox()


def test_a_variable_font_is_regular_and_bold_by_its_weights() -> None:
    regular, bold = drawn("Hello", VARIABLE, "fs-80"), drawn("Hello", VARIABLE, "fs-80,tg-b")
    thinnest = load_font((FONTS / VARIABLE).read_bytes(), 80)
    assert thinnest.get_variation_axes()[0]["default"] == 100
    for weight, image in ((400, regular), (700, bold)):
        thinnest.set_variation_by_axes([weight])
        sheet = Image.new("L", (300, 120))
        ImageDraw.Draw(sheet).text((20, 20), "Hello", 255, thinnest)
        left, _, right, _ = sheet.getbbox()
        assert abs(image.width - (right - left)) <= 1
    assert ink(bold) > 1.3 * ink(regular)


def test_signs_stay_whole_where_lines_end() -> None:
    assert clusters(f"a\u0301{FAMILY}{FLAG}{THUMB}{KEYCAP}x") == ["a\u0301", FAMILY, FLAG, THUMB, KEYCAP, "x"]
    assert lines_of(FAMILY + THUMB + FLAG, 3, len) == [FAMILY, THUMB, FLAG]
    assert lines_of("a\u0301" * 3, 4, len) == ["a\u0301a\u0301", "a\u0301"]


def test_a_letter_under_hundreds_of_marks_is_asked_for_in_short_parts() -> None:
    assert max(map(len, clusters("a" + "\u0301" * 1999))) <= 16
    assert "".join(clusters("a" + "\u0301" * 99)) == "a" + "\u0301" * 99


def test_sizes_of_bitmaps_are_read_from_the_font() -> None:
    assert strikes_of((FONTS / BITMAPS).read_bytes(), 40) == [109]
    assert strikes_of(b"wOF2" + bytes(60), 110)[:2] == [128, 136]
    broken = b"\0\1\0\0\0\1" + bytes(6) + b"CBLC" + bytes(4) + (28).to_bytes(4) + b"\xff" * 4 + bytes(4) + b"\xff" * 4
    assert strikes_of(broken, 32)[0] == 32


def patched(name: str, *places: tuple[bytes, int, bytes]) -> bytes:
    """Return a font with other bytes at offsets of its tables."""
    font = bytearray((FONTS / name).read_bytes())
    for table, offset, data in places:
        at = int.from_bytes(font[font.index(table, 12) + 8 :][:4]) + offset
        font[at : at + len(data)] = data
    return bytes(font)


NARROW_EM = (b"head", 18, b"\0\x10")
HUGE_PICTURE = (FONTS / BITMAPS).read_bytes().replace(b"IHDR\0\0", b"IHDR\0\1", 1)
BDF = b"""STARTFONT 2.1
FONT x
SIZE 32 72 72
FONTBOUNDINGBOX 8 8 0 0
CHARS 1
STARTCHAR A
ENCODING 65
SWIDTH 500 0
DWIDTH 8 0
BBX 8 8 0 0
BITMAP
FF
FF
FF
FF
FF
FF
FF
FF
ENDCHAR
ENDFONT
"""


@pytest.mark.parametrize(
    ("font", "sign", "message"),
    [
        (patched(BITMAPS, NARROW_EM, (b"hmtx", 0, b"\xff" * 400)), "🎉", "px wide in its font of 109 px, too large"),
        (patched(SQUARES, NARROW_EM), "\u25a0", "A letter of the font 'own.ttf' can't be drawn: "),
        (HUGE_PICTURE, "🎉", "has pictures above 1024 px a side"),
        (b"wOFF" + bytes(8) + b"\0\1" + bytes(30) + b"sbix" + bytes(16), "A", "or a packed table sbix"),
        (b"wOF2" + bytes(8) + b"\0\2" + bytes(34) + b"\x0a\x81\0\5\x25\3", "A", "or a packed table sbix"),
        (BDF, "A", "'own.ttf' is not a font that can be read"),
    ],
    ids=["wide letter", "large letter", "large picture", "woff", "woff2", "another kind"],
)
def test_a_hostile_font_is_refused_before_it_takes_memory(font: bytes, sign: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        drawn(sign, "own.ttf", data=font)
