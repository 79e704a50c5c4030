"""Values of parameters that say how a picture looks: shadow, gradient, tint, exchanged colours, distortion, backdrop.

Each reads ImageKit's text (``parse`` returns None for any other text) and writes the shortest one (``str``).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, Self

import msgspec

from s3img.transform.colors import Color
from s3img.transform.expressions import Expression, format_number, parse_number, read_value

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def read_pieces(text: str, names: Iterable[str]) -> dict[str, str] | None:
    """Split ``bl-10_st-30`` into a mapping; None where a name is unknown, or stands there twice.

    Values may hold ``_`` themselves (``ld-top_right``), so a value ends where the next of ``names`` begins.
    """
    known = "|".join(names)
    parts = re.split(rf"(?:^|_)({known})-", text)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return found if not parts[0] and 2 * len(found) + 1 == len(parts) else None


def read_whole(text: str, low: int, high: int) -> int | None:
    """Read a whole number from ``low`` to ``high``, minus as ``N`` or ``-``; None for anything else."""
    if not _SIGNED.fullmatch(text):
        return None
    value = int(text.replace("N", "-"))
    return value if low <= value <= high else None


class Shadow(msgspec.Struct, frozen=True):
    """A soft shadow: ``blur`` 0 to 15, ``strength`` 0 to 100, ``x`` and ``y`` in per cent of the picture's sides."""

    blur: int = 10
    strength: int = 30
    x: int = 2
    y: int = 2

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``bl-15_st-40_x-10_y-N5`` in any order; nothing is the default."""
        pieces = read_pieces(text, ("bl", "st", "x", "y")) if text else {}
        if pieces is None:
            return None
        ranges = {"bl": (0, 15), "st": (0, 100), "x": (-100, 100), "y": (-100, 100)}
        numbers = {name: read_whole(value, *ranges[name]) for name, value in pieces.items()}
        if None in numbers.values():
            return None
        fields = {"bl": "blur", "st": "strength"}
        return cls(**{fields.get(name, name): value for name, value in numbers.items() if value is not None})

    def __str__(self) -> str:
        plain = type(self)()
        values = {"bl": self.blur, "st": self.strength, "x": self.x, "y": self.y}
        usual = {"bl": plain.blur, "st": plain.strength, "x": plain.x, "y": plain.y}
        return "_".join(
            f"{name}-{'N' if value < 0 else ''}{abs(value)}" for name, value in values.items() if value != usual[name]
        )


class Gradient(msgspec.Struct, frozen=True):
    """A linear gradient towards ``direction`` (degrees clockwise from the top), from ``start`` to ``end``.

    ``end`` is reached at ``stop``: a share of the gradient's line up to 1, px above, or an expression in px.
    """

    direction: Fraction = Fraction(180)
    start: Color = Color(255, 255, 255)
    end: Color = Color(0, 0, 0, 0)
    stop: Fraction | Expression = Fraction(1)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``ld-top_right_from-red_to-FFF00050_sp-0.5`` in any order; nothing is the default."""
        pieces = read_pieces(text, ("ld", "from", "to", "sp")) if text else {}
        if pieces is None:
            return None
        direction = Fraction(180)
        if "ld" in pieces:
            named = _SIDES.get(pieces["ld"])
            number = parse_number(pieces["ld"]) if named is None else named
            if number is None or not 0 <= number < 360:
                return None
            direction = number
        start, end = Color.parse(pieces.get("from", "FFFFFF")), Color.parse(pieces.get("to", "00000000"))
        stop = read_value(pieces["sp"]) if "sp" in pieces else Fraction(1)
        if start is None or end is None or stop is None:
            return None
        if isinstance(stop, Fraction) and (stop <= 0 or (stop >= 1 and stop.denominator != 1)):
            return None
        return cls(direction, start, end, stop)

    def __str__(self) -> str:
        plain, words = type(self)(), []
        if self.direction != plain.direction:
            words.append(f"ld-{format_number(self.direction)}")
        if self.start != plain.start:
            words.append(f"from-{self.start}")
        if self.end != plain.end:
            words.append(f"to-{self.end}")
        if self.stop != plain.stop:
            words.append(f"sp-{format_number(self.stop) if isinstance(self.stop, Fraction) else self.stop}")
        return "_".join(words)


class Colorize(msgspec.Struct, frozen=True):
    """Mix ``color`` into every px by ``intensity`` per cent; transparency stays."""

    color: Color = Color(128, 128, 128)
    intensity: int = 100

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``co-red_in-50`` in any order; nothing is the default."""
        pieces = read_pieces(text, ("co", "in")) if text else {}
        if pieces is None:
            return None
        color, intensity = Color.parse(pieces.get("co", "gray")), read_whole(pieces.get("in", "100"), 0, 100)
        return None if color is None or intensity is None else cls(color, intensity)

    def __str__(self) -> str:
        plain = type(self)()
        words = [f"co-{self.color}"] if self.color != plain.color else []
        return "_".join([*words, *([f"in-{self.intensity}"] if self.intensity != plain.intensity else [])])


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
