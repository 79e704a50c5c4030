"""Where every pixel of a step goes: pure arithmetic on sizes, exact in integers and fractions.

Sizes are (width, height) in px of the upright picture. Every rounding is to the nearest whole px, halves up; a side
is never below 1 px. Rules that ImageKit leaves open are listed in ``docs/transforms.md``.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import msgspec

from s3img.errors import ImageError, ImageTooLarge, TransformError
from s3img.limits import Limits
from s3img.transform.expressions import Expression, nearest, parse_number
from s3img.transform.focus import FocusBox, is_detected
from s3img.transform.look import Gradient
from s3img.transform.overlays import ANCHORS, PARENT_VARIABLES, variables_of
from s3img.transform.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s3img.transform.expressions import Offset, Side
    from s3img.transform.overlays import Place
    from s3img.transform.steps import Crop

__all__ = ["LIMITS", "NEVER_ENLARGE", "NO_HINTS", "Box", "Hints", "Plan", "Point", "Size", "plan", "plans"]

Size: TypeAlias = tuple[int, int]
"""Width and height in px."""

Point: TypeAlias = tuple[Fraction, Fraction]
"""A place in a picture, as shares of its width and height: (1/2, 1/2) is the centre."""

LIMITS: Final = Limits()

NEVER_ENLARGE: Final = frozenset({"at_max", "maintain_ratio_no_enlarge", "pad_resize_no_enlarge"})

LEAST_DPR: Final = Fraction(1, 10)
MOST_DPR: Final = Fraction(5)

_DPR_CEILING: Final = 5_000
"""A side in px above which dpr is ignored, as ImageKit documents."""

_HINT_STEP: Final = 100
"""Widths that clients tell are rounded up to hundreds of px, or every window size would have a result of its own."""

_SHADOW_PIXELS: Final = 2_000_000
"""Px of a picture above which ImageKit refuses a shadow; blurring that much is slow."""

_LARGEST: Final = 2**31 - 1

_TURN_UNIT: Final = 10**9
"""Sines are rounded to such parts, so that places are the same on every machine."""

_HALF: Final = Fraction(1, 2)

_SQUARE: Final = (Fraction(0), Fraction(0), Fraction(0), Fraction(0))


class Box(msgspec.Struct, frozen=True):
    """A rectangle in px of the picture; its edges may lie between pixels."""

    left: Fraction | int
    top: Fraction | int
    right: Fraction | int
    bottom: Fraction | int

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom as floats, as Pillow's ``resize(box=)`` takes them."""
        return float(self.left), float(self.top), float(self.right), float(self.bottom)


class Hold(msgspec.Struct, frozen=True):
    """Where a window lies on one axis: from ``start``, around ``centre`` (px), around ``focus`` or by ``anchor``.

    ``anchor`` is the share of the rest that lies before the window (0, 1/2 or 1); ``focus`` is a share of the side,
    and the window stays inside the picture.
    """

    anchor: Fraction
    start: int | None = None
    centre: Fraction | None = None
    focus: Fraction | None = None

    def place(self, length: int, window: int) -> int:
        """Return where a window begins on a side of ``length``; an odd rest goes to the right or the bottom."""
        if self.start is not None:
            return self.start
        if self.centre is not None:
            return nearest(self.centre - Fraction(window, 2))
        return math.trunc(self.exact(Fraction(length), Fraction(window)))

    def exact(self, length: Fraction, window: Fraction) -> Fraction:
        """Return where a window begins by ``focus`` or ``anchor``, without rounding."""
        if self.focus is None or window >= length:
            return (length - window) * self.anchor
        return min(max(self.focus * length - window / 2, Fraction(0)), length - window)


Holds: TypeAlias = tuple[Hold, Hold]


