"""Where every pixel of a step goes: pure arithmetic on sizes, exact in integers and fractions.

Sizes are (width, height) in px of the upright picture. Every rounding is to the nearest whole px, halves up; a side
is never below 1 px. Rules that ImageKit leaves open are listed in ``docs/transforms.md``.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img.errors import ImageError, ImageTooLarge, TransformError
from s3img.limits import Limits
from s3img.transform.expressions import Expression, parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s3img.transform.steps import Border, Crop, Focus, Offset, Radius, Side, Step

__all__ = ["LIMITS", "NO_HINTS", "Box", "Hints", "Plan", "Size", "plan", "plans"]

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

_DPR_CEILING: Final = 5_000
"""A side in px above which dpr is ignored, as ImageKit documents."""

_HINT_STEP: Final = 100

_LARGEST: Final = 2**31 - 1

_HALF: Final = Fraction(1, 2)

_Sides = tuple[int | None, int | None]


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a client says about its screen, for ``dpr-auto`` and ``w-auto``; ``width`` in device px."""

    dpr: Fraction | float = 1
    width: int | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Hints:
        """Read ``Sec-CH-DPR`` and ``Sec-CH-Width`` (or the older names); a senseless value counts as absent."""
        dpr = parse_number(headers.get("Sec-CH-DPR") or headers.get("DPR") or "")
        width = parse_number(headers.get("Sec-CH-Width") or headers.get("Width") or "")
        return cls(
            dpr=min(dpr, Fraction(5)) if dpr is not None and dpr >= Fraction(1, 10) else 1,
            width=math.ceil(width) if width is not None and width > 0 else None,
        )


NO_HINTS: Final = Hints()

