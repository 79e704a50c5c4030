"""The long names of parameters, as keyword arguments."""

from __future__ import annotations

import difflib
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from s3img.errors import TransformError
from s3img.transform.expressions import format_number
from s3img.transform.parameters import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.transform.steps import Corner, Crop, Flip, Focus, OutputFormat

_HUGE: Final = 10**9
_FLAGS: Final = frozenset({"grayscale", "contrast", "sharpen", "unsharp"})
"""Parameters that are on without a value."""
_JOINTS: Final = {"aspect_ratio": "-", "unsharp": "-", "border": "_", "radius": "_"}

Length = int | float | Fraction | str
"""Px, a share of the source, or an expression such as ``iw_div_2``."""


class TransformOptions(TypedDict, total=False):
    """Name every parameter; None leaves one out. Values are numbers and words, or texts as in a transform."""

    width: Length | None
    height: Length | None
    aspect_ratio: Length | tuple[float, float] | None
    crop: Crop | None
    focus: Focus | None
    x: int | str | None
    y: int | str | None
    xc: int | str | None
    yc: int | str | None
    dpr: float | Fraction | Literal["auto"] | None
    trim: bool | int | None
    flip: Flip | None
    grayscale: bool | None
    contrast: bool | None
    blur: int | None
    sharpen: bool | int | None
    unsharp: bool | tuple[float, float, float, float] | str | None
    border: tuple[int | str, str] | str | None
    radius: Corner | tuple[Corner, Corner, Corner, Corner] | str | None
    rotate: float | Fraction | Literal["auto"] | None
    opacity: int | None
    background: str | None
    format: OutputFormat | Literal["jpg"] | None
    quality: int | None
    lossless: bool | None
    progressive: bool | None
    metadata: bool | None
    color_profile: bool | None
    density: int | None
    original: bool | None
    default_image: str | None


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Check keyword arguments as the parser checks texts; return the values by name."""
    said = {name: value for name, value in options.items() if value is not None}
    return {name: _read(name, value) for name, value in said.items() if not (value is False and name in _FLAGS)}


def _read(name: str, value: object) -> object:
    row = BY_NAME.get(name)
    if row is None:
        near = next(iter(difflib.get_close_matches(name, BY_NAME, n=1)), "")
        raise TransformError(f"{name!r} is not a parameter.", token=name, suggestion=near)
    read = row.kind.read(_text(name, value))
    if read is None:
        raise TransformError(f"{name}={value!r:.60} needs another value: {row.kind.words}.", token=name)
    return read


def _text(name: str, value: object) -> str:
    """Write a value as it stands in a transform's text; a value of a wrong type becomes a text that is refused."""
    if isinstance(value, bool):
        return "" if name in _FLAGS else str(value).lower()
    if isinstance(value, tuple | list):
        return _JOINTS.get(name, " ").join(_text(name, part) for part in value)
    if name == "aspect_ratio" and isinstance(value, Fraction):
        return f"{value.numerator}-{value.denominator}"
    if isinstance(value, int | float | Fraction):
        return format_number(value) if -_HUGE < value < _HUGE else "huge"
    return str(value)
