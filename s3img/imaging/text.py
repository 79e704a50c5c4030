"""Draw texts: fonts, lines, and the shapes that scripts need.

Pillow's Raqm layout joins Arabic, orders right-to-left text and forms conjuncts, with HarfBuzz and FriBidi. FriBidi is
looked for when Pillow is loaded; where it is not installed, texts that need it are refused: letters that stand alone or
in the wrong order are wrong, and nobody would be told.
"""

from __future__ import annotations

import math
import unicodedata
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from PIL import Image, ImageDraw, ImageFont, features

from s3img.errors import TextError
from s3img.imaging.probing import opened, too_large
from s3img.transform.geometry import check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s3img.imaging.decode import RenderDeadline
    from s3img.imaging.probing import ImageSource
    from s3img.limits import Limits
    from s3img.transform.overlays import Align, Text

MAX_FONT_BYTES: Final = 32_000_000
MAX_FONT_SIZE: Final = 2_000
"""Px; every letter of a font may be as large as its file says in units of this."""

_WOFF_HEADER: Final = 44
_FOLDER: Final = Path(__file__).with_name("fonts")
_SCRIPTS: Final = ("latin", "latin-ext")
"""The files of Open Sans that are shipped (SIL Open Font License, ``fonts/OFL.txt``)."""
_NAMED: Final = frozenset({"", "OpenSans"})
_COMPLEX: Final = ((0x0590, 0x109F), (0x1780, 0x17FF), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFC))
"""First and last character of ranges whose letters change with their neighbours, or run from right to left."""
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn"})
_UNBROKEN: Final = frozenset(map(chr, (0x3001, 0x3002, 0xFF0C, 0xFF0E, 0xFF1A, 0xFF1B, 0xFF1F, 0xFF01, 0x300D, 0xFF09)))
"""Ideographic commas, stops, marks and closing brackets, which may not begin a line (UAX 14, classes CL and NS)."""


class TextStyle(msgspec.Struct, frozen=True):
    """A text's lengths in px, with all expressions worked out; ``width`` None: lines end where the text does."""

    size: int
    width: int | None
    padding: tuple[int, int, int, int]
    line_height: int | None


def needs_shaping(text: str) -> bool:
    """Tell whether a text has letters that only Raqm sets right."""
    return any(first <= ord(letter) <= last for letter in text for first, last in _COMPLEX)


def has_shaping() -> bool:
    """Tell whether Pillow found what Raqm needs."""
    return bool(features.check("raqm"))


def load_font(data: bytes, size: int) -> ImageFont.FreeTypeFont:
    """Open a font of ``size`` px, with the best layout that there is; raise what FreeType raises."""
    layout = ImageFont.Layout.RAQM if has_shaping() else ImageFont.Layout.BASIC
    return ImageFont.truetype(BytesIO(data), size, layout_engine=layout)


def fonts_of(text: Text, size: int, inputs: Mapping[str, ImageSource]) -> tuple[ImageFont.FreeTypeFont, ...]:
    """Return the fonts to take letters from, the first one that has each; raise TextError for one that is not there."""
    weight = 700 if text.bold else 400
    files = (_FOLDER / f"open-sans-{script}-{weight}-normal.woff2" for script in _SCRIPTS)
    default = tuple(load_font(file.read_bytes(), size) for file in files)
    if text.font in _NAMED:
        return default
    source = inputs.get(text.font_key)
    if source is None:
        message = f"The font {text.font!r} is not here; of the names, only OpenSans is, and those in the setting fonts."
        raise TextError(message, token=f"ff-{text.font}", suggestion="ff-OpenSans, or ff- and the key of a font's file")
    with opened(source) as file:
        data = file.read(MAX_FONT_BYTES + 1)
    # FreeType unpacks a WOFF as a whole: 400 KB of zeros became 400 MB.
    if max(len(data), unpacked_size(data)) > MAX_FONT_BYTES:
        raise too_large("input_bytes", f"The font {text.font!r} has more bytes", MAX_FONT_BYTES)
    try:
        own = load_font(data, size)
    except Exception as error:  # FreeType says no more than that it could not be opened
        message = f"{text.font!r} is not a font that can be read: write a TTF, OTF, WOFF or WOFF2."
        raise TextError(message, token=f"ff-{text.font}") from error
    return own, *default


