"""Values of parameters that say how a picture looks: shadow, gradient, tint, exchanged colours, distortion, backdrop.

Each reads ImageKit's text (``parse`` returns None for any other text) and writes the shortest one (``str``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias

import msgspec

from s3img.transform.colors import Color
from s3img.transform.expressions import Expression, format_number, parse_number, read_value, write_number

_SIDES = {
    name: Fraction(45 * number)
    for number, name in enumerate(
        ("top", "top_right", "right", "bottom_right", "bottom", "bottom_left", "left", "top_left")
    )
}
_SIDES |= {name.replace("_", ""): angle for name, angle in _SIDES.items()}
"""Names of directions, in degrees clockwise from the top: where a gradient ends. ImageKit also writes ``topleft``."""
_SIGNED: Final = re.compile(r"(?:N|-)?[0-9]{1,3}")
_BLURRED: Final = re.compile(r"blurred(?:_(auto|[0-9]{1,3}))?(?:_(N?[0-9]{1,3}))?")
_GRADIENT: Final = re.compile(r"gradient_dominant(?:_([24]))?")

DEFAULT_TOLERANCE: Final = 35
"""What ``cr-COLOUR`` without a number means, in per cent; ImageKit does not say."""


def read_whole(text: str, low: int, high: int) -> int | None:
    """Read a whole number from ``low`` to ``high``, minus as ``N`` or ``-``; None for anything else."""
    if not _SIGNED.fullmatch(text):
        return None
    value = int(text.replace("N", "-"))
    return value if low <= value <= high else None


def read_direction(text: str) -> Fraction | None:
    """Read degrees clockwise from the top, or the name of a side or corner."""
    number = _SIDES[text] if text in _SIDES else parse_number(text)
    return number if number is not None and 0 <= number < 360 else None


def read_stop(text: str) -> Expression | Fraction | None:
    """Read a share up to 1, whole px, or an expression."""
    stop = read_value(text)
    is_bad = isinstance(stop, Fraction) and (stop <= 0 or (stop >= 1 and stop.denominator != 1))
    return None if is_bad else stop


Pieces: TypeAlias = Mapping[str, tuple[str, Callable[[str], Any]]]
"""By the name of a piece: the field that it is, and what reads its text."""


class PieceValue(msgspec.Struct, frozen=True):
    """A value of named pieces in any order, such as ``bl-15_st-40``; what is left out has its default."""

    pieces: ClassVar[Pieces]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read the pieces; None where a name is unknown or stands there twice, or a piece can't be read."""
        # Values may hold _ themselves (ld-top_right), so a value ends where the next name begins.
        parts = re.split(rf"(?:^|_)({'|'.join(cls.pieces)})-", text)
        found = dict(zip(parts[1::2], parts[2::2], strict=True))
        fields = {cls.pieces[name][0]: cls.pieces[name][1](piece) for name, piece in found.items()}
        if parts[0] or 2 * len(found) + 1 != len(parts) or None in fields.values():
            return None
        return cls(**fields)

    def __str__(self) -> str:
        plain = type(self)()
        values = ((name, getattr(self, field), getattr(plain, field)) for name, (field, _) in self.pieces.items())
        return "_".join(f"{name}-{write_number(value)}" for name, value, usual in values if value != usual)


class Shadow(PieceValue, frozen=True):
    """A soft shadow: ``blur`` 0 to 15, ``strength`` 0 to 100, ``x`` and ``y`` in per cent of the picture's sides."""

    pieces: ClassVar[Pieces] = {
        "bl": ("blur", partial(read_whole, low=0, high=15)),
        "st": ("strength", partial(read_whole, low=0, high=100)),
        "x": ("x", partial(read_whole, low=-100, high=100)),
        "y": ("y", partial(read_whole, low=-100, high=100)),
    }
    blur: int = 10
    strength: int = 30
    x: int = 2
    y: int = 2


class Gradient(PieceValue, frozen=True):
    """A linear gradient towards ``direction`` (degrees clockwise from the top), from ``start`` to ``end``.

    ``end`` is reached at ``stop``: a share of the gradient's line up to 1, px above, or an expression in px.
    """

    pieces: ClassVar[Pieces] = {
        "ld": ("direction", read_direction),
        "from": ("start", Color.parse),
        "to": ("end", Color.parse),
        "sp": ("stop", read_stop),
    }
    direction: Fraction = Fraction(180)
    start: Color = Color(255, 255, 255)
    end: Color = Color(0, 0, 0, 0)
    stop: Fraction | Expression = Fraction(1)


class Colorize(PieceValue, frozen=True):
    """Mix ``color`` into every px by ``intensity`` per cent; transparency stays."""

    pieces: ClassVar[Pieces] = {
        "co": ("color", Color.parse),
        "in": ("intensity", partial(read_whole, low=0, high=100)),
    }
    color: Color = Color(128, 128, 128)
    intensity: int = 100


