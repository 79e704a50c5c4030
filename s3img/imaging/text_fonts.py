"""Fonts of texts: their outlines and pictures in colour, and which of them has a letter.

Pillow's Raqm layout joins Arabic, orders right-to-left text and forms conjuncts, with HarfBuzz and FriBidi. Fonts are
read by FreeType. It draws letters in colour that a font has as bitmaps (CBDT), or as layers of outlines (COLR, version
0) where a letter has an outline of its own as well, by which Pillow knows how large it is.
"""

from __future__ import annotations

import math
import re
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageFont, features

from s3img.errors import TextError
from s3img.imaging.probing import opened, too_large
from s3img.transform.overlays import FONTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from s3img.imaging.decode import RenderDeadline
    from s3img.imaging.probing import ImageSource
    from s3img.transform.overlays import Text

LetterKind: TypeAlias = Literal["", "outline", "color"]
"""What a font has of a letter: nothing that can be drawn, an outline in any colour, or a picture with its own ones."""

MAX_FONT_BYTES: Final = 32_000_000
MISSING: Final = "\U0010fffe"
"""No character, so that every font draws what it has for letters that it lacks."""

_FOLDER: Final = Path(__file__).with_name("fonts")
_SCRIPTS: Final = ("latin", "latin-ext")
"""The files of Open Sans that are shipped (SIL Open Font License, ``fonts/OFL.txt``)."""
_NAMED: Final = frozenset({"", "OpenSans"})
_SIGNATURES: Final = (b"\0\1\0\0", b"OTTO", b"true", b"ttcf", b"wOFF", b"wOF2")
"""How TTF, OTF, collections, WOFF and WOFF2 begin. FreeType reads ten more kinds, some of them packed, unbounded."""
_WOFF_HEADER: Final = 44
_WOFF2_HEADER: Final = 48
_SBIX: Final = 37
"""The number of the table ``sbix`` in a WOFF2 (5.1)."""
_NAMED_TABLE: Final = 63
_TRANSFORMED: Final = frozenset({10, 11})
"""``glyf`` and ``loca``, which state a second size in version 0; all others in every other version."""
_PICTURE: Final = re.compile(rb"\x89PNG\r\n\x1a\n.{4}IHDR(.{4})(.{4})", re.DOTALL)
_LARGEST_PICTURE: Final = 1024
"""Px a side: FreeType unpacks a letter's PNG as a whole; 20,000 x 20,000 px of one colour took 1.6 GB."""
_LARGEST_LETTER: Final = 1 << 26
"""Px of the room for a letter in its own colours; a font may say that one is thousands of times as wide as high."""
_REGULAR, _BOLD = 400, 700
_LEAN: Final = 12
"""Degrees by which letters without an italic cut lean to the right."""
_PROBE: Final = 24
"""Px at which a font is asked for a letter."""
_USUAL_STRIKES: Final = (109, 136, 128, 160, 96, 72, 64, 32)
"""Px of the bitmaps in well-known fonts, for those whose list of sizes is packed."""

_MARKS: Final = frozenset({"Mn", "Mc", "Me", "Cf"})
_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\u200c\u200d\U000e0020-\U000e007f\U000e0100-\U000e01ef]")
"""Letters that only choose another form of what stands before them: no font has a picture of them."""
_CLUSTER: Final = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}|.)(?:[\ufe00-\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]|\u200d.){0,16}",
    re.DOTALL,
)
"""A letter with what makes one picture of it and others: flags, skin tones, keycaps, families (UTS 51, 1.4)."""
_LONGEST_CLUSTER: Final = 16
"""Letters; hundreds of marks may stand on one letter, and all of them are drawn again for each."""
_LAST_LATIN: Final = "\u00ff"


@dataclass(frozen=True, slots=True)
class TextFont:
    """A font to set a text in: ``layout`` has the px that its bitmaps have, which ``scale`` brings to those wanted.

    ``probe`` is the same font, small, to ask for letters. ``stroke`` px make letters bold that have no such cut.
    """

    layout: ImageFont.FreeTypeFont
    probe: ImageFont.FreeTypeFont
    scale: float = 1.0
    stroke: int = 0
    is_slanted: bool = False


