"""Set texts: lines, alignment, padding, and what is refused instead of drawn wrongly.

FriBidi is looked for when Pillow is loaded; where it is not installed, texts that need it are refused: letters that
stand alone or in the wrong order are wrong, and nobody would be told.
"""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING, Final

import msgspec
from PIL import Image, ImageDraw

from s3img.errors import TextError
from s3img.imaging.text_fonts import TextSetter, clusters, font_errors, fonts_of, has_shaping
from s3img.transform.geometry import check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3img.imaging.decode import RenderDeadline
    from s3img.imaging.probing import ImageSource
    from s3img.limits import Limits
    from s3img.transform.overlays import Align, Text

MAX_FONT_SIZE: Final = 2_000
"""Px; every letter of a font may be as large as its file says in units of this."""

_COMPLEX: Final = (
    *((0x0590, 0x109F), (0x1780, 0x17FF), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFC)),
    *((0x200D, 0x200D), (0x20E3, 0x20E3), (0xFE0E, 0xFE0F), (0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF), (0xE0020, 0xE007F)),
)
"""First and last character of ranges whose letters change with their neighbours, or run from right to left; then what
makes one emoji of several."""
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
    """Return how many characters of a word fit, at least one sign; marks stay with their letter."""
    # From the short side: a text of 2,000 letters in lines of one would be measured as a whole for each line.
    signs = clusters(word)
    low = high = 1
    while high < len(signs) and length("".join(signs[:high])) <= width:
        low, high = high, min(2 * high, len(signs))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if length("".join(signs[:middle])) <= width else (low, middle - 1)
    return sum(map(len, signs[:low]))


def pieces_of(paragraph: str) -> list[str]:
    """Split a paragraph where a line may end: behind blanks and around ideographs, but not before their punctuation."""
    pieces, before = [""], ""
    for sign in clusters(paragraph):
        is_wide = any(unicodedata.east_asian_width(one[0]) in "WF" for one in (before, sign) if one)
        ends = sign != " " and (before == " " or is_wide)
        if before and ends and sign not in _UNBROKEN:
            pieces.append(sign)
        else:
            pieces[-1] += sign
        before = sign
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
    fonts = fonts_of(text, style.size, inputs)
    with font_errors(text):
        return drawn_text(text, style, TextSetter(fonts, deadline), limits, deadline)


def drawn_text(
    text: Text, style: TextStyle, setter: TextSetter, limits: Limits, deadline: RenderDeadline
) -> Image.Image:
    """Measure and draw the lines of a text; raise what FreeType and Pillow raise, and as `draw_text` does."""
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
    image = trimmed(
        slanted(image) if text.italic and not setter.is_slanted else image, keeps_width=style.width is not None
    )
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