class View(msgspec.Struct, frozen=True):
    """Where the px of the source are in the picture that enters a step: an affine map, exact except for odd angles.

    ``across`` and ``down`` are three numbers each: a place x, y of the source is at ``a * x + b * y + c``.
    """

    across: tuple[Fraction, Fraction, Fraction]
    down: tuple[Fraction, Fraction, Fraction]

    @classmethod
    def of(cls, source: Size, size: Size) -> View:
        """Return the view of a picture that shows the whole of its source."""
        nothing = Fraction(0)
        return cls((Fraction(size[0], source[0]), nothing, nothing), (nothing, Fraction(size[1], source[1]), nothing))

    def moved(self, x: Fraction | int, y: Fraction | int) -> View:
        """Return the view after the picture was moved."""
        (a, b, c), (d, e, f) = self.across, self.down
        return View((a, b, c + x), (d, e, f + y))

    def scaled(self, x: Fraction | int, y: Fraction | int) -> View:
        """Return the view after the picture was scaled; below 0, it is mirrored as well."""
        return View(
            (self.across[0] * x, self.across[1] * x, self.across[2] * x),
            (self.down[0] * y, self.down[1] * y, self.down[2] * y),
        )

    def turned(self, degrees: Fraction) -> View:
        """Return the view after the picture was turned clockwise about its top left corner."""
        angle = math.radians(degrees)
        sine, cosine = (Fraction(round(share * _TURN_UNIT), _TURN_UNIT) for share in (math.sin(angle), math.cos(angle)))
        (a, b, c), (d, e, f) = self.across, self.down
        return View(
            (a * cosine - d * sine, b * cosine - e * sine, c * cosine - f * sine),
            (a * sine + d * cosine, b * sine + e * cosine, c * sine + f * cosine),
        )

    def cut(self, part: tuple[int, int, int, int]) -> View:
        """Return the view of a part (left, top, right, bottom)."""
        return self.moved(-part[0], -part[1])

    def after(self, step: Step, planned: Plan) -> View:
        """Return the view of what a step makes of the picture; corners that were moved one by one stay where they were.

        Trimming comes before a plan, and is not looked at here.
        """
        source, scaled, canvas = planned.source, planned.scaled, planned.canvas
        view = self.moved(-source.left, -source.top)
        view = view.scaled(
            scaled[0] / Fraction(source.right - source.left), scaled[1] / Fraction(source.bottom - source.top)
        )
        view = view.moved(*planned.offset)
        if step.flip and "h" in step.flip:
            view = view.scaled(-1, 1).moved(canvas[0], 0)
        if step.flip and "v" in step.flip:
            view = view.scaled(1, -1).moved(0, canvas[1])
        if step.rotate:
            half = Fraction(canvas[0], 2), Fraction(canvas[1], 2)
            middle = Fraction(planned.output[0], 2), Fraction(planned.output[1], 2)
            return view.moved(-half[0], -half[1]).turned(step.rotate).moved(*middle)
        return view.moved(planned.border, planned.border)

    def spot(self, box: FocusBox) -> Box:
        """Return the upright box around what a box of the source shows, also outside of the picture."""
        corners = [(x, y) for x in (box.left, box.left + box.width) for y in (box.top, box.top + box.height)]
        (a, b, c), (d, e, f) = self.across, self.down
        xs, ys = [a * x + b * y + c for x, y in corners], [d * x + e * y + f for x, y in corners]
        return Box(min(xs), min(ys), max(xs), max(ys))


class Fit(msgspec.Struct, frozen=True):
    """The part taken, its size after scaling, the canvas, and where on it the scaled part lies."""

    source: Box
    scaled: Size
    canvas: Size
    offset: Size = (0, 0)


def pixels(value: Fraction | int) -> int:
    """Round a side to whole px, to at least one."""
    return max(1, nearest(value))


def scale(size: Size, scaled: Size) -> Fit:
    """Take the whole picture and scale it."""
    return Fit(Box(0, 0, *size), scaled, scaled)


