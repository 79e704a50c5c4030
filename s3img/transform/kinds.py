"""The kinds of values that parameters take: how each is read from text, written back, and explained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Final, get_args
from urllib.parse import quote

import msgspec

from s3img.errors import closest
from s3img.transform.colors import NAMES, Color
from s3img.transform.expressions import (
    DENSITY_VARIABLE,
    LARGEST,
    MOST_DENSITY,
    Expression,
    Side,
    nearest,
    parse_number,
    parse_ratio,
    read_value,
    write_number,
    write_ratio,
)
from s3img.transform.focus import FOUND, DetectedFocus, Focus, FocusBox, NamedFocus
from s3img.transform.geometry import LEAST_DPR, MOST_DPR
from s3img.transform.look import (
    Colorize,
    ColorReplacement,
    Distortion,
    Gradient,
    Shadow,
    read_background,
    read_opacity,
)
from s3img.transform.overlays import (
    FAR_EDGE,
    FONTS,
    MAX_CHARACTERS,
    decoded_input,
    is_font_file,
    read_typography,
    write_input,
    write_text,
)
from s3img.transform.steps import (
    DEFAULT_SHARPEN,
    DEFAULT_TRIM,
    DEFAULT_UNSHARP,
    WHOLE,
    Border,
    Radius,
    Unsharp,
    read_offset,
)

_UNFIT = re.compile("[\\x00-\\x1f\\x7f\\ud800-\\udfff]")


class ParameterKind(msgspec.Struct, frozen=True):
    """One kind of value: its description for the docs, text to value (None for a bad one), and back.

    ``write`` returns None when another key writes the value; ``near`` offers the nearest valid text, or nothing.
    """

    values: str
    read: Callable[[str], Any]
    write: Callable[[Any], str | None] = str
    near: Callable[[str], str] = lambda _: ""

    @property
    def words(self) -> str:
        """Return ``values`` for a message, without the marks of Markdown."""
        return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", self.values).replace("`", "")

    def with_words(self, values: str, words: Mapping[str, Any]) -> ParameterKind:
        """Return the kind with words (or no text at all) for some values, which are written as the word."""
        texts = {value: word for word, value in words.items()}

        def read(text: str) -> Any:  # noqa: ANN401 - the value of any kind
            return words[text] if text in words else self.read(text)

        return ParameterKind(values, read, lambda value: texts.get(value, self.write(value)), self.near)


def choice(
    names: Iterable[str], *, aliases: Mapping[str, str] | None = None, own: Iterable[str] | None = None
) -> ParameterKind:
    """Return the kind for one of some words; ``own`` are those that this key writes."""
    known = {name: name for name in names} | dict(aliases or {})
    written = frozenset(own or known)
    return ParameterKind(
        ", ".join(f"`{name}`" for name in dict.fromkeys(own or names)),
        known.get,
        lambda value: value if value in written else None,
        lambda text: closest(text, known),
    )


def whole(low: int, high: int) -> ParameterKind:
    """Return the kind for whole numbers from ``low`` to ``high``."""

    def read(text: str) -> int | None:
        return int(text) if WHOLE.fullmatch(text) and low <= int(text) <= high else None

    def near(text: str) -> str:
        number = parse_number(text)
        return "" if number is None else str(min(max(nearest(number), low), high))

    return ParameterKind(f"{low} to {high}", read, str, near)


def within(value: Expression | Fraction | None, low: Fraction, high: Fraction) -> Expression | Fraction | None:
    """Return a number between two others, or an expression; None for any other."""
    return None if isinstance(value, Fraction) and not low <= value <= high else value


def read_side(text: str) -> Expression | Fraction | int | None:
    """Read a side: px from 1, rounded to whole ones, a share of the source below 1, or an expression."""
    if WHOLE.fullmatch(text):
        return int(text) or None
    value = read_value(text)
    if not isinstance(value, Fraction):
        return value
    if value >= 1:
        return nearest(value) if value < LARGEST else None
    return value if value > 0 else None


def read_ratio(text: str) -> Expression | Fraction | None:
    """Read ``4-3``, ``4_3``, ``4:3``, a decimal number or an expression."""
    value = parse_ratio(text) or read_value(text)
    if not isinstance(value, Fraction) or not 0 < value < LARGEST:
        return value if isinstance(value, Expression) else None
    # Of all digits of 16/9 that a program writes, 16-9 is made again.
    return value if max(value.numerator, value.denominator) < LARGEST else value.limit_denominator(9_999) or None


def read_angle(text: str) -> Fraction | None:
    """Read degrees clockwise, brought below 360."""
    value = parse_number(text)
    return None if value is None else value % 360


def read_path(text: str) -> str | None:
    """Read a key with ``@@`` for ``/``; refuse what no store could hold or a file system would misread."""
    path = text.replace("@@", "/").strip("/")
    bad = not {"", ".", ".."}.isdisjoint(path.split("/")) or _UNFIT.search(path)
    return None if bad else path


def read_encoded_path(text: str) -> str | None:
    """Read a key in base64, where ``@@`` means itself."""
    path = decoded_input(text)
    return None if path is None or "@@" in path else read_path(path)


def write_path(path: str) -> str:
    """Write a key with ``@@`` for ``/``."""
    return quote(path.replace("/", "@@"), safe="@")


def read_text(text: str) -> str | None:
    """Read a layer's text: line ends and tabs are its only control characters."""
    plain = text.replace("\r\n", "\n").replace("\t", " ")
    return plain if 0 < len(plain) <= MAX_CHARACTERS and not _UNFIT.search(plain.replace("\n", "")) else None


