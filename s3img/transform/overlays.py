"""Layers: pictures and blocks of colour that are laid over a picture, each with steps and a place of its own.

In texts they stand between ``l-image`` and ``l-end``. Layers lie inside layers up to `MAX_DEPTH` deep; the picture
that a layer is laid on is its parent.
"""

from __future__ import annotations

import base64
import binascii
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from s3img.transform.colors import Color
from s3img.transform.expressions import Expression, Offset, Side, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Place = Literal["center", "top", "left", "bottom", "right", "top_left", "top_right", "bottom_left", "bottom_right"]
Align = Literal["left", "center", "right"]
LayerMode = Literal["multiply", "displace", "cutout", "cutter"]

MAX_DEPTH: Final = 3
"""How deep layers may lie inside each other, as ImageKit documents."""
MAX_CHARACTERS: Final = 2_000
"""Characters of a layer's text."""
CANVAS: Final = "ik_canvas"
FONTS: Final = (
    "AbrilFatFace", "Amaranth", "Arvo", "Audiowide", "Chivo", "CrimsonText", "exo", "FredokaOne", "GravitasOne",
    "Kanit", "Lato", "Lobster", "Lora", "Monoton", "Montserrat", "PTMono", "PT_Serif", "OpenSans", "Roboto",
    "OldStandard", "Ubuntu", "Vollkorn",
)  # fmt: skip
"""Names of fonts that ImageKit has; those that s3img brings are in ``s3img.imaging.text``."""
FONT_CUTS: Final = {
    (False, False): "",
    (True, False): "-Bold",
    (False, True): "-Italic",
    (True, True): "-BoldItalic",
}
"""What stands behind a font's name for its bold and italic cuts."""
_FONT_SUFFIXES: Final = (".ttf", ".otf", ".ttc", ".woff", ".woff2")

FAR_EDGE: Final = "N0"
"""A place of 0 px from the opposite side, as ImageKit writes it."""
LayerOffset: TypeAlias = Offset | Literal["N0"]