LIMITS: Final = Limits()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the geometry of one step on a picture of ``size`` (its size after the step's trim).

    ``source``: the part to take; ``scaled``: its size after one resize; ``canvas``: the size after padding, with the
    scaled part's top left corner at ``offset``; ``border``: px added to every side of the canvas; ``radii``: px, top
    left, top right, bottom right, bottom left of the bordered picture, at most half of its shorter side; ``output``:
    the size after turning by the step's angle.
    """

    size: Size
    source: Box
    scaled: Size
    canvas: Size
    offset: Size
    border: int
    radii: tuple[Fraction, Fraction, Fraction, Fraction]
    output: Size

    @property
    def resizes(self) -> bool:
        """Tell whether pixels are resampled."""
        return (self.source.right - self.source.left, self.source.bottom - self.source.top) != self.scaled

    @property
    def crops(self) -> bool:
        """Tell whether a part of the picture is left out."""
        return self.source != Box(0, 0, *self.size)

    @property
    def pads(self) -> bool:
        """Tell whether the canvas shows more than the scaled part."""
        return self.canvas != self.scaled


class _Scene(msgspec.Struct, frozen=True):
    """Hold the sizes that expressions know: of the source and of the picture that enters the step."""

    source: Size
    current: Size

    def value(self, number: int | Fraction | Expression) -> Fraction | int:
        return number.evaluate(self._variables()) if isinstance(number, Expression) else number

    def _variables(self) -> dict[str, Fraction]:
        sides = {"iw": self.source[0], "ih": self.source[1], "cw": self.current[0], "ch": self.current[1]}
        ratios = {"iar": Fraction(*self.source), "car": Fraction(*self.current)}
        return {**{name: Fraction(side) for name, side in sides.items()}, **ratios}


def plans(size: Size, steps: Iterable[Step], *, hints: Hints = NO_HINTS, limits: Limits = LIMITS) -> tuple[Plan, ...]:
    """Work out the geometry of a chain on a source of ``size``, as if trimming removed nothing.

    Raise TransformError, ImageTooLarge and ImageError as ``plan`` does.
    """
    found: list[Plan] = []
    for step in steps:
        entering = found[-1].output if found else size
        found.append(plan(entering, step, source=size, hints=hints, limits=limits))
    return tuple(found)


def plan(
    size: Size, step: Step, *, source: Size | None = None, hints: Hints = NO_HINTS, limits: Limits = LIMITS
) -> Plan:
    """Work out the geometry of one step on a picture of ``size``; ``source`` is the size before the first step.

    Raise TransformError when an expression has no useful value for this picture or an extract leaves it,
    ImageTooLarge when the result is above ``limits``, ImageError when ``size`` is no size.
    """
    if not 1 <= min(size) <= max(size) <= _LARGEST:
        raise ImageError(f"A picture's sides have 1 to {_LARGEST} px.")
    scene = _Scene(source or size, size)
    fitted = _fit(scene, step, _wanted(scene, step, hints))
    border = _thickness(scene, step.border)
    bordered = fitted.canvas[0] + 2 * border, fitted.canvas[1] + 2 * border
    _check(bordered, limits)
    output = _turned(bordered, step.rotate) if step.rotate else bordered
    _check(output, limits)
    return Plan(
        size=size,
        source=fitted.source,
        scaled=fitted.scaled,
        canvas=fitted.canvas,
        offset=fitted.offset,
        border=border,
        radii=_radii(bordered, step.radius),
        output=output,
    )


def _check(size: Size, limits: Limits) -> None:
    """Raise ImageTooLarge when a result of that size is above the limits."""
    if max(size) > limits.output_side:
        name, allowed = "output_side", limits.output_side
    elif size[0] * size[1] > limits.output_pixels:
        name, allowed = "output_pixels", limits.output_pixels
    else:
        return
    raise ImageTooLarge(
        f"The result would have {size[0]:.9g} x {size[1]:.9g} px; limits.{name} is {allowed}.",
        limit=name,
        fix="Ask for a smaller size, or raise the limit in the configuration.",
    )


def _turned(size: Size, angle: Fraction) -> Size:
    """Return the size of the upright rectangle around a picture turned by ``angle`` degrees."""
    if angle % 90 == 0:
        return (size[1], size[0]) if angle % 180 else size
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    width, height = size[0] * cosine + size[1] * sine, size[0] * sine + size[1] * cosine
    return max(1, math.floor(width + 0.5)), max(1, math.floor(height + 0.5))


def _wanted(scene: _Scene, step: Step, hints: Hints) -> _Sides:
    """Work out the sides asked for, in whole px; None where the picture decides."""
    width = None if step.width is None or step.width == "auto" else _side(scene, step.width, scene.source[0])
    height = None if step.height is None else _side(scene, step.height, scene.source[1])
    dpr = _dpr(step, hints, width, height)
    sides = (
        _client_width(hints) if step.width == "auto" else None if width is None else pixels(width * dpr),
        None if height is None else pixels(height * dpr),
    )
    return sides if step.aspect_ratio is None else _with_ratio(scene, step, sides)


def _side(scene: _Scene, side: Side, whole: int) -> Fraction | int:
    if isinstance(side, Fraction):
        return side * whole
    value = scene.value(side)
    if value <= 0:
        raise _useless(side, value)
    return value


def _useless(expression: object, value: Fraction | int) -> TransformError:
    return TransformError(
        f"{expression} is {float(value):g} for this picture; it must be above 0.", token=str(expression)
    )


def _dpr(step: Step, hints: Hints, *sides: Fraction | int | None) -> Fraction | int:
    dpr = Fraction(hints.dpr) if step.dpr == "auto" else step.dpr
    fits = dpr != 1 and all(side is None or 1 <= side * dpr <= _DPR_CEILING for side in sides)
    return dpr if fits else 1


def _client_width(hints: Hints) -> int | None:
    return None if hints.width is None else -(-hints.width // _HINT_STEP) * _HINT_STEP


def _with_ratio(scene: _Scene, step: Step, sides: _Sides) -> _Sides:
    ratio = Fraction(scene.value(step.aspect_ratio or 1))
    if ratio <= 0:
        raise _useless(step.aspect_ratio, ratio)
    width, height = sides
    if width is not None:
        return width, pixels(width / ratio) if height is None else height
    if height is not None:
        return pixels(height * ratio), height
    return _ratio_alone(scene.current, ratio, enclose=step.crop.startswith("pad"))


def _ratio_alone(size: Size, ratio: Fraction, *, enclose: bool) -> Size:
    """Return the largest size of that ratio inside the picture, or the smallest around it."""
    wide = is_wider(size, (ratio.numerator, ratio.denominator))
    return (size[0], pixels(size[0] / ratio)) if wide == enclose else (pixels(size[1] * ratio), size[1])


def _fit(scene: _Scene, step: Step, wanted: _Sides) -> Fit:
    size, (width, height) = scene.current, wanted
    if width is not None and height is not None:
        return fit(size, (width, height), step.crop, _holds(scene, step))
    if width is None and height is None:
        return scale(size, size)
    if "extract" in step.crop:
        return fit(size, (width or size[0], height or size[1]), step.crop, _holds(scene, step))
    scaled = by_width(size, width) if width is not None else by_height(size, height or 1)
    return scale(size, min(size, scaled) if step.crop in _NEVER_ENLARGE else scaled)


def _holds(scene: _Scene, step: Step) -> tuple[Hold, Hold]:
    across, down = _ANCHORS[step.focus]
    if step.crop not in {"extract", "pad_extract"}:
        return Hold(across), Hold(down)
    return _hold(scene, across, step.x, step.xc), _hold(scene, down, step.y, step.yc)


def _hold(scene: _Scene, anchor: Fraction, start: Offset | None, centre: Offset | None) -> Hold:
    if start is not None:
        return Hold(anchor, start=nearest(scene.value(start)))
    return Hold(anchor, centre=None if centre is None else Fraction(scene.value(centre)))


def _thickness(scene: _Scene, border: Border | None) -> int:
    if border is None:
        return 0
    width = scene.value(border.width)
    if width < 0:
        raise _useless(border.width, width)
    return nearest(width)


def _radii(size: Size, radius: Radius | None) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    if radius is None:
        return _SQUARE
    most = Fraction(min(size), 2)
    corners = radius.top_left, radius.top_right, radius.bottom_right, radius.bottom_left
    a, b, c, d = (most if corner == "max" else min(Fraction(corner), most) for corner in corners)
    return a, b, c, d


_SQUARE: Final = (Fraction(0), Fraction(0), Fraction(0), Fraction(0))

_NEVER_ENLARGE: Final = frozenset({"at_max", "maintain_ratio_no_enlarge", "pad_resize_no_enlarge"})

_ANCHORS: Final[Mapping[Focus, tuple[Fraction, Fraction]]] = {
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