def by_width(size: Size, width: int) -> Size:
    """Return the size of that width and the same ratio."""
    return width, max(1, (2 * size[1] * width + size[0]) // (2 * size[0]))


def by_height(size: Size, height: int) -> Size:
    """Return the size of that height and the same ratio."""
    return max(1, (2 * size[0] * height + size[1]) // (2 * size[1])), height


def is_wider(size: Size, than: Size) -> bool:
    """Tell whether a size is at least as wide for its height as another."""
    return size[0] * than[1] >= than[0] * size[1]


def inside(size: Size, wanted: Size, *, enlarge: bool) -> Size:
    """Return the largest size of the picture's ratio inside another; one of its own without ``enlarge``."""
    if not enlarge and wanted[0] >= size[0] and wanted[1] >= size[1]:
        return size
    return by_width(size, wanted[0]) if is_wider(size, wanted) else by_height(size, wanted[1])


def cover(size: Size, wanted: Size, holds: Holds) -> Fit:
    """Crop to the ratio asked for before scaling: the box is exact, so nothing is distorted or rounded twice."""
    (w, h), (to_w, to_h) = size, wanted
    wide = is_wider(size, wanted)
    box_w, box_h = (Fraction(h * to_w, to_h), Fraction(h)) if wide else (Fraction(w), Fraction(w * to_h, to_w))
    left, top = holds[0].exact(Fraction(w), box_w), holds[1].exact(Fraction(h), box_h)
    return Fit(Box(left, top, left + box_w, top + box_h), wanted, wanted)


def cover_no_enlarge(size: Size, wanted: Size, holds: Holds) -> Fit:
    """Crop a picture that would have to grow to the ratio asked for, at its own scale."""
    if wanted[0] <= size[0] and wanted[1] <= size[1]:
        return cover(size, wanted, holds)
    return extract(size, by_height(wanted, size[1]) if is_wider(size, wanted) else by_width(wanted, size[0]), holds)


def pad(size: Size, scaled: Size, canvas: Size, holds: Holds) -> Fit:
    """Scale the whole picture and put it on a canvas."""
    # The picture lies on the canvas as a window of the canvas's size would lie on the picture, with the sign changed.
    left, top = (-hold.place(s, c) for hold, s, c in zip(holds, scaled, canvas, strict=True))
    return Fit(Box(0, 0, *size), scaled, canvas, (left, top))


def extract(size: Size, wanted: Size, holds: Holds) -> Fit:
    """Cut without scaling; a window that reaches over an edge ends there, unless its centre was given: that fails."""
    cut = pad_extract(size, wanted, holds)
    if cut.scaled != wanted and any(hold.centre is not None for hold in holds):
        raise TransformError(f"A {wanted[0]}x{wanted[1]} extract around xc, yc leaves the {size[0]}x{size[1]} picture.")
    return Fit(cut.source, cut.scaled, cut.scaled)


def pad_extract(size: Size, wanted: Size, holds: Holds) -> Fit:
    """Cut without scaling, and pad where the window reaches over an edge."""
    left, top = (hold.place(s, w) for hold, s, w in zip(holds, size, wanted, strict=True))
    part = Box(max(0, left), max(0, top), min(size[0], left + wanted[0]), min(size[1], top + wanted[1]))
    scaled = int(part.right - part.left), int(part.bottom - part.top)
    if min(scaled) < 1:
        raise TransformError(
            f"A {wanted[0]}x{wanted[1]} extract at {left}, {top} lies outside the {size[0]}x{size[1]} picture."
        )
    return Fit(part, scaled, wanted, (int(part.left) - left, int(part.top) - top))


FACE_ROOM: Final = 2
"""How much larger than a face the window around it is: detectors see it from brow to chin, people mean the head."""


def widened(part: Box, ratio: Fraction, size: Size) -> Box:
    """Return the smallest box of a ratio around a part of the picture, inside it and at most as large."""
    width = max(Fraction(part.right - part.left), (part.bottom - part.top) * ratio)
    width = min(width, Fraction(size[0]), size[1] * ratio)
    return around(part, (width, width / ratio), size)


def around(part: Box, window: tuple[Fraction, Fraction], size: Size) -> Box:
    """Return a window that is not larger than the picture, with the centre of a part, moved inside the picture."""
    edges: list[Fraction] = []
    for low, high, side, whole in zip((part.left, part.top), (part.right, part.bottom), window, size, strict=True):
        edges.append(min(max(Fraction(low + high - side) / 2, Fraction(0)), whole - side))
    return Box(edges[0], edges[1], edges[0] + window[0], edges[1] + window[1])


_CENTRED: Final = (Hold(_HALF), Hold(_HALF))

UNCUT: Final = frozenset({"force", "at_max", "at_max_enlarge", "at_least"})
"""Crops that keep the whole picture: nothing has to be placed."""

CROPS: Final[Mapping[Crop, Callable[[Size, Size, Holds], Fit]]] = {
    "maintain_ratio": cover,
    "maintain_ratio_no_enlarge": cover_no_enlarge,
    "force": lambda size, wanted, _: scale(size, wanted),
    "at_max": lambda size, wanted, _: scale(size, inside(size, wanted, enlarge=False)),
    "at_max_enlarge": lambda size, wanted, _: scale(size, inside(size, wanted, enlarge=True)),
    "at_least": lambda size, wanted, _: scale(
        size, by_height(size, wanted[1]) if is_wider(size, wanted) else by_width(size, wanted[0])
    ),
    "pad_resize": lambda size, wanted, holds: pad(size, inside(size, wanted, enlarge=True), wanted, holds),
    "pad_resize_no_enlarge": lambda size, wanted, holds: pad(size, inside(size, wanted, enlarge=False), wanted, holds),
    "extract": extract,
    "pad_extract": pad_extract,
    "pad_extract_no_shrink": lambda size, wanted, holds: pad_extract(
        size, (max(size[0], wanted[0]), max(size[1], wanted[1])), holds
    ),
}
"""How each value of ``c`` and ``cm`` fits a picture to a size of which both sides are asked for.

Those that cut raise TransformError for a window that leaves the picture.
"""


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """What a client tells of its screen, for ``dpr-auto`` and ``w-auto``; ``width`` in device px."""

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


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The geometry of one step on a picture of ``size`` (its size after the step's trim).

    ``source``: the part to take; ``scaled``: its size after one resize; ``canvas``: the size after padding, with the
    scaled part's top left corner at ``offset``; ``border``: px added to every side of the canvas; ``radii``: px, top
    left, top right, bottom right, bottom left of the bordered picture, at most half of its shorter side; ``stop``: the
    share of the gradient's line at which its last colour is reached; ``output``: the size after turning by the step's
    angle.
    """

    size: Size
    source: Box
    scaled: Size
    canvas: Size
    offset: Size
    border: int
    radii: tuple[Fraction, Fraction, Fraction, Fraction]
    output: Size
    stop: float = 1.0

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


class StepGeometry(msgspec.Struct, frozen=True):
    """One step on one picture: ``source`` is the size before the first step, ``size`` the one that enters this step.

    ``parent`` is the size of what a layer is laid on, None outside of layers.
    """

    source: Size
    size: Size
    step: Step
    hints: Hints = NO_HINTS
    focus: Point | None = None
    parent: Size | None = None
    view: View | None = None

    def spot(self, box: FocusBox) -> Box | None:
        """Return where a box of the source is in the picture, None where the picture shows nothing of it."""
        spot = (self.view or View.of(self.source, self.size)).spot(box)
        edges = [
            (max(low, 0), min(high, side))
            for low, high, side in zip((spot.left, spot.top), (spot.right, spot.bottom), self.size, strict=True)
        ]
        (left, right), (top, bottom) = edges
        return Box(left, top, right, bottom) if left < right and top < bottom else None

    def value(self, number: int | Fraction | Expression) -> Fraction | int:
        """Return a number, or what an expression is for this picture."""
        if not isinstance(number, Expression):
            return number
        if not self.parent and variables_of(number) & PARENT_VARIABLES:  # of a step that was not read from a text
            raise TransformError(f"{number} is known only inside layers.", token=str(number))
        sides = {"iw": self.source[0], "ih": self.source[1], "cw": self.size[0], "ch": self.size[1]}
        ratios = {"iar": Fraction(*self.source), "car": Fraction(*self.size)}
        if self.parent:
            sides |= {"bw": self.parent[0], "bh": self.parent[1]}
            ratios["bar"] = Fraction(*self.parent)
        return number.evaluate({**{name: Fraction(side) for name, side in sides.items()}, **ratios})

    def positive(self, number: int | Fraction | Expression, *, least: int = 1) -> Fraction | int:
        """Return the value of a number that must be above 0 (``least=0``: not below)."""
        value = self.value(number)
        if value < 0 or (least and value == 0):
            raise TransformError(
                f"{number} is {float(value):g} for this picture; it must be above 0.", token=str(number)
            )
        return value

    def side(self, side: Side | None, whole: int) -> Fraction | int | None:
        """Return a side in px; ``whole`` px are the source's, of which a fraction is a share."""
        if side is None:
            return None
        return side * whole if isinstance(side, Fraction) else self.positive(side)

    def wanted(self) -> tuple[int | None, int | None]:
        """Return the sides asked for, in whole px; None where the picture decides."""
        step, hints = self.step, self.hints
        width = None if step.width == "auto" else self.side(step.width, self.source[0])
        height = self.side(step.height, self.source[1])
        dpr = self.dpr()
        if dpr != 1 and not all(side is None or 1 <= side * dpr <= _DPR_CEILING for side in (width, height)):
            dpr = Fraction(1)
        across = None if width is None else pixels(width * dpr if dpr != 1 else width)
        if step.width == "auto" and hints.width is not None:
            across = math.ceil(hints.width / _HINT_STEP) * _HINT_STEP
        down = None if height is None else pixels(height * dpr if dpr != 1 else height)
        return (across, down) if step.aspect_ratio is None else self.with_ratio(across, down)

    def dpr(self) -> Fraction:
        """Return what sides are multiplied by; an expression is brought into the range that numbers have."""
        if self.step.dpr == "auto":
            return Fraction(self.hints.dpr)
        value = Fraction(self.value(self.step.dpr)) if isinstance(self.step.dpr, Expression) else self.step.dpr
        return min(max(value, LEAST_DPR), MOST_DPR)

    def with_ratio(self, width: int | None, height: int | None) -> tuple[int, int]:
        """Complete the sides by the ratio asked for."""
        ratio = Fraction(self.positive(self.step.aspect_ratio or 1))
        if width is not None:
            return width, pixels(width / ratio) if height is None else height
        if height is not None:
            return pixels(height * ratio), height
        # The largest size of that ratio inside the picture, or for padding the smallest around it.
        wide = is_wider(self.size, (ratio.numerator, ratio.denominator))
        if wide == self.step.crop.startswith("pad"):
            return self.size[0], pixels(self.size[0] / ratio)
        return pixels(self.size[1] * ratio), self.size[1]

    def gradient_stop(self, canvas: Size) -> float:
        """Return where the step's gradient ends, as a share of its line on a picture of ``canvas`` px.

        The line runs through the centre and ends where perpendiculars to it meet the corners, as CSS has it.
        """
        gradient = self.step.gradient or Gradient()
        stop = self.positive(gradient.stop)
        if stop <= 1:
            return float(stop)
        angle = math.radians(gradient.direction)
        return float(stop) / (abs(canvas[0] * math.sin(angle)) + abs(canvas[1] * math.cos(angle)))

    def found(self) -> Fit | None:
        """Return what is taken around a face or an object that was found; None for the rules of all other crops.

        Without a size it is the face or the object itself, and with one a face fills it. Else there is as much around
        the object as the picture has; ``zoom`` takes less of that, or less of an extract.
        """
        step, size = self.step, self.size
        box = step.focus
        if not isinstance(box, FocusBox) or not is_detected(box) or (spot := self.spot(box)) is None:
            return None
        room = (FACE_ROOM if box.kind == "face" else 1) / step.zoom
        wide, high = (
            min(room * Fraction(far - near), Fraction(side))
            for near, far, side in zip((spot.left, spot.top), (spot.right, spot.bottom), size, strict=True)
        )
        part = around(spot, (wide, high), size)
        if step.width is None and step.height is None:
            if step.aspect_ratio is not None:
                part = widened(part, Fraction(self.positive(step.aspect_ratio)), size)
            part = Box(*(nearest(edge) for edge in (part.left, part.top, part.right, part.bottom)))
            kept = max(1, int(part.right - part.left)), max(1, int(part.bottom - part.top))
            left, top = min(int(part.left), size[0] - kept[0]), min(int(part.top), size[1] - kept[1])
            return Fit(Box(left, top, left + kept[0], top + kept[1]), kept, kept)
        width, height = self.wanted()
        if width is None or height is None:
            return None
        ratio = Fraction(width, height)
        if step.crop == "maintain_ratio" and box.kind == "face":
            return Fit(widened(part, ratio, size), (width, height), (width, height))
        largest = min(Fraction(size[0]), size[1] * ratio)
        if step.crop == "maintain_ratio":
            taken = min(largest / step.zoom, largest)
        elif step.crop == "extract" and step.zoom != 1:
            taken = min(width / step.zoom, largest)
        else:
            return None
        return Fit(around(spot, (taken, taken / ratio), size), (width, height), (width, height))

    def fit(self) -> Fit:
        """Return what is taken of the picture and where it goes."""
        if (found := self.found()) is not None:
            return found
        width, height = self.wanted()
        crop, size = self.step.crop, self.size
        if width is None and height is None:
            return scale(size, size)
        if (width is not None and height is not None) or "extract" in crop:
            holds = _CENTRED if crop in UNCUT else self.holds()
            return CROPS[crop](size, (width or size[0], height or size[1]), holds)
        scaled = by_width(size, width) if width is not None else by_height(size, height or 1)
        return scale(size, min(size, scaled) if crop in NEVER_ENLARGE else scaled)

    def holds(self) -> Holds:
        """Return how a crop or a padded picture is placed on each axis."""
        step = self.step
        is_place = isinstance(step.focus, str) and step.focus in ANCHORS
        across, down = ANCHORS[cast("Place", step.focus) if is_place else "center"]
        if step.crop in {"extract", "pad_extract"}:
            return self.hold(across, 0, step.x, step.xc), self.hold(down, 1, step.y, step.yc)
        return self.hold(across, 0), self.hold(down, 1)

    def hold(self, anchor: Fraction, axis: int, start: Offset | None = None, centre: Offset | None = None) -> Hold:
        """Return the place on one axis (0: across, 1: down); a written place wins over a centre, that over a focus."""
        if start is not None:
            return Hold(anchor, start=nearest(self.value(start)))
        if centre is not None:
            return Hold(anchor, centre=Fraction(self.value(centre)))
        box, focus = self.step.focus, self.focus
        if isinstance(box, FocusBox) and not (is_detected(box) and self.spot(box) is None):
            spot = (self.view or View.of(self.source, self.size)).spot(box)
            low, high = ((spot.left, spot.right), (spot.top, spot.bottom))[axis]
            # What lies outside of the picture is nearest to an edge of it.
            return Hold(anchor, focus=min(max(Fraction(low + high) / (2 * self.size[axis]), Fraction(0)), Fraction(1)))
        return Hold(anchor, focus=None if focus is None else focus[axis])


def plans(
    size: Size,
    steps: Sequence[Step],
    *,
    hints: Hints = NO_HINTS,
    limits: Limits = LIMITS,
    parent: Size | None = None,
) -> tuple[Plan, ...]:
    """Work out the geometry of a chain on a source of ``size``, as if trimming removed nothing.

    Raise TransformError, ImageTooLarge and ImageError as ``plan`` does.
    """
    found: list[Plan] = []
    view = View.of(size, size) if any(isinstance(step.focus, FocusBox) for step in steps) else None
    for step in steps:
        entering = found[-1].output if found else size
        found.append(plan(entering, step, source=size, hints=hints, limits=limits, parent=parent, view=view))
        view = view and view.after(step, found[-1])
    return tuple(found)


def plan(
    size: Size,
    step: Step,
    *,
    source: Size | None = None,
    hints: Hints = NO_HINTS,
    limits: Limits = LIMITS,
    focus: Point | None = None,
    parent: Size | None = None,
    view: View | None = None,
) -> Plan:
    """Work out the geometry of one step on a picture of ``size``; ``source`` is the size before the first step.

    ``focus`` is what a crop keeps under ``fo-auto``; the sizes of a plan do not depend on it.
    ``parent`` is the size of what a layer is laid on; ``view`` is where the source is in the picture, the whole of it
    without one. Raise TransformError when an expression has no useful value for
    this picture or an extract leaves it, ImageTooLarge when the result is above ``limits``, ImageError when ``size`` is
    not a size.
    """
    if not 1 <= min(size) <= max(size) <= _LARGEST:
        raise ImageError(f"A picture's sides have 1 to {_LARGEST} px, not {size[0]} x {size[1]}.", fix="")
    geometry = StepGeometry(source or size, size, step, hints, focus, parent, view)
    fitted = geometry.fit()
    border = nearest(geometry.positive(step.border.width, least=0)) if step.border else 0
    bordered = fitted.canvas[0] + 2 * border, fitted.canvas[1] + 2 * border
    check_size(bordered, limits)
    output = turned(bordered, step.rotate) if step.rotate else bordered
    check_size(output, limits)
    if step.shadow and output[0] * output[1] > _SHADOW_PIXELS:
        what = f"A shadow is drawn for at most {_SHADOW_PIXELS:,} px; this picture has {output[0]}x{output[1]} there."
        raise TransformError(what, suggestion="w-1000,e-shadow")
    radii = _SQUARE
    if step.radius is not None:
        most = Fraction(min(bordered), 2)
        corners = step.radius.top_left, step.radius.top_right, step.radius.bottom_right, step.radius.bottom_left
        a, b, c, d = (most if corner == "max" else min(Fraction(corner), most) for corner in corners)
        radii = a, b, c, d
    return Plan(
        size=size,
        source=fitted.source,
        scaled=fitted.scaled,
        canvas=fitted.canvas,
        offset=fitted.offset,
        border=border,
        radii=radii,
        output=output,
        stop=geometry.gradient_stop(fitted.canvas) if step.gradient else 1.0,
    )


def check_size(size: Size, limits: Limits) -> None:
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


def turned(size: Size, angle: Fraction) -> Size:
    """Return the size of the upright rectangle around a picture turned by ``angle`` degrees."""
    if angle % 90 == 0:
        return (size[1], size[0]) if angle % 180 else size
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    width, height = size[0] * cosine + size[1] * sine, size[0] * sine + size[1] * cosine
    return max(1, math.floor(width + 0.5)), max(1, math.floor(height + 0.5))