def unpacked_size(font: bytes) -> int:
    """Return the bytes of a WOFF or WOFF2 when unpacked, as its header and its tables state them; 0 for other fonts.

    (WOFF 1.0, 4 and 5; WOFF 2.0, 5.1. FreeType refuses a WOFF whose tables are larger than they state.)
    """
    if font[:4] not in {b"wOFF", b"wOF2"} or len(font) < _WOFF_HEADER:
        return 0
    stated = int.from_bytes(font[16:20])
    if font[:4] == b"wOF2":
        return stated
    count = int.from_bytes(font[12:14])
    tables = font[_WOFF_HEADER : _WOFF_HEADER + 20 * count]
    return max(stated, sum(int.from_bytes(tables[at + 12 : at + 16]) for at in range(0, len(tables) - 19, 20)))


def has_letter(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    """Tell whether a font has a letter, and not only a box that stands for those it has not."""
    drawn, missing = font.getmask(letter), font.getmask("\U0010fffe")
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)


class TextSetter:
    """Measure and draw lines of text with the first of some fonts that has each letter."""

    def __init__(self, fonts: Sequence[ImageFont.FreeTypeFont], *, bold: int) -> None:
        self._fonts = fonts
        self._stroke = bold
        self._shown: dict[tuple[int, str], bool] = {}

    def runs(self, line: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        """Split a line into parts of one font each; raise TextError for letters that no font has."""
        numbers = range(len(self._fonts))
        whole = next((number for number in numbers if all(self._shows(number, letter) for letter in line)), None)
        if whole is not None:
            return [(self._fonts[whole], line)]
        if any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in line):
            message = "No font has all letters of a line that runs from right to left."
            raise TextError(message, suggestion="ff- and the key of a font for that script")
        found: list[tuple[ImageFont.FreeTypeFont, str]] = []
        for letter in line:
            font = next((self._fonts[number] for number in numbers if self._shows(number, letter)), None)
            if font is None:
                name = unicodedata.name(letter, "no name")
                message = f"No font has the letter {letter!r} (U+{ord(letter):04X}, {name})."
                raise TextError(message, suggestion="ff- and the key of a font for that script")
            if found and found[-1][0] is font:
                found[-1] = font, found[-1][1] + letter
            else:
                found.append((font, letter))
        return found

    def _shows(self, number: int, letter: str) -> bool:
        name = number, letter
        if name not in self._shown:
            is_invisible = unicodedata.category(letter) in _INVISIBLE
            self._shown[name] = is_invisible or has_letter(self._fonts[number], letter)
        return self._shown[name]

    def length(self, line: str) -> float:
        """Return the width of a line in px."""
        return sum(font.getlength(part) for font, part in self.runs(line)) + 2 * self._stroke

    def box(self, line: str) -> tuple[float, float, float, float]:
        """Return the box of what is drawn of a line, whose base line begins at 0, 0."""
        boxes, at = [], 0.0
        for font, part in self.runs(line):
            left, top, right, bottom = font.getbbox(part, anchor="ls", stroke_width=self._stroke)
            boxes.append((left + at, top, right + at, bottom))
            at += font.getlength(part)
        if not boxes:
            return 0.0, 0.0, 0.0, 0.0
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)

    def draw(self, image: Image.Image, place: tuple[float, float], line: str, color: tuple[int, ...]) -> None:
        """Draw a line whose base line begins at ``place``."""
        pen, (x, y) = ImageDraw.Draw(image), place
        for font, part in self.runs(line):
            pen.text((x, y), part, fill=color, font=font, anchor="ls", stroke_width=self._stroke, embedded_color=True)
            x += font.getlength(part)

    @property
    def line_height(self) -> int:
        """Return the height of a line in px as the first font wants it."""
        ascent, descent = self._fonts[0].getmetrics()
        return ascent + descent


