"""How a picture meets the size asked for: one function per ``c-`` and ``cm-`` value, exact in integers and fractions.

Each takes the picture's size, the size asked for and, per axis, where to hold on to; each returns a ``Fit``.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img.errors import TransformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3img.steps import Crop

Size: TypeAlias = tuple[int, int]
"""Width and height in px."""


class Box(msgspec.Struct, frozen=True):
    """Hold a rectangle in px of the picture; its edges may lie between pixels."""

    left: Fraction | int
    top: Fraction | int
    right: Fraction | int
    bottom: Fraction | int

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom as floats, as Pillow's ``resize(box=)`` takes them."""
        return float(self.left), float(self.top), float(self.right), float(self.bottom)


class Hold(msgspec.Struct, frozen=True):
    """Hold where a window lies on one axis: from ``start``, around ``centre``, or by ``anchor`` (0, 1/2 or 1)."""

    anchor: Fraction
    start: int | None = None
    centre: Fraction | None = None

    def place(self, length: int, window: int) -> int:
        """Return where a window begins on a side of ``length``; an odd rest goes to the right or the bottom."""
        if self.start is not None:
            return self.start
        if self.centre is not None:
            return nearest(self.centre - Fraction(window, 2))
        return math.trunc((length - window) * self.anchor)


Holds: TypeAlias = tuple[Hold, Hold]


class Fit(msgspec.Struct, frozen=True):
    """Hold the part taken, its size after scaling, the canvas, and where on it the scaled part lies."""

    source: Box
    scaled: Size
    canvas: Size
    offset: Size = (0, 0)


def nearest(value: Fraction | int) -> int:
    """Round to the nearest whole number, halves up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def pixels(value: Fraction | int) -> int:
    """Round a side to whole px, to at least one."""
    return max(1, nearest(value))


def _share(side: int, part: int, whole: int) -> int:
    """Return ``pixels`` of side * part / whole."""
    return max(1, (2 * side * part + whole) // (2 * whole))


def fit(size: Size, wanted: Size, crop: Crop, holds: Holds) -> Fit:
    """Fit a picture to the size asked for; raise TransformError for an extract that leaves the picture."""
    return _FITS[crop](size, wanted, holds)


def scale(size: Size, scaled: Size) -> Fit:
    """Take the whole picture and scale it."""
    return Fit(Box(0, 0, *size), scaled, scaled)


def by_width(size: Size, width: int) -> Size:
    """Return the size of that width and the same ratio."""
    return width, _share(size[1], width, size[0])


def by_height(size: Size, height: int) -> Size:
    """Return the size of that height and the same ratio."""
    return _share(size[0], height, size[1]), height


def is_wider(size: Size, than: Size) -> bool:
    """Tell whether a size is at least as wide for its height as another."""
    return size[0] * than[1] >= than[0] * size[1]


def _inside(size: Size, wanted: Size) -> Size:
    return by_width(size, wanted[0]) if is_wider(size, wanted) else by_height(size, wanted[1])


def _inside_no_enlarge(size: Size, wanted: Size) -> Size:
    return size if wanted[0] >= size[0] and wanted[1] >= size[1] else _inside(size, wanted)


def _force(size: Size, wanted: Size, _: Holds) -> Fit:
    return scale(size, wanted)


def _at_max(size: Size, wanted: Size, _: Holds) -> Fit:
    return scale(size, _inside_no_enlarge(size, wanted))


def _at_max_enlarge(size: Size, wanted: Size, _: Holds) -> Fit:
    return scale(size, _inside(size, wanted))


def _at_least(size: Size, wanted: Size, _: Holds) -> Fit:
    return scale(size, by_height(size, wanted[1]) if is_wider(size, wanted) else by_width(size, wanted[0]))


def _maintain_ratio(size: Size, wanted: Size, holds: Holds) -> Fit:
    """Crop to the ratio asked for before scaling: the box is exact, so nothing is distorted or rounded twice."""
    (w, h), (to_w, to_h) = size, wanted
    wide = is_wider(size, wanted)
    box_w, box_h = (Fraction(h * to_w, to_h), Fraction(h)) if wide else (Fraction(w), Fraction(w * to_h, to_w))
    left, top = (w - box_w) * holds[0].anchor, (h - box_h) * holds[1].anchor
    return Fit(Box(left, top, left + box_w, top + box_h), wanted, wanted)


def _maintain_ratio_no_enlarge(size: Size, wanted: Size, holds: Holds) -> Fit:
    """Crop a picture that would have to grow to the ratio asked for, at its own scale."""
    if wanted[0] <= size[0] and wanted[1] <= size[1]:
        return _maintain_ratio(size, wanted, holds)
    return _extract(size, by_height(wanted, size[1]) if is_wider(size, wanted) else by_width(wanted, size[0]), holds)


def _pad(size: Size, scaled: Size, canvas: Size, holds: Holds) -> Fit:
    left, top = (-hold.place(s, c) for hold, s, c in zip(holds, scaled, canvas, strict=True))
    return Fit(Box(0, 0, *size), scaled, canvas, (left, top))


def _pad_resize(size: Size, wanted: Size, holds: Holds) -> Fit:
    return _pad(size, _inside(size, wanted), wanted, holds)


def _pad_resize_no_enlarge(size: Size, wanted: Size, holds: Holds) -> Fit:
    return _pad(size, _inside_no_enlarge(size, wanted), wanted, holds)


def _extract(size: Size, wanted: Size, holds: Holds) -> Fit:
    """Cut without scaling; a window that reaches over an edge ends there, unless its centre was given: that fails."""
    cut = _pad_extract(size, wanted, holds)
    if cut.scaled != wanted and any(hold.centre is not None for hold in holds):
        raise TransformError(f"A {_say(wanted)} extract around xc, yc leaves the {_say(size)} picture.")
    return Fit(cut.source, cut.scaled, cut.scaled)


def _pad_extract(size: Size, wanted: Size, holds: Holds) -> Fit:
    left, top = (hold.place(s, w) for hold, s, w in zip(holds, size, wanted, strict=True))
    part = Box(max(0, left), max(0, top), min(size[0], left + wanted[0]), min(size[1], top + wanted[1]))
    scaled = int(part.right - part.left), int(part.bottom - part.top)
    if min(scaled) < 1:
        raise TransformError(f"A {_say(wanted)} extract at {left}, {top} lies outside the {_say(size)} picture.")
    return Fit(part, scaled, wanted, (int(part.left) - left, int(part.top) - top))


def _pad_extract_no_shrink(size: Size, wanted: Size, holds: Holds) -> Fit:
    return _pad_extract(size, (max(size[0], wanted[0]), max(size[1], wanted[1])), holds)


def _say(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


_FITS: Final[Mapping[Crop, Callable[[Size, Size, Holds], Fit]]] = {
    "maintain_ratio": _maintain_ratio,
    "maintain_ratio_no_enlarge": _maintain_ratio_no_enlarge,
    "force": _force,
    "at_max": _at_max,
    "at_max_enlarge": _at_max_enlarge,
    "at_least": _at_least,
    "pad_resize": _pad_resize,
    "pad_resize_no_enlarge": _pad_resize_no_enlarge,
    "extract": _extract,
    "pad_extract": _pad_extract,
    "pad_extract_no_shrink": _pad_extract_no_shrink,
}