def has_shaping() -> bool:
    """Tell whether Pillow found what Raqm needs."""
    return bool(features.check("raqm"))


def load_font(data: bytes, size: int) -> ImageFont.FreeTypeFont:
    """Open a font of ``size`` px, with the best layout that there is; raise what FreeType raises."""
    layout = ImageFont.Layout.RAQM if has_shaping() else ImageFont.Layout.BASIC
    return ImageFont.truetype(BytesIO(data), size, layout_engine=layout)


def fonts_of(text: Text, size: int, inputs: Mapping[str, ImageSource]) -> tuple[TextFont, ...]:
    """Return the fonts to take letters from, the first one that has each; raise TextError for one that is not there."""
    default = tuple(
        TextFont(load_font(data, size), load_font(data, _PROBE))
        for data in shipped_fonts(_BOLD if text.bold else _REGULAR)
    )
    if text.font in _NAMED:
        return default
    source = inputs.get(text.font_key)
    if source is None:
        message = f"The font {text.font!r} is not here; of the names, only OpenSans is, and those in the setting fonts."
        if text.font in FONTS:
            message = (
                f"The font {text.font!r} has no file here: OpenSans is shipped, and the setting fonts gives files to "
                f"{', '.join(name for name in FONTS if name != 'OpenSans')}."
            )
        raise TextError(message, token=f"ff-{text.font}", suggestion="ff-OpenSans, or ff- and the key of a font's file")
    with opened(source) as file:
        data = file.read(MAX_FONT_BYTES + 1)
    # FreeType unpacks a WOFF as a whole: 400 KB of zeros became 400 MB.
    if max(len(data), unpacked_size(data)) > MAX_FONT_BYTES:
        raise too_large("input_bytes", f"The font {text.font!r} has more bytes", MAX_FONT_BYTES)
    # Those of a packed font can't be looked at.
    sides = [int.from_bytes(side) for found in _PICTURE.finditer(data) for side in found.groups()]
    if max(sides, default=0) > _LARGEST_PICTURE or b"sbix" in dict(packed_tables(data)):
        message = f"The font {text.font!r} has pictures above {_LARGEST_PICTURE} px a side, or a packed table sbix."
        raise TextError(message, token=f"ff-{text.font}", suggestion="ff- and the key of another font")
    try:
        own = read_font(data if data.startswith(_SIGNATURES) else b"", size, bold=text.bold, italic=text.italic)
    except Exception as error:  # FreeType says no more than that it could not be opened
        message = f"{text.font!r} is not a font that can be read: write a TTF, OTF, WOFF or WOFF2."
        raise TextError(message, token=f"ff-{text.font}") from error
    return own, *default


@contextmanager
def font_errors(text: Text) -> Iterator[None]:
    """Turn what FreeType and Pillow raise while letters are drawn into a TextError that names the font."""
    try:
        yield
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        message = f"A letter of the font {text.font or 'OpenSans'!r} can't be drawn: {str(error).rstrip('.')}."
        suggestion = "ff- and the key of another font"
        raise TextError(message, token=f"ff-{text.font}", suggestion=suggestion) from error


@lru_cache(maxsize=2)
def shipped_fonts(weight: int) -> tuple[bytes, ...]:
    """Return the files of Open Sans in a weight."""
    return tuple((_FOLDER / f"open-sans-{script}-{weight}-normal.woff2").read_bytes() for script in _SCRIPTS)