def lines_of(text: str, width: int | None, length: Callable[[str], float]) -> list[str]:
    """Break a text into lines of at most ``width`` px: at blanks, around ideographs, and where nothing else helps."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        current = ""
        for piece in pieces_of(paragraph) if width is not None else [paragraph]:
            joined = current + piece
            if width is None or length(joined.rstrip()) <= width:
                current = joined
                continue
            if current.strip():
                lines.append(current.rstrip())
            current = piece.lstrip()
            while (fits := longest(current.rstrip(), width, length)) < len(current.rstrip()):  # wider than a line
                lines.append(current[:fits])
                current = current[fits:]
        lines.append(current.rstrip())
    return lines


def longest(word: str, width: int, length: Callable[[str], float]) -> int:
    """Return how many letters of a word fit, at least one; marks stay with their letter."""
    # From the short side: a text of 2,000 letters in lines of one would be measured as a whole for each line.
    low = high = 1
    while high < len(word) and length(word[:high]) <= width:
        low, high = high, min(2 * high, len(word))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if length(word[:middle]) <= width else (low, middle - 1)
    while 1 < low < len(word) and unicodedata.category(word[low]) in {"Mn", "Mc", "Cf"}:
        low -= 1
    return low


def pieces_of(paragraph: str) -> list[str]:
    """Split a paragraph where a line may end: behind blanks and around ideographs, but not before their punctuation."""
    pieces = [""]
    for letter in paragraph:
        before = pieces[-1][-1:]
        is_wide = unicodedata.east_asian_width(letter) in "WF"
        was_wide = bool(before) and unicodedata.east_asian_width(before) in "WF"
        ends = (before == " " and letter != " ") or ((is_wide or was_wide) and letter != " ")
        if before and ends and letter not in _UNBROKEN and unicodedata.category(letter) not in {"Mn", "Mc", "Cf"}:
            pieces.append(letter)
        else:
            pieces[-1] += letter
    return pieces


def draw_text(
    text: Text, style: TextStyle, inputs: Mapping[str, ImageSource], *, limits: Limits, deadline: RenderDeadline
) -> Image.Image:
    """Return a text as RGBA: as wide as ``style.width`` or as its letters, as high as its letters, padding around.

    Raise TextError for what can't be set, and ImageTooLarge.
    """
    if needs_shaping(text.text) and not has_shaping():
        message = "This text needs libfribidi, which is not installed: its letters would be wrong."
        raise TextError(
            message, suggestion="install the package libfribidi0 (Debian), fribidi (Alpine, Fedora, Homebrew)"
        )
    if not 1 <= style.size <= MAX_FONT_SIZE:
        raise TextError(f"A font has 1 to {MAX_FONT_SIZE} px, not {style.size}.", token=f"fs-{text.size}")
    setter = TextSetter(fonts_of(text, style.size, inputs), bold=synthetic_stroke(text, style.size))
    lines = lines_of(text.text, style.width, setter.length)
    deadline.check()
    boxes = [setter.box(line) for line in lines]
    step = style.line_height or setter.line_height
    first = min((number * step + box[1] for number, box in enumerate(boxes)), default=0)
    last = max((number * step + box[3] for number, box in enumerate(boxes)), default=0)
    widest = max((box[2] - box[0] for box in boxes), default=0)
    inner = style.width if style.width is not None else max(1, math.ceil(widest))
    size = inner, max(1, math.ceil(last - first))
    above, right, below, left = style.padding
    check_size((size[0] + left + right, size[1] + above + below), limits)
    image = Image.new("RGBA", size, (*text.color.rgba[:3], 0))
    for number, (line, box) in enumerate(zip(lines, boxes, strict=True)):
        deadline.check()
        x = aligned(inner - (box[2] - box[0]), text.align) - box[0]
        y = number * step - first
        setter.draw(image, (x, y), line, text.color.rgba)
        if text.strikethrough and line:
            middle, thick = y - style.size * 0.3, max(1, style.size // 15)
            across = (x + box[0], middle, x + box[2], middle + thick - 1)
            ImageDraw.Draw(image).rectangle(across, fill=text.color.rgba)
    image = trimmed(slanted(image) if text.italic else image, keeps_width=style.width is not None)
    result = Image.new("RGBA", (image.width + left + right, image.height + above + below), (*text.color.rgba[:3], 0))
    result.paste(image, (left, above))
    if text.background:
        result = Image.alpha_composite(Image.new("RGBA", result.size, text.background.rgba), result)
    return result


def trimmed(image: Image.Image, *, keeps_width: bool) -> Image.Image:
    """Cut off the room that a font leaves around letters, at the sides only where no width was asked for."""
    box = image.getchannel("A").getbbox()
    if box is None:
        return image
    left, top, right, bottom = box
    return image.crop((0, top, image.width, bottom) if keeps_width else (left, top, right, bottom))


def synthetic_stroke(text: Text, size: int) -> int:
    """Return by how many px letters are made thicker: a font of the user's has no bold cut that is known here."""
    return max(1, size // 32) if text.bold and text.font not in _NAMED else 0


def aligned(rest: float, align: Align) -> float:
    """Return how much of a line's rest lies before it."""
    return {"left": 0.0, "center": rest / 2, "right": rest}[align]


def slanted(image: Image.Image) -> Image.Image:
    """Lean a picture of letters to the right by 12 degrees, for a font without an italic; the canvas grows."""
    lean = 0.2126
    extra = round(image.height * lean)
    matrix = (1.0, lean, -float(extra), 0.0, 1.0, 0.0)
    size = image.width + extra, image.height
    return image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
