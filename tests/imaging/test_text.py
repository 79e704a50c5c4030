"""Layers of text: lines, fonts, scripts that need shaping, and what is refused instead of drawn wrongly."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat, features

from s3img.errors import ImageTooLarge, TextError
from s3img.imaging import render, text, text_fonts
from s3img.imaging.text import lines_of
from s3img.transform import Transform

FONTS = Path(__file__).parent.parent / "data" / "fonts"
INPUTS: dict[str, bytes | Path] = {
    f"{name}.woff2": FONTS / f"noto-sans-{name}-{name}-400-normal.woff2" for name in ("arabic", "devanagari", "thai")
}
RED = (255, 0, 0)
shaped = pytest.mark.skipif(not features.check("raqm"), reason="libfribidi is not installed")


def base() -> bytes:
    stream = BytesIO()
    Image.new("RGB", (400, 200), (255, 255, 255)).save(stream, "PNG")
    return stream.getvalue()


BASE = base()


def encoded(words: str) -> str:
    return "ie-" + base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")


def run(words: str, style: str = "", *, inputs: Any = INPUTS) -> Image.Image:
    tokens = ",".join(filter(None, ["l-text", encoded(words), style, "l-end", "f-png"]))
    return Image.open(BytesIO(render(BASE, Transform.parse(tokens), inputs=inputs).data)).convert("RGB")


def ink(image: Image.Image) -> tuple[int, int, int, int]:
    """Return the box of all that is not white."""
    found = ImageChops.invert(image.convert("L")).getbbox()
    assert found
    return found


def size(image: Image.Image) -> tuple[int, int]:
    left, top, right, bottom = ink(image)
    return right - left, bottom - top


def test_text_is_trimmed_and_lies_where_it_is_put() -> None:
    left, top, *_ = ink(run("Hello", "lx-10,ly-20"))
    assert abs(left - 10) <= 1
    assert abs(top - 20) <= 1


def test_size_scales_the_letters() -> None:
    small, large = size(run("Hello", "fs-30")), size(run("Hello", "fs-60"))
    assert abs(large[0] - 2 * small[0]) <= 4
    assert size(run("Hello")) == size(run("Hello", "fs-45"))
    assert size(run("Hello", "fs-bw_div_20")) == size(run("Hello", "fs-20"))


def test_background_covers_text_and_padding() -> None:
    width, height = size(run("Hello", "fs-40"))
    box = size(run("Hello", "fs-40,bg-red,pa-10_30"))
    assert abs(box[0] - width - 60) <= 2
    assert abs(box[1] - height - 20) <= 2
    assert size(run("Hello", "bg-red,w-200"))[0] == 200


def test_lines_end_at_the_width() -> None:
    image = run("one two three four five", "fs-30,w-120,lx-0,ly-0")
    assert size(image)[0] <= 120
    assert size(image)[1] > 2 * size(run("one two three four five", "fs-30"))[1]
    assert size(run("one two three four five", "fs-30,w-120,lh-60"))[1] > size(image)[1]


@pytest.mark.parametrize(("align", "left"), [("left", 0), ("right", 60), ("center", 30)])
def test_shorter_lines_lie_as_asked(align: str, left: int) -> None:
    image = run("wwwwwwww\ni", f"fs-40,w-300,ia-{align},lx-0,ly-0,bg-FFFFFF")
    _, top, _, bottom = ink(image)
    lower = image.crop((0, (top + bottom) // 2 + 5, 400, 200))
    start = ink(lower)[0]
    assert {"left": start < 20, "center": 130 < start < 165, "right": start > 270}[align], left


def test_words_are_broken_only_where_nothing_else_helps() -> None:
    assert lines_of("aa bb cc", 5, len) == ["aa bb", "cc"]
    assert lines_of("aaaaaaa b", 3, len) == ["aaa", "aaa", "a b"]
    assert lines_of("a\n\nb", None, len) == ["a", "", "b"]
    assert lines_of("漢字漢字。漢", 4, len) == ["漢字漢", "字。漢"]
    assert lines_of("", 4, len) == [""]


def test_bold_italic_and_strikethrough_change_the_letters() -> None:
    def dark(style: str) -> float:
        return 255 - ImageStat.Stat(run("Hello", f"fs-80,{style}").convert("L")).mean[0]

    assert dark("tg-b") > 1.2 * dark("")
    assert dark("tg-strikethrough") > 1.05 * dark("")
    assert size(run("Hello", "fs-80,tg-i"))[0] > size(run("Hello", "fs-80"))[0]


def test_letters_of_central_europe_come_from_the_shipped_font_too() -> None:
    assert size(run("Łódź Köln", "fs-30"))[0] > 100


@shaped
@pytest.mark.parametrize(
    ("name", "words"), [("arabic", "السلام عليكم"), ("devanagari", "हिन्दी क्षत्रिय"), ("thai", "สวัสดีที่นี่")]
)
def test_scripts_look_as_in_the_reference_picture(name: str, words: str) -> None:
    image = run(words, f"fs-48,ff-{name}.woff2").convert("L")
    reference = Image.open(FONTS / f"{name}.png").convert("L")
    assert (
        ImageStat.Stat(ImageChops.difference(image, reference)).mean[0] < 2
    )  # another FreeType smooths a bit otherwise


def test_without_fribidi_a_script_is_refused_and_latin_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "has_shaping", lambda: False)
    with pytest.raises(TextError, match="libfribidi0"):
        run("السلام", "ff-arabic.woff2")
    assert size(run("Hello"))[0] > 50


@pytest.mark.parametrize(
    ("words", "style", "message"),
    [
        ("日本", "", r"U\+65E5"),
        ("Hello", "ff-Lato", "'Lato' has no file here.* Montserrat"),
        ("Hello", "ff-gone.ttf", r"'gone\.ttf' is not here"),
        ("Hello", "ff-bad.ttf", "not a font that can be read"),
        ("Hello", "fs-2001", "1 to 2000 px"),
    ],
)
def test_what_can_not_be_set_is_refused_by_name(words: str, style: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        run(words, style, inputs={"bad.ttf": b"nothing"})


def test_a_text_too_large_is_refused_before_it_is_drawn() -> None:
    with pytest.raises(ImageTooLarge, match="output_side"):
        run("w" * 30, "fs-2000")


def test_layer_turns_and_rounds_as_pictures_do() -> None:
    width, height = size(run("Hello", "bg-red,pa-20"))
    assert size(run("Hello", "bg-red,pa-20,rt-90")) == (height, width)
    rounded = run("Hello", "bg-red,pa-20,r-max,lx-0,ly-0")
    assert rounded.getpixel((0, 0)) == (255, 255, 255)
    assert rounded.getpixel((width // 2, 3)) == RED


@pytest.mark.slow
def test_a_long_word_in_a_narrow_column_is_measured_in_short_parts() -> None:
    measured = 0

    def length(line: str) -> int:
        nonlocal measured
        measured += len(line)
        return len(line)

    assert lines_of("w" * 2000, 1, length) == ["w"] * 2000
    assert measured < 20_000
    assert lines_of("w" * 2000, 700, length) == ["w" * 700, "w" * 700, "w" * 600]


@pytest.mark.parametrize("signature", [b"wOFF", b"wOF2"])
def test_a_font_that_becomes_huge_when_it_is_unpacked_is_refused_before(signature: bytes) -> None:
    small = (FONTS / "noto-sans-hebrew-subset.woff2").read_bytes()
    header = signature + small[4:16] + (400_000_000).to_bytes(4) + small[20:]
    with pytest.raises(ImageTooLarge, match="has more bytes"):
        run("Hello", "ff-bomb.woff2", inputs={"bomb.woff2": header})


def test_size_of_an_unpacked_font_is_also_that_of_its_tables() -> None:
    table = b"zzzz" + bytes(8) + (400_000_000).to_bytes(4) + bytes(4)
    font = b"wOFF" + bytes(8) + (1).to_bytes(2) + bytes(2) + (9).to_bytes(4) + bytes(24) + table
    assert text_fonts.unpacked_size(font) == 400_000_000
    assert text_fonts.unpacked_size(font[:50]) == 9
    assert text_fonts.unpacked_size(b"wOFF") == text_fonts.unpacked_size(b"OTTO" * 20) == 0