def read_encoded_text(text: str) -> str | None:
    """Read a layer's text in base64."""
    decoded = decoded_input(text)
    return None if decoded is None else read_text(decoded)


def read_font(text: str) -> str | None:
    """Read a name of `FONTS`, or the key of a font's file."""
    if text in FONTS:
        return text
    path = read_path(text)
    return path if path and is_font_file(path) else None


def read_focus(text: str) -> Focus | None:
    """Read a name, what a detector finds, or a box with its kind in front."""
    named: NamedFocus | None = _FOCUS.read(text)
    return named or DetectedFocus.parse(text) or (None if text[:1].isdigit() else FocusBox.parse(text))


def near_focus(text: str) -> str:
    """Return the focus that a mistyped one is nearest to: faces and places come before objects."""
    if text.startswith("custom"):
        return "custom"
    return closest(text, [*get_args(NamedFocus), "face"]) or closest(text, FOUND)


def read_density(text: str) -> Expression | int | None:
    """Read dots per inch, or an expression of the source's own."""
    expression = Expression.parse(text, variables=(DENSITY_VARIABLE,))
    return _DENSITY.read(text) if expression is None or expression.is_constant else expression


def read_padding(text: str) -> tuple[Side, ...] | None:
    """Read one to four numbers in the order of CSS, or an expression for all sides."""
    if all(map(WHOLE.fullmatch, text.split("_", 4))):
        numbers = [int(word) for word in text.split("_")]
        return tuple(numbers) if len(numbers) <= 4 else None
    value = read_value(text)
    return (value,) if isinstance(value, Expression) else None


def read_tenths(text: str) -> int | None:
    """Read tenths of opacity, 1 to 9, also as ImageKit's libraries may write them: ``0.5``."""
    digit = text.removeprefix("0.")
    return int(digit) if digit in set("123456789") else None


_FOCUS: Final = choice(get_args(NamedFocus))
_DENSITY: Final = whole(1, MOST_DENSITY)
_COLOR_WORDS: Final = "`RRGGBB`, `RRGGBBAA` (AA: per cent, decimal), SVG name"

