"""What a transform says, as values: a ``Step`` changes pixels, an ``Output`` says how the result is written.

Texts become these values in ``s3img.transform``; ``s3img.transform.geometry`` works out a step's boxes.

The order in which the parts of ONE step apply (ImageKit leaves it open except for "radius after resizing"; only ``:``
orders steps among each other):

1. ``trim``
2. size: ``width height aspect_ratio crop focus x y xc yc dpr`` (scale, crop, pad); a padded area is transparent when
   ``background`` is set and black otherwise
3. ``flip``
4. ``grayscale``, ``contrast``, ``colorize``, ``color_replace``, ``blur``, ``sharpen``, ``unsharp``, ``gradient``
5. ``border``: around the picture, adds its width to every side
6. ``radius``: rounds the outer corners, border included
7. ``distort``: on the canvas as it is by then
8. ``rotate``: clockwise about the centre; the canvas grows to the turned rectangle; new corners are transparent
9. ``shadow``: under everything that can be seen by then; the canvas stays
10. ``opacity``
11. ``background``: lies under everything that is transparent by then
12. ``layers``: laid over it, one after the other

A step with a ``condition`` does nothing else.

Geometry counts in the upright picture: EXIF orientation is applied before the first step.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

import msgspec
from msgspec.structs import replace

from s3img.transform.colors import Color
from s3img.transform.conditions import SizeTest
from s3img.transform.expressions import (
    LARGEST,
    Expression,
    Offset,
    Side,
    format_number,
    nearest,
    parse_number,
    read_value,
)
from s3img.transform.focus import Focus
from s3img.transform.look import Backdrop, Colorize, ColorReplacement, Distortion, Gradient, Shadow
from s3img.transform.overlays import Content, LayerMode, Position, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Crop = Literal[
    "maintain_ratio",
    "maintain_ratio_no_enlarge",
    "force",
    "at_max",
    "at_max_enlarge",
    "at_least",
    "pad_resize",
    "pad_resize_no_enlarge",
    "extract",
    "pad_extract",
    "pad_extract_no_shrink",
]
Flip = Literal["h", "v", "h_v"]
Subsampling = Literal["444", "420"]
OutputFormat = Literal["auto", "orig", "jpeg", "png", "webp", "avif", "gif"]

Corner: TypeAlias = int | Literal["max"]
"""The radius of one corner in px, or ``max``: half of the shorter side."""

DEFAULT_TRIM = 10
"""What ``t-true`` means; ImageKit does not say. sharp's and imgproxy's default."""
DEFAULT_SHARPEN = 10
"""What ``e-sharpen`` without a number means; ImageKit does not say."""


WHOLE: Final = re.compile(r"[0-9]{1,6}")
_BORDER = re.compile(r"(.+)[-_]([^-_]+)")


def read_offset(text: str) -> Expression | int | None:
    """Read a place or thickness: px below a million, rounded to whole ones, or an expression; None for other texts."""
    value = read_value(text)
    if not isinstance(value, Fraction):
        return value
    return nearest(value) if abs(value) < LARGEST else None


class Border(msgspec.Struct, frozen=True):
    """The thickness of a frame in px and its colour: ``5_FFF000``."""

    width: Offset
    color: Color

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a border, or return None for any other text."""
        # The last joint is meant: an expression for the width has more of them.
        match = _BORDER.fullmatch(text)
        if match is None:
            return None
        width, color = read_offset(match[1]), Color.parse(match[2])
        if width is None or color is None or (isinstance(width, int) and width < 0):
            return None
        return cls(width, color)

    def __str__(self) -> str:
        return f"{self.width}_{self.color}"


class Radius(msgspec.Struct, frozen=True):
    """The radius of each corner; geometry never makes them larger than half of the shorter side."""

    top_left: Corner
    top_right: Corner
    bottom_right: Corner
    bottom_left: Corner

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``20``, ``max`` or four of them (``10_10_max_0``), or return None."""
        words = text.split("_", 4)
        if len(words) not in {1, 4} or not all(word == "max" or WHOLE.fullmatch(word) for word in words):
            return None
        corners: list[Corner] = ["max" if word == "max" else int(word) for word in words]
        return cls(*corners) if len(corners) == 4 else cls(*corners * 4)

    def __str__(self) -> str:
        corners = (self.top_left, self.top_right, self.bottom_right, self.bottom_left)
        return str(corners[0]) if len({*corners}) == 1 else "_".join(map(str, corners))


class Unsharp(msgspec.Struct, frozen=True):
    """An unsharp mask: ``radius`` and ``sigma`` in px, ``amount`` as a gain, ``threshold`` 0 to 1."""

    radius: Fraction
    sigma: Fraction
    amount: Fraction
    threshold: Fraction

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``radius-sigma-amount-threshold``, or return None."""
        numbers = [number for number in map(parse_number, text.split("-", 4)) if number is not None]
        if len(numbers) != 4 or text.count("-") != 3 or not all(0 <= number <= 100 for number in numbers):
            return None
        unsharp = cls(*numbers)
        return unsharp if unsharp.sigma > 0 and unsharp.threshold <= 1 else None

    def __str__(self) -> str:
        return "-".join(map(format_number, (self.radius, self.sigma, self.amount, self.threshold)))


DEFAULT_UNSHARP = Unsharp(Fraction(2), Fraction(2), Fraction("0.8"), Fraction("0.024"))
"""What ``e-usm`` without numbers means: the numbers of ImageKit's own example."""


