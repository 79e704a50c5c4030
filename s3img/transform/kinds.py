"""The kinds of values that parameters take: how each is read from text, written back, and explained."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Final
from urllib.parse import quote

import msgspec

from s3img.errors import TransformError
from s3img.transform.expressions import Expression, format_number, parse_number
from s3img.transform.geometry import nearest
from s3img.transform.steps import DEFAULT_SHARPEN, DEFAULT_TRIM, DEFAULT_UNSHARP, Border, Color, Corner, Radius, Unsharp

_HEX = re.compile(r"([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})([0-9]{2})?")


# The names of SVG 1.1, section 4.4.
_NAMES = """
aliceblue:F0F8FF antiquewhite:FAEBD7 aqua:00FFFF aquamarine:7FFFD4 azure:F0FFFF beige:F5F5DC bisque:FFE4C4
black:000000 blanchedalmond:FFEBCD blue:0000FF blueviolet:8A2BE2 brown:A52A2A burlywood:DEB887 cadetblue:5F9EA0
chartreuse:7FFF00 chocolate:D2691E coral:FF7F50 cornflowerblue:6495ED cornsilk:FFF8DC crimson:DC143C cyan:00FFFF
darkblue:00008B darkcyan:008B8B darkgoldenrod:B8860B darkgray:A9A9A9 darkgreen:006400 darkgrey:A9A9A9
darkkhaki:BDB76B darkmagenta:8B008B darkolivegreen:556B2F darkorange:FF8C00 darkorchid:9932CC darkred:8B0000
darksalmon:E9967A darkseagreen:8FBC8F darkslateblue:483D8B darkslategray:2F4F4F darkslategrey:2F4F4F
darkturquoise:00CED1 darkviolet:9400D3 deeppink:FF1493 deepskyblue:00BFFF dimgray:696969 dimgrey:696969
dodgerblue:1E90FF firebrick:B22222 floralwhite:FFFAF0 forestgreen:228B22 fuchsia:FF00FF gainsboro:DCDCDC
ghostwhite:F8F8FF gold:FFD700 goldenrod:DAA520 gray:808080 green:008000 greenyellow:ADFF2F grey:808080
honeydew:F0FFF0 hotpink:FF69B4 indianred:CD5C5C indigo:4B0082 ivory:FFFFF0 khaki:F0E68C lavender:E6E6FA
lavenderblush:FFF0F5 lawngreen:7CFC00 lemonchiffon:FFFACD lightblue:ADD8E6 lightcoral:F08080 lightcyan:E0FFFF
lightgoldenrodyellow:FAFAD2 lightgray:D3D3D3 lightgreen:90EE90 lightgrey:D3D3D3 lightpink:FFB6C1
lightsalmon:FFA07A lightseagreen:20B2AA lightskyblue:87CEFA lightslategray:778899 lightslategrey:778899
lightsteelblue:B0C4DE lightyellow:FFFFE0 lime:00FF00 limegreen:32CD32 linen:FAF0E6 magenta:FF00FF maroon:800000
mediumaquamarine:66CDAA mediumblue:0000CD mediumorchid:BA55D3 mediumpurple:9370DB mediumseagreen:3CB371
mediumslateblue:7B68EE mediumspringgreen:00FA9A mediumturquoise:48D1CC mediumvioletred:C71585
midnightblue:191970 mintcream:F5FFFA mistyrose:FFE4E1 moccasin:FFE4B5 navajowhite:FFDEAD navy:000080
oldlace:FDF5E6 olive:808000 olivedrab:6B8E23 orange:FFA500 orangered:FF4500 orchid:DA70D6 palegoldenrod:EEE8AA
palegreen:98FB98 paleturquoise:AFEEEE palevioletred:DB7093 papayawhip:FFEFD5 peachpuff:FFDAB9 peru:CD853F
pink:FFC0CB plum:DDA0DD powderblue:B0E0E6 purple:800080 red:FF0000 rosybrown:BC8F8F royalblue:4169E1
saddlebrown:8B4513 salmon:FA8072 sandybrown:F4A460 seagreen:2E8B57 seashell:FFF5EE sienna:A0522D silver:C0C0C0
skyblue:87CEEB slateblue:6A5ACD slategray:708090 slategrey:708090 snow:FFFAFA springgreen:00FF7F
steelblue:4682B4 tan:D2B48C teal:008080 thistle:D8BFD8 tomato:FF6347 turquoise:40E0D0 violet:EE82EE wheat:F5DEB3
white:FFFFFF whitesmoke:F5F5F5 yellow:FFFF00 yellowgreen:9ACD32
"""

NAMES: Final = dict(re.findall(r"(\w+):(\w+)", _NAMES))


def read_color(text: str) -> Color | None:
    """Read ``FFF000``, ``FFF00050`` (50 per cent opaque, not hexadecimal) or a name such as ``pink``, or None."""
    match = _HEX.fullmatch(NAMES.get(text.lower(), text))
    if match is None:
        return None
    red, green, blue = (int(match[channel], 16) for channel in (1, 2, 3))
    return Color(red, green, blue, 100 if match[4] is None else int(match[4]))


_LIMIT: Final = 10**6

_WHOLE = re.compile(r"[0-9]{1,6}")

_RATIO = re.compile(r"([0-9.]+)[-_:]([0-9.]+)")

_BORDER = re.compile(r"(.+)[-_]([^-_]+)")

_UNFIT = re.compile("[\\x00-\\x1f\\x7f\\ud800-\\udfff]")


class ParameterKind(msgspec.Struct, frozen=True):
    """Hold one kind of value: words for the docs, text to value (None for a bad one), and back.

    ``write`` returns None when another key writes the value; ``near`` offers the nearest valid text, or nothing.
    """

    values: str
    read: Callable[[str], Any]
    write: Callable[[Any], str | None] = str
    near: Callable[[str], str] = lambda _: ""

    @property
    def words(self) -> str:
        """Return ``values`` for a message."""
        return self.values.replace("`", "")


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
        lambda text: next(iter(difflib.get_close_matches(text[:40].lower(), known, n=1)), ""),
    )


def whole(low: int, high: int) -> ParameterKind:
    """Return the kind for whole numbers from ``low`` to ``high``."""

    def read(text: str) -> int | None:
        return int(text) if _WHOLE.fullmatch(text) and low <= int(text) <= high else None

    def near(text: str) -> str:
        number = parse_number(text)
        return "" if number is None else str(min(max(nearest(number), low), high))

    return ParameterKind(f"{low} to {high}", read, str, near)


def _evaluated(text: str) -> Expression | Fraction | None:
    """Read an expression, worked out at once where it has no variable: to whole px, or six decimals below 1."""
    expression = Expression.parse(text)
    if expression is None or not expression.is_constant:
        return expression
    try:
        value = expression.evaluate({})
    except TransformError:
        return None
    if not expression.operators:
        return value
    return Fraction(nearest(value)) if abs(value) >= 1 else Fraction(nearest(value * _LIMIT), _LIMIT)


def _read_side(text: str) -> Expression | Fraction | int | None:
    if _WHOLE.fullmatch(text):
        return int(text) or None
    value = _evaluated(text)
    if not isinstance(value, Fraction):
        return value
    if value.denominator == 1:
        return int(value) if 1 <= value < _LIMIT else None
    return value if 0 < value < 1 else None


def _read_width(text: str) -> Expression | Fraction | int | str | None:
    return "auto" if text == "auto" else _read_side(text)


def _read_offset(text: str) -> Expression | int | None:
    value = _evaluated(text)
    if not isinstance(value, Fraction):
        return value
    return int(value) if value.denominator == 1 and abs(value) < _LIMIT else None


def _read_ratio(text: str) -> Expression | Fraction | None:
    match = _RATIO.fullmatch(text)
    if match is None:
        value = _evaluated(text)
    else:
        width, height = parse_number(match[1]), parse_number(match[2])
        value = width / height if width and height else None
    if not isinstance(value, Fraction):
        return value
    return value if 0 < value.numerator < _LIMIT and value.denominator < _LIMIT else None


def _read_dpr(text: str) -> Fraction | str | None:
    value = parse_number(text)
    if value is None:
        return "auto" if text == "auto" else None
    return value if Fraction(1, 10) <= value <= 5 else None


def _read_angle(text: str) -> Fraction | None:
    value = parse_number("0" if text == "auto" else text)
    return None if value is None else value % 360


def _read_trim(text: str) -> int | None:
    return {"true": DEFAULT_TRIM, "false": 0}.get(text) if text.isalpha() else _TRIM.read(text)


def _read_sharpen(text: str) -> int | None:
    return _SHARPEN.read(text) if text else DEFAULT_SHARPEN


def _read_unsharp(text: str) -> Unsharp | None:
    if not text:
        return DEFAULT_UNSHARP
    numbers = [number for number in map(parse_number, text.split("-")) if number is not None and 0 <= number <= 100]
    if len(numbers) != 4 or text.count("-") != 3:
        return None
    unsharp = Unsharp(*numbers)
    return unsharp if unsharp.sigma > 0 and unsharp.threshold <= 1 else None


def _write_unsharp(value: Unsharp) -> str:
    numbers = (value.radius, value.sigma, value.amount, value.threshold)
    return "" if value == DEFAULT_UNSHARP else "-".join(map(format_number, numbers))


def _read_radius(text: str) -> Radius | None:
    words = text.split("_")
    corners = [corner for corner in map(_read_corner, words) if corner is not None]
    if len(corners) < len(words) or len(corners) not in {1, 4}:
        return None
    return Radius(*corners) if len(corners) == 4 else Radius(*corners * 4)


def _read_corner(text: str) -> Corner | None:
    if text == "max":
        return "max"
    return int(text) if _WHOLE.fullmatch(text) else None


def _write_radius(value: Radius) -> str:
    corners = (value.top_left, value.top_right, value.bottom_right, value.bottom_left)
    return str(corners[0]) if len({*corners}) == 1 else "_".join(map(str, corners))


def _read_border(text: str) -> Border | None:
    match = _BORDER.fullmatch(text)
    if match is None:
        return None
    width, color = _read_offset(match[1]), read_color(match[2])
    if width is None or color is None or (isinstance(width, int) and width < 0):
        return None
    return Border(width, color)


def _write_border(value: Border) -> str:
    return f"{value.width}_{value.color}"


def _write_number(value: Expression | Fraction | int | str) -> str:
    return format_number(Fraction(value)) if isinstance(value, int | Fraction) else str(value)


def _write_ratio(value: Expression | Fraction) -> str:
    return f"{value.numerator}-{value.denominator}" if isinstance(value, Fraction) else str(value)


def _read_path(text: str) -> str | None:
    """Read a key with ``@@`` for ``/``; refuse what no store could hold or a file system would misread."""
    path = text.replace("@@", "/").strip("/")
    bad = not {"", ".", ".."}.isdisjoint(path.split("/")) or _UNFIT.search(path)
    return None if bad else path


def _write_path(value: str) -> str:
    return quote(value.replace("/", "@@"), safe="@")


def _near_color(text: str) -> str:
    return next(iter(difflib.get_close_matches(text[:40].lower(), NAMES, n=1)), "")


_TRIM: Final = whole(1, 99)

_SHARPEN: Final = whole(1, 2000)

WIDTH: Final = ParameterKind(
    "px, share of the source (`0.4`), expression, `auto`", _read_width, _write_number, whole(1, 65535).near
)

SIDE: Final = ParameterKind(
    "px, share of the source (`0.4`), expression", _read_side, _write_number, whole(1, 65535).near
)

OFFSET: Final = ParameterKind("px (`N` is minus), expression", _read_offset, _write_number)

RATIO: Final = ParameterKind("`4-3`, `4_3`, `4:3`, expression", _read_ratio, _write_ratio)

DPR: Final = ParameterKind("0.1 to 5, `auto`", _read_dpr, _write_number, whole(1, 5).near)

ANGLE: Final = ParameterKind("degrees clockwise (`N` is minus), `auto`", _read_angle, _write_number)

TRIM: Final = ParameterKind(
    "`true`, `false`, 1 to 99", _read_trim, lambda value: "true" if value == DEFAULT_TRIM else str(value), _TRIM.near
)

SHARPEN: Final = ParameterKind(
    "nothing, 1 to 2000",
    _read_sharpen,
    lambda value: "" if value == DEFAULT_SHARPEN else str(value),
    _SHARPEN.near,
)

UNSHARP: Final = ParameterKind("nothing, `radius-sigma-amount-threshold`", _read_unsharp, _write_unsharp)

RADIUS: Final = ParameterKind("px, `max`, four of them (`10_10_max_0`)", _read_radius, _write_radius)

BORDER: Final = ParameterKind("`width_colour`; width in px or an expression", _read_border, _write_border)

COLOR: Final = ParameterKind(
    "`RRGGBB`, `RRGGBBAA` (AA: per cent, decimal), SVG name", read_color, Color.__str__, _near_color
)

FLAG: Final = ParameterKind("nothing", lambda text: None if text else True, lambda _: "")

BOOLEAN: Final = ParameterKind("`true`, `false`", {"true": True, "false": False}.get, lambda value: str(value).lower())

PATH: Final = ParameterKind("key, `@@` for `/`", _read_path, _write_path)