LENGTH: Final = ParameterKind("px, expression", read_side, write_number, whole(1, 65535).near)
SIDE: Final = ParameterKind("px, share of the source (`0.4`), expression", read_side, write_number, LENGTH.near)
WIDTH: Final = SIDE.with_words(f"{SIDE.values}, `auto`", {"auto": "auto"})
OFFSET: Final = ParameterKind("px (`N` is minus), expression", read_offset, write_number)
LAYER_OFFSET: Final = OFFSET.with_words(OFFSET.values, {"-0": FAR_EDGE, FAR_EDGE: FAR_EDGE})
RATIO: Final = ParameterKind("`4-3`, `4_3`, `4:3`, expression", read_ratio, write_ratio)
FOCUS: Final = ParameterKind(
    f"{_FOCUS.values}, `face`, [an object](#detectors) such as `car`, several (`cat_dog`), "
    "`custom_LEFT_TOP_WIDTH_HEIGHT`",
    read_focus,
    str,
    near_focus,
)
ZOOM: Final = ParameterKind(
    "0.01 to 100", lambda text: within(parse_number(text), Fraction(1, 100), Fraction(100)), write_number
)
DPR: Final = ParameterKind(
    "", lambda text: within(read_value(text), LEAST_DPR, MOST_DPR), write_number, whole(1, 5).near
).with_words("0.1 to 5, `auto`, expression", {"auto": "auto"})
"""Expressions are brought into the range."""
ANGLE: Final = ParameterKind("", read_angle, write_number).with_words(
    "degrees clockwise (`N` is minus), `auto`", {"auto": Fraction(0)}
)
"""``auto`` is 0, because EXIF orientation is always applied."""
TRIM: Final = whole(1, 99).with_words("`true`, `false`, 1 to 99", {"true": DEFAULT_TRIM, "false": 0})
COLORIZE: Final = ParameterKind("nothing, any of `co-COLOUR`, `in-0…100` joined by `_`", Colorize.parse)
COLOR_REPLACE: Final = ParameterKind(
    "`TO`, `TO_TOLERANCE`, `TO_TOLERANCE_FROM`; tolerance 0 to 100", ColorReplacement.parse
)
SHARPEN: Final = whole(1, 2000).with_words("nothing, 1 to 2000", {"": DEFAULT_SHARPEN})
UNSHARP: Final = ParameterKind("", Unsharp.parse).with_words(
    "nothing, `radius-sigma-amount-threshold`", {"": DEFAULT_UNSHARP}
)
GRADIENT: Final = ParameterKind(
    "nothing, any of `ld-` (degrees or side), `from-`, `to-` (colours), `sp-` (share, px, expression) joined by `_`",
    Gradient.parse,
)
BORDER: Final = ParameterKind("`width_colour`; width in px or an expression", Border.parse)
RADIUS: Final = ParameterKind("px, `max`, four of them (`10_10_max_0`)", Radius.parse)
DISTORT: Final = ParameterKind("`p-X1_Y1_X2_Y2_X3_Y3_X4_Y4`, `a-DEGREES` (1 to 359, `N` is minus)", Distortion.parse)
SHADOW: Final = ParameterKind(
    "nothing, any of `bl-0…15`, `st-0…100`, `x-`, `y-` (N100 to 100) joined by `_`", Shadow.parse
)
OPACITY: Final = ParameterKind("0 to 100, or a share such as `0.8`", read_opacity, str, whole(0, 100).near)
COLOR: Final = ParameterKind(_COLOR_WORDS, Color.parse, str, lambda text: closest(text, NAMES))
BACKGROUND: Final = ParameterKind(
    f"{_COLOR_WORDS}, `blurred`, `blurred_25_N30`, `dominant`, `gradient_dominant`, `gradient_dominant_4`",
    read_background,
    str,
    lambda text: closest(text, [*NAMES, "blurred", "dominant", "gradient_dominant"]),
)
DENSITY: Final = ParameterKind("1 to 1200, expression of `idn`", read_density, str, _DENSITY.near)
FLAG: Final = ParameterKind("nothing", {"": True, "1": True, "true": True}.get, lambda _: "")
"""ImageKit's older libraries write ``e-contrast-1`` and ``e-grayscale-true``; the canonical form is the bare key."""
BOOLEAN: Final = ParameterKind("`true`, `false`", {"true": True, "false": False}.get, lambda value: str(value).lower())
PATH: Final = ParameterKind("key, `@@` for `/`", read_path, write_path)
ENCODED_PATH: Final = ParameterKind("key in base64", read_encoded_path, write_input)

TEXT: Final = ParameterKind(f"text, at most {MAX_CHARACTERS} characters", read_text, write_text)
ENCODED_TEXT: Final = ParameterKind(f"text in base64, at most {MAX_CHARACTERS} characters", read_encoded_text)
FONT: Final = ParameterKind(
    f"{', '.join(f'`{name}`' for name in FONTS)}, key of a font's file (`fonts@@My.ttf`)",
    read_font,
    write_path,
    lambda text: closest(text, FONTS),
)
PADDING: Final = ParameterKind(
    "px, two to four of them as in CSS (`10_20`), expression",
    read_padding,
    lambda value: "_".join(map(write_number, value)),
)
TENTHS: Final = ParameterKind("1 to 9, or a share such as `0.5`", read_tenths)
ALPHA: Final = ParameterKind(
    TENTHS.values, lambda text: (read_tenths(text) or 0) * 10 or None, lambda value: str(value // 10)
)
TYPOGRAPHY: Final = ParameterKind("`b`, `i`, `strikethrough`, several joined by `_`", read_typography)