class Step(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """One step between two ``:``; a field at its default does nothing.

    ``page`` is the number of the source's frame to take, from 1, wherever it stands in a chain; 0 is the usual.
    ``zoom`` divides the window around what a detector found. ``dpr`` multiplies width and height (``auto``: the
    client's hint); ``x y`` are the top left corner and ``xc yc`` the
    centre of an extract; ``trim`` is a tolerance of 1 to 99, 0 for none; ``blur`` 0 to 100; ``sharpen`` from 0;
    ``rotate`` in degrees clockwise, 0 <= r < 360; ``opacity`` in per cent.
    """

    page: int = 0
    trim: int = 0
    width: Side | Literal["auto"] | None = None
    height: Side | None = None
    aspect_ratio: Fraction | Expression | None = None
    crop: Crop = "maintain_ratio"
    focus: Focus = "center"
    zoom: Fraction = Fraction(1)
    x: Offset | None = None
    y: Offset | None = None
    xc: Offset | None = None
    yc: Offset | None = None
    dpr: Fraction | Expression | Literal["auto"] = Fraction(1)
    flip: Flip | None = None
    grayscale: bool = False
    contrast: bool = False
    colorize: Colorize | None = None
    color_replace: ColorReplacement | None = None
    blur: int = 0
    sharpen: int = 0
    unsharp: Unsharp | None = None
    gradient: Gradient | None = None
    border: Border | None = None
    radius: Radius | None = None
    distort: Distortion | None = None
    rotate: Fraction = Fraction(0)
    shadow: Shadow | None = None
    opacity: int = 100
    background: Color | Backdrop | None = None
    layers: tuple[Layer, ...] = ()
    condition: Conditional | None = None

    def inputs(self) -> Iterator[str]:
        """Yield the keys of all pictures and fonts that the step's layers, and its branches, are made of."""
        for step in self.every():
            for layer in step.layers:
                content = layer.content
                key = content if isinstance(content, str) else content.font_key if isinstance(content, Text) else ""
                if key:
                    yield key

    def focuses(self) -> Iterator[Focus]:
        """Yield what the step and its branches keep of the picture; layers have a focus of their own."""
        yield self.focus
        if self.condition:
            for step in (*self.condition.then.steps, *self.condition.otherwise.steps):
                yield from step.focuses()

    def with_branches(self, change: Callable[[tuple[Step, ...]], tuple[Step, ...]]) -> Step:
        """Return the step with other chains in the branches of its condition."""
        condition = self.condition
        if condition is None:
            return self
        then, otherwise = (replace(one, steps=change(one.steps)) for one in (condition.then, condition.otherwise))
        return replace(self, condition=replace(condition, then=then, otherwise=otherwise))

    def with_focus(self, change: Callable[[Focus], Focus]) -> Step:
        """Return the step with another focus, and its branches with theirs; layers keep their own."""
        step = replace(self, focus=change(self.focus))
        return step.with_branches(lambda steps: tuple(one.with_focus(change) for one in steps))

    def with_contents(self, change: Callable[[Content], Content]) -> Step:
        """Return the step with other contents for its layers, and for those of its branches."""

        def inside(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return tuple(step.with_contents(change) for step in steps)

        layers = [replace(one, content=change(one.content), steps=inside(one.steps)) for one in self.layers]
        return replace(self, layers=tuple(layers)).with_branches(inside)

    def every(self) -> Iterator[Step]:
        """Yield the step itself and every one inside its layers and branches."""
        yield self
        chains = [layer.steps for layer in self.layers]
        if self.condition:
            chains += [self.condition.then.steps, self.condition.otherwise.steps]
        for chain in chains:
            for step in chain:
                yield from step.every()


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """What is laid over a picture: its content, the steps that are run on it, its place, and how it is mixed in."""

    content: Content
    steps: tuple[Step, ...] = ()
    position: Position = Position()
    mode: LayerMode | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """How the last step's picture is written; None leaves the choice to the configuration or the engine.

    ``quality`` 1 to 100; ``subsampling`` of colour in AVIF and JPEG; ``metadata`` keeps all of it, ``color_profile``
    the ICC profile only; ``density`` in dots per inch, or an expression of the source's (``idn``); ``original`` asks
    for the source's own bytes; ``default_image`` is the key served for a missing source.
    """

    format: OutputFormat = "auto"
    quality: int | None = None
    subsampling: Subsampling | None = None
    lossless: bool = False
    progressive: bool | None = None
    metadata: bool = False
    color_profile: bool = False
    density: int | Expression | None = None
    original: bool = False
    default_image: str = ""


class Branch(msgspec.Struct, frozen=True):
    """A chain that a condition chooses, and what it says of the result."""

    steps: tuple[Step, ...] = ()
    output: Output = Output()


class Conditional(msgspec.Struct, frozen=True):
    """Run one of two branches: ``then`` where all tests of any group hold, else ``otherwise``."""

    groups: tuple[tuple[SizeTest, ...], ...]
    then: Branch = Branch()
    otherwise: Branch = Branch()

    def branch(self, source: tuple[int, int], size: tuple[int, int]) -> Branch:
        """Return the branch to take on a picture of ``size`` made from one of ``source`` px."""
        holds = any(all(test.holds(source, size) for test in group) for group in self.groups)
        return self.then if holds else self.otherwise