def read_font(data: bytes, size: int, *, bold: bool, italic: bool) -> TextFont:
    """Open a font of the user's, as bold and as slanted as it can be; raise what FreeType raises.

    Fonts of bitmaps open in the sizes that they have, of which the next larger one is taken.
    """
    try:
        layout, probe = load_font(data, size), load_font(data, _PROBE)
    except OSError:
        for strike in strikes_of(data, size):
            try:
                layout = load_font(data, strike)
            except OSError:
                continue
            return TextFont(layout, layout, size / strike)
        raise
    has_weight, has_slant = False, False
    for font in (layout, probe):
        has_weight, has_slant = set_axes(font, bold=bold, italic=italic)
    stroke = max(1, size // 32) if bold and not has_weight else 0
    return TextFont(layout, probe, stroke=stroke, is_slanted=has_slant)


def set_axes(font: ImageFont.FreeTypeFont, *, bold: bool, italic: bool) -> tuple[bool, bool]:
    """Set a variable font to a weight and slant; tell whether it has axes for them. Others stay as they are.

    Some begin at their thinnest: a text that says nothing wants the regular weight.
    """
    try:
        axes = font.get_variation_axes()
    except OSError:  # not a variable font
        return False, False
    wanted = {"weight": _BOLD if bold else _REGULAR, "italic": int(italic), "slant": -_LEAN if italic else 0}
    names = [bytes(axis["name"] or b"").decode("utf-8", "replace").lower() for axis in axes]
    values: list[float] = [
        min(max(wanted.get(name, axis["default"] or 0), axis["minimum"] or 0), axis["maximum"] or 0)
        for name, axis in zip(names, axes, strict=True)
    ]
    font.set_variation_by_axes(values)
    return "weight" in names, not {"italic", "slant"}.isdisjoint(names)


def strikes_of(font: bytes, wanted: int) -> list[int]:
    """Return the px of a font's bitmaps, the best for ``wanted`` px first: the next larger one, then smaller ones.

    They stand in the table CBLC (OpenType 1.9); in a WOFF it is packed, and the usual ones are returned.
    """
    sizes = set(_USUAL_STRIKES)
    for at in range(12, min(12 + 16 * int.from_bytes(font[4:6]), 12 + 16 * 256), 16):
        if font[at : at + 4] in {b"CBLC", b"EBLC"}:
            table = int.from_bytes(font[at + 8 : at + 12])
            count = min(int.from_bytes(font[table + 4 : table + 8]), 256)
            found = {
                font[place] for place in range(table + 8 + 45, table + 8 + 48 * count, 48) if place < len(font)
            } - {0}
            sizes = found or sizes
    return sorted(sizes, key=lambda size: (size < wanted, abs(size - wanted)))


def unpacked_size(font: bytes) -> int:
    """Return the bytes of a WOFF or WOFF2 when unpacked, as its header and its tables state them; 0 for other fonts.

    (WOFF 1.0, 4 and 5; WOFF 2.0, 5.1. FreeType refuses a font whose tables are larger than they state.)
    """
    if font[:4] not in {b"wOFF", b"wOF2"}:
        return 0
    return max(int.from_bytes(font[16:20]), sum(size for _, size in packed_tables(font)))


def packed_tables(font: bytes) -> list[tuple[bytes, int]]:
    """Return the names of a WOFF's or WOFF2's tables, and their bytes when unpacked; of a WOFF2 it names only sbix."""
    count = int.from_bytes(font[12:14])
    if font[:4] == b"wOFF":
        places = range(_WOFF_HEADER, min(_WOFF_HEADER + 20 * count, len(font)), 20)
        return [(font[at : at + 4], int.from_bytes(font[at + 12 : at + 16])) for at in places]
    found: list[tuple[bytes, int]] = []
    at = _WOFF2_HEADER
    while font[:4] == b"wOF2" and at < len(font) and len(found) < count:
        number, version = font[at] & 63, font[at] >> 6
        name = font[at + 1 : at + 5] if number == _NAMED_TABLE else b"sbix" if number == _SBIX else b""
        at += 5 if number == _NAMED_TABLE else 1
        sizes = []
        for _ in range(2 if (version == 0) == (number in _TRANSFORMED) else 1):
            size = 0
            for digit in font[at : at + 5]:
                at, size = at + 1, size << 7 | digit & 127
                if digit < 128:
                    break
            sizes.append(size)
        found.append((name, max(sizes)))
    return found


def clusters(text: str) -> list[str]:
    """Split a text into letters, each with the marks and joiners that make one sign of them."""
    found: list[str] = []
    for sign in _CLUSTER.findall(text):
        joins = unicodedata.category(sign[0]) in _MARKS and sign[0] != "\u00ad"
        if joins and found and len(found[-1]) + len(sign) <= _LONGEST_CLUSTER:
            found[-1] += sign
        else:
            found.append(sign)
    return found


def drawn_sign(
    font: ImageFont.FreeTypeFont, sign: str, ink: tuple[int, ...] = (255, 0, 255), *, scale: float = 1.0
) -> Image.Image:
    """Return a sign as RGBa, in its own colours or in ``ink``; its base line begins two squares of the font down.

    Raise TextError for one whose room, enlarged by ``scale``, would be too large.
    """
    side = int(font.size)
    width = max(0, math.ceil(font.getlength(sign))) + 3 * side
    if width * 3 * side * max(1, scale) ** 2 > _LARGEST_LETTER:
        message = f"The letter {sign!r} is {width - 3 * side} px wide in its font of {side} px, too large to be drawn."
        raise TextError(message, suggestion="ff- and the key of another font")
    tile = Image.new("RGBA", (width, 3 * side))
    ImageDraw.Draw(tile).text((side, 2 * side), sign, fill=(*ink, 255), font=font, anchor="ls", embedded_color=True)
    # Pillow mixes colours with the transparent black below, which is what multiplying by opacity does.
    return Image.frombytes("RGBa", tile.size, tile.tobytes())


def letter_kind(font: ImageFont.FreeTypeFont, sign: str) -> LetterKind:
    """Tell what a font has of a sign.

    A font draws the same for every letter that it lacks, so a sign that looks as before with such a one in place of
    one of its letters is not in the font.
    """
    drawn = drawn_sign(font, sign)
    seen = drawn.getchannel("a").getbbox()
    if sign.isspace():
        return "" if seen else "outline"
    if seen is None:  # layers of version 1, SVG, or layers without an outline
        return ""
    pixels = drawn.tobytes()
    for letter in {*_SELECTORS.sub("", sign)}:
        if drawn_sign(font, sign.replace(letter, MISSING)).tobytes() == pixels:
            return ""
    red, green, blue = drawn.split()[:3]
    has_own = green.getextrema()[1] or ImageChops.difference(red, blue).getextrema()[1]
    return "color" if has_own else "outline"


@dataclass(frozen=True, slots=True)
class Run:
    """Signs of a line that one font has, all in its own colours or none."""

    font: TextFont
    text: str
    kind: LetterKind

    @property
    def stroke(self) -> int:
        """Return by how many px its letters are made thicker: pictures in colour are not."""
        return self.font.stroke if self.kind == "outline" else 0


class TextSetter:
    """Measure and draw lines of text with the first of some fonts that has each sign."""

    def __init__(self, fonts: Sequence[TextFont], deadline: RenderDeadline) -> None:
        self._fonts = fonts
        self._deadline = deadline
        self._kinds: dict[tuple[int, str], LetterKind] = {}
        self._pictures: dict[str, tuple[Image.Image, float, float]] = {}

    def runs(self, line: str) -> list[Run]:
        """Split a line into parts of one font each; raise TextError for letters that no font has."""
        if not line:
            return []
        signs = clusters(line)
        whole = next(
            (
                number
                for number in range(len(self._fonts))
                if all(self._kind(number, sign) == "outline" for sign in signs)
            ),
            None,
        )
        if whole is not None:
            return [Run(self._fonts[whole], line, "outline")]
        found: list[Run] = []
        last = plain = len(self._fonts) - len(_SCRIPTS)
        for sign in signs:
            numbers = [number for number in range(len(self._fonts)) if self._kind(number, sign)]
            shown = sign
            if sign.isspace():  # that of the letters before it, and not that of an emoji
                number = next((one for one in (last, plain) if one in numbers), plain)
                shown = sign if number in numbers else " "
            elif numbers:
                number = numbers[0]
            else:
                raise self._missing(sign)
            kind = self._kind(number, shown)
            last = number if kind == "outline" else plain
            if found and found[-1].font is self._fonts[number] and found[-1].kind == kind:
                found[-1] = Run(found[-1].font, found[-1].text + shown, kind)
            else:
                found.append(Run(self._fonts[number], shown, kind))
        if len(found) > 1 and any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in line):
            message = "No font has all letters of a line that runs from right to left."
            raise TextError(message, suggestion="ff- and the key of a font for that script")
        return found

    def _kind(self, number: int, sign: str) -> LetterKind:
        name = number, sign
        if name not in self._kinds:
            self._deadline.check()
            kind = letter_kind(self._fonts[number].probe, sign) if _SELECTORS.sub("", sign) else "outline"
            # Fonts of emoji have digits for keycaps, which are not those of a text; U+FE0E asks for letters.
            is_plain = (sign[0] <= _LAST_LATIN and len(sign) == 1) or "\ufe0e" in sign
            self._kinds[name] = "" if kind == "color" and is_plain else kind
        return self._kinds[name]

    def _missing(self, sign: str) -> TextError:
        """Return the error for a sign that no font has."""
        letters = _SELECTORS.sub("", sign) or sign
        everywhere = range(len(self._fonts))
        letter = next((one for one in letters if not any(self._kind(at, one) for at in everywhere)), letters[0])
        name = unicodedata.name(letter, "no name")
        message = f"No font has the letter {sign!r} (U+{ord(letter):04X}, {name})"
        if unicodedata.category(letter) in {"So", "Sk", "Cn"}:  # emoji; Unicode may have newer ones than Python
            message += " in a form that is drawn here: an outline, bitmaps (CBDT), or layers with an outline (COLR 0)."
            return TextError(message, suggestion="ff- and the key of such a font, as NotoColorEmoji.ttf with bitmaps")
        return TextError(f"{message}.", suggestion="ff- and the key of a font for that script")

    def length(self, line: str) -> float:
        """Return the width of a line in px."""
        runs = self.runs(line)
        return sum(run.font.layout.getlength(run.text) * run.font.scale for run in runs) + 2 * max(
            (run.stroke for run in runs), default=0
        )

    def box(self, line: str) -> tuple[float, float, float, float]:
        """Return the box of what is drawn of a line, whose base line begins at 0, 0."""
        boxes, at = [], 0.0
        for run in self.runs(line):
            scale = run.font.scale
            left, top, right, bottom = run.font.layout.getbbox(run.text, anchor="ls", stroke_width=run.stroke)
            boxes.append((left * scale + at, top * scale, right * scale + at, bottom * scale))
            at += run.font.layout.getlength(run.text) * scale
        if not boxes:
            return 0.0, 0.0, 0.0, 0.0
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)

    def draw(self, image: Image.Image, place: tuple[float, float], line: str, color: tuple[int, ...]) -> None:
        """Draw a line whose base line begins at ``place``, in RGBA of 0 to 255."""
        pen, (x, y) = ImageDraw.Draw(image), place
        for run in self.runs(line):
            font = run.font
            if run.kind == "outline" and font.scale == 1:
                pen.text((x, y), run.text, fill=color, font=font.layout, anchor="ls", stroke_width=run.stroke)
                x += font.layout.getlength(run.text)
                continue
            for sign in clusters(run.text):
                self._lay_picture(image, (x, y), font, sign, color)
                x += font.layout.getlength(sign) * font.scale

    def _lay_picture(
        self, image: Image.Image, place: tuple[float, float], font: TextFont, sign: str, color: tuple[int, ...]
    ) -> None:
        """Lay a sign in its own colours over a picture, as opaque as the text is."""
        if sign not in self._pictures:
            drawn = drawn_sign(font.layout, sign, color[:3], scale=font.scale)
            size = (max(1, round(length * font.scale)) for length in drawn.size)
            drawn = drawn.resize((next(size), next(size)), Image.Resampling.BICUBIC)
            box = drawn.getbbox() or (0, 0, 1, 1)
            picture = drawn.crop(box).convert("RGBA")
            picture.putalpha(picture.getchannel("A").point(lambda value: value * color[3] / 255))
            side = int(font.layout.size) * font.scale
            self._pictures[sign] = picture, box[0] - side, box[1] - 2 * side
        picture, right, down = self._pictures[sign]
        left, top = round(place[0] + right), round(place[1] + down)
        cut = max(0, -left), max(0, -top)
        if cut[0] < picture.width and cut[1] < picture.height:
            image.alpha_composite(picture, (max(0, left), max(0, top)), cut)

    @property
    def line_height(self) -> int:
        """Return the height of a line in px as the first font wants it."""
        ascent, descent = self._fonts[0].layout.getmetrics()
        return round((ascent + descent) * self._fonts[0].scale)

    @property
    def is_slanted(self) -> bool:
        """Tell whether the first font is slanted where a text asks for it."""
        return self._fonts[0].is_slanted