class ColorReplacement(msgspec.Struct, frozen=True):
    """Colours near ``source`` (the most frequent one where that is None) become ``target``; ``tolerance`` 0 to 100."""

    target: Color
    tolerance: int = DEFAULT_TOLERANCE
    source: Color | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``TO``, ``TO_TOLERANCE`` or ``TO_TOLERANCE_FROM``."""
        words = text.split("_", 3)
        target = Color.parse(words[0])
        tolerance = read_whole(words[1], 0, 100) if len(words) > 1 else DEFAULT_TOLERANCE
        source = Color.parse(words[2]) if len(words) > 2 else None
        if target is None or tolerance is None or len(words) > 3 or (len(words) > 2 and source is None):
            return None
        return cls(target, tolerance, source)

    def __str__(self) -> str:
        if self.source is not None:
            return f"{self.target}_{self.tolerance}_{self.source}"
        return str(self.target) if self.tolerance == DEFAULT_TOLERANCE else f"{self.target}_{self.tolerance}"


class Distortion(msgspec.Struct, frozen=True):
    """Bend a picture into an arc of ``arc`` degrees, or move its corners.

    ``corners`` are x and y in px of the picture, for its top left, top right, bottom right and bottom left; empty for
    an arc, whose ends point down above 0 and up below. The canvas stays; what is outside of it is cut off.
    """

    corners: tuple[int, ...] = ()
    arc: int = 0

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``p-X1_Y1_X2_Y2_X3_Y3_X4_Y4`` or ``a-DEGREES``."""
        if text.startswith("a-"):
            arc = read_whole(text[2:], -359, 359)
            return cls(arc=arc) if arc else None
        numbers = [parse_number(word) for word in text[2:].split("_", 8)]
        places = [int(number) for number in numbers if number is not None and number.denominator == 1]
        if not text.startswith("p-") or len(numbers) != 8 or len(places) != 8 or not _is_convex(places):
            return None
        return cls(tuple(places))

    def __str__(self) -> str:
        if self.corners:
            return "p-" + "_".join(format_number(Fraction(place)) for place in self.corners)
        return f"a-{format_number(Fraction(self.arc))}"


def _is_convex(places: list[int]) -> bool:
    """Tell whether four corners go clockwise around an area: only then does each px have one place."""
    points = list(zip(places[::2], places[1::2], strict=True))
    turns = []
    for number in range(4):
        (ax, ay), (bx, by), (cx, cy) = (points[(number + step) % 4] for step in range(3))
        turns.append((bx - ax) * (cy - by) - (by - ay) * (cx - bx))
    return min(turns) > 0


class Backdrop(msgspec.Struct, frozen=True):
    """A background made from the picture itself.

    ``blurred``: the picture, enlarged and blurred by ``intensity`` (0 to 100, None: ``auto``), made lighter by
    ``brightness`` (-255 to 255). ``dominant``: the most frequent colour of its edges. ``gradient``: a gradient of its
    ``colors`` (2 or 4) most frequent ones.
    """

    kind: Literal["blurred", "dominant", "gradient"]
    intensity: int | None = None
    brightness: int = 0
    colors: int = 2

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``blurred``, ``blurred_25_N30``, ``dominant`` or ``gradient_dominant_4``."""
        if text == "dominant":
            return cls("dominant")
        if match := _GRADIENT.fullmatch(text):
            return cls("gradient", colors=int(match[1] or 2))
        match = _BLURRED.fullmatch(text)
        if match is None:
            return None
        intensity = None if match[1] in {None, "auto"} else int(match[1])
        brightness = int((match[2] or "0").replace("N", "-"))
        if (intensity is not None and intensity > 100) or abs(brightness) > 255:
            return None
        return cls("blurred", intensity, brightness)

    def __str__(self) -> str:
        if self.kind == "dominant":
            return "dominant"
        if self.kind == "gradient":
            return "gradient_dominant" if self.colors == 2 else f"gradient_dominant_{self.colors}"
        brightness = f"_{format_number(Fraction(self.brightness))}" if self.brightness else ""
        intensity = "auto" if self.intensity is None else str(self.intensity)
        return f"blurred_{intensity}{brightness}" if brightness or self.intensity is not None else "blurred"


def read_background(text: str) -> Color | Backdrop | None:
    """Read a colour, or a background that is made from the picture."""
    return Backdrop.parse(text) or Color.parse(text)


def read_opacity(text: str) -> int | None:
    """Read per cent from 0 to 100; ImageKit's libraries also write a share such as ``0.8``."""
    value = parse_number(text)
    if value is None or not 0 <= value <= 100:
        return None
    if value.denominator == 1:
        return int(value)
    return round(value * 100) if value < 1 else None