PARENT_VARIABLES: Final = frozenset({"bw", "bh", "bar"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_HALF: Final = Fraction(1, 2)
ANCHORS: Final[dict[Place, tuple[Fraction, Fraction]]] = {
    "center": (_HALF, _HALF),
    "top": (_HALF, Fraction(0)),
    "left": (Fraction(0), _HALF),
    "bottom": (_HALF, Fraction(1)),
    "right": (Fraction(1), _HALF),
    "top_left": (Fraction(0), Fraction(0)),
    "top_right": (Fraction(1), Fraction(0)),
    "bottom_left": (Fraction(0), Fraction(1)),
    "bottom_right": (Fraction(1), Fraction(1)),
}
"""Places as shares of a picture's width and height."""


class Canvas(msgspec.Struct, frozen=True):
    """A block of one colour; a side that is None is the parent's."""

    color: Color
    width: Side | None = None
    height: Side | None = None


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text: ``font`` is a name of `FONTS` or a key, "" for the default; ``size`` and ``line_height`` in px.

    Lines end at ``width`` px; without it, only where the text has line ends. ``padding`` is px above, right of, below
    and left of it; an expression counts for all sides. ``background`` lies under text and padding.
    """

    text: str
    font: str = ""
    size: Side = 45
    color: Color = Color(0, 0, 0)
    width: Side | None = None
    background: Color | None = None
    align: Align = "center"
    padding: tuple[Side, ...] = ()
    bold: bool = False
    italic: bool = False
    strikethrough: bool = False
    line_height: Side | None = None

    def with_font(self, files: Mapping[str, str]) -> Text:
        """Return the text in the file that a mapping has for its font's name, in its own cut where there is one.

        ``files`` are keys by name and cut: ``Lato``, ``Lato-Bold``, ``Lato-Italic``, ``Lato-BoldItalic``. What a file
        does not bring is drawn.
        """
        wanted = (self.bold, self.italic)
        for cut in (wanted, (self.bold, False), (False, self.italic), (False, False)):
            key = files.get(self.font + FONT_CUTS[cut]) if self.font else None
            if key:
                return replace(self, font=key, bold=self.bold and not cut[0], italic=self.italic and not cut[1])
        return self

    @property
    def font_key(self) -> str:
        """Return the key of the font's file, "" where the font is a name."""
        return self.font if is_font_file(self.font) else ""


Content: TypeAlias = str | Canvas | Text
"""What a layer shows: the picture under a key, a block of colour, or a text."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a layer lies on its parent.

    ``x y`` are its top left corner and ``xc yc`` its centre, in px from ``anchor``; from the top left one, numbers
    below 0 and `FAR_EDGE` count from the opposite side. Without any of the four, it lies at ``focus``.
    """

    x: LayerOffset | None = None
    y: LayerOffset | None = None
    xc: LayerOffset | None = None
    yc: LayerOffset | None = None
    anchor: Place = "top_left"
    focus: Place = "center"

    def place(
        self, size: tuple[int, int], parent: tuple[int, int], value: Callable[[Offset], Fraction | int]
    ) -> tuple[int, int]:
        """Return the top left corner of a layer of ``size`` on a parent, in px; ``value`` evaluates expressions.

        A layer that would reach over an edge is moved inside; a larger one covers the parent.
        """
        if self.x is self.y is self.xc is self.yc is None:
            across, down = (
                (Fraction(whole - side) * share).__floor__()
                for side, whole, share in zip(size, parent, ANCHORS[self.focus], strict=True)
            )
            return across, down
        found = []
        for axis, (start, centre) in enumerate(((self.x, self.xc), (self.y, self.yc))):
            side, whole, share = size[axis], parent[axis], ANCHORS[self.anchor][axis]
            is_centred = start is None and centre is not None
            given = centre if start is None and centre is not None else start or 0
            offset = 0 if given == FAR_EDGE else value(given)
            at = Fraction(whole * share + offset)
            if (offset < 0 or given == FAR_EDGE) and share == 0:
                at = Fraction(whole + offset - (0 if is_centred else side))
            first = nearest(at - Fraction(side, 2) if is_centred else at)
            low, high = sorted((0, whole - side))
            found.append(min(max(first, low), high))
        return found[0], found[1]


def decoded_input(text: str) -> str | None:
    """Read base64 in either alphabet, with padding or without; None for anything else."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def is_font_file(name: str) -> bool:
    """Tell a font's file from its name."""
    return name.lower().endswith(_FONT_SUFFIXES)


def read_typography(text: str) -> frozenset[str] | None:
    """Read ``b``, ``i`` and ``strikethrough``, joined by ``_``."""
    known = {"b": "bold", "i": "italic", "strikethrough": "strikethrough"}
    words = text.split("_", 3)
    return frozenset(known[word] for word in words) if {*words} <= known.keys() else None


def write_text(text: str) -> str:
    """Return ``i-…`` for letters, digits, ``.``, ``_`` and ``-``, else ``ie-`` and base64 without padding."""
    if _PLAIN.fullmatch(text) and "/" not in text:
        return f"i-{text}"
    return f"ie-{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}"


def write_input(text: str) -> str:
    """Return ``i-…`` where a path has plain characters only, else ``ie-`` and base64 without padding."""
    if _PLAIN.fullmatch(text) and text != CANVAS:
        return f"i-{text.replace('/', '@@')}"
    return f"ie-{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}"


def variables_of(value: object) -> frozenset[str]:
    """Return the variables (``iw``, ``bh``) in a value's expressions, and in those of its parts."""
    if isinstance(value, Expression):
        return frozenset(operand for operand in value.operands if isinstance(operand, str))
    if isinstance(value, msgspec.Struct):
        value = tuple(getattr(value, name) for name in value.__struct_fields__)
    return frozenset().union(*map(variables_of, value)) if isinstance(value, tuple) else frozenset()
