"""Transform: what to do to an image, as a value with a canonical text, read from text or from keyword arguments."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypedDict, Unpack

import msgspec
from msgspec.structs import asdict, force_setattr, replace

from s3img.errors import TransformError, closest
from s3img.transform import canonical, grammar
from s3img.transform.expressions import format_number
from s3img.transform.focus import is_sought
from s3img.transform.geometry import LIMITS, NO_HINTS, Hints, Plan, Size, plans
from s3img.transform.overlays import Text
from s3img.transform.parameters import BY_NAME
from s3img.transform.steps import Output, OutputFormat, Step, Subsampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s3img.limits import Limits
    from s3img.transform.focus import Focus
    from s3img.transform.overlays import Content
    from s3img.transform.steps import Corner, Crop, Flip, Layer

    FindFocus = Callable[[Focus, str], Focus]
    """Say what to keep for a focus that is to be looked up: of the picture (""), or of a layer's under a key."""

_NO_PRESETS: Final[Mapping[str, str]] = {}
_OUTPUT_NAMES: Final = frozenset(Output.__struct_fields__)
_HUGE: Final = 10**9
_FLAGS: Final = frozenset({"grayscale", "contrast", "sharpen", "unsharp", "shadow", "gradient", "colorize"})
"""Parameters that are on without a value."""
_JOINTS: Final = {"aspect_ratio": "-", "unsharp": "-", "border": "_", "radius": "_"}
_NOTHING: Final = Step()
_PLAIN: Final = Output()


Length = int | float | Fraction | str
"""Px, a share of the source, or an expression such as ``iw_div_2``."""


class TransformOptions(TypedDict, total=False):
    """Name every parameter; None leaves one out. Values are numbers and words, or texts as in a transform."""

    width: Length | None
    height: Length | None
    aspect_ratio: Length | tuple[float, float] | None
    crop: Crop | None
    focus: str | None
    zoom: float | Fraction | None
    x: int | str | None
    y: int | str | None
    xc: int | str | None
    yc: int | str | None
    dpr: float | Fraction | str | None
    page: int | None
    trim: bool | int | None
    flip: Flip | None
    grayscale: bool | None
    contrast: bool | None
    colorize: bool | str | None
    color_replace: str | None
    blur: int | None
    sharpen: bool | int | None
    unsharp: bool | tuple[float, float, float, float] | str | None
    gradient: bool | str | None
    border: tuple[int | str, str] | str | None
    radius: Corner | tuple[Corner, Corner, Corner, Corner] | str | None
    distort: str | None
    rotate: float | Fraction | Literal["auto"] | None
    shadow: bool | str | None
    opacity: int | float | None
    background: str | None
    format: OutputFormat | Literal["jpg"] | None
    quality: int | None
    subsampling: Subsampling | None
    lossless: bool | None
    progressive: bool | None
    metadata: bool | None
    color_profile: bool | None
    density: int | str | None
    original: bool | None
    default_image: str | None


class Transform(msgspec.Struct, frozen=True, cache_hash=True):
    """A chain of steps and how the result is written; ``str`` is its canonical text, ``parse`` reads it back.

    Two transforms of the same meaning are equal and have the same text.
    """

    steps: tuple[Step, ...] = ()
    output: Output = Output()

    def __post_init__(self) -> None:
        force_setattr(self, "output", canonical.normal_output(self.output))
        force_setattr(self, "steps", () if self.output.original else canonical.normal_steps(self.steps))

    @classmethod
    def parse(cls, text: str, *, presets: Mapping[str, str] = _NO_PRESETS, limits: Limits = LIMITS) -> Self:
        """Read ``w-300,h-200:rt-90`` (also ``tr:…``, ``?tr=…``, percent-encoded); ``presets`` gives ``n-`` its meaning.

        Raise TransformError naming the first token that is not understood.
        """
        return cls(*grammar.built(grammar.read(text, presets=presets, limits=limits)))

    @classmethod
    def of(
        cls, *, preset: str = "", presets: Mapping[str, str] = _NO_PRESETS, **options: Unpack[TransformOptions]
    ) -> Self:
        """Build a transform of one step from long names: ``Transform.of(width=300, crop="at_max", format="webp")``.

        ``preset`` is the ``n-`` parameter. Raise TransformError for an unknown name or a bad value.
        """
        fields = read_options(options)
        steps = grammar.read_preset(preset, fields, presets=presets, limits=LIMITS) if preset else [fields]
        return cls(*grammar.built(steps))

    def then(self, other: Transform, *, limits: Limits = LIMITS) -> Self:
        """Return the chain of both; ``other`` decides the output where it says something about it.

        Raise TransformError when the chain is longer than ``limits.steps``.
        """
        joined = type(self)(self.steps + other.steps, with_output(self.output, other.output))
        if joined.step_count > limits.steps:
            raise TransformError(f"A chain of {joined.step_count} steps is too long; limits.steps is {limits.steps}.")
        return joined

    @property
    def step_count(self) -> int:
        """Return how many steps there are, those of layers and branches included."""
        return sum(1 for step in self.steps for _ in step.every())

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the keys of all pictures and fonts that layers are made of, each once, in the order of the text."""
        for step in self.steps:  # most steps have none, and a service asks for each request
            if step.layers or step.condition:
                return tuple(dict.fromkeys(key for one in self.steps for key in one.inputs()))
        return ()

    def with_inputs(self, name: Callable[[str], str]) -> Self:
        """Return the transform with other keys for the pictures and fonts of its layers: ``name`` says which."""

        def change(content: Content) -> Content:
            if isinstance(content, Text):
                return replace(content, font=name(content.font)) if content.font_key else content
            return name(content) if isinstance(content, str) else content

        return self._with_contents(change) if self.inputs else self

    def with_fonts(self, files: Mapping[str, str]) -> Self:
        """Return the transform with keys of fonts for the names that the settings' ``fonts`` give a file."""
        if not files or not any(step.layers or step.condition for step in self.steps):
            return self
        return self._with_contents(lambda content: content.with_font(files) if isinstance(content, Text) else content)

    def _with_contents(self, change: Callable[[Content], Content]) -> Self:
        return type(self)(tuple(step.with_contents(change) for step in self.steps), self.output)

    @property
    def page(self) -> int:
        """Return the number of the source's frame to take, from 1; 0 where none is asked for."""
        return page_of(self.steps)

    @property
    def is_located(self) -> bool:
        """Tell whether no crop, of the picture or of a layer, keeps what has to be looked up before."""
        return not any(is_sought(inner.focus) for step in self.steps for inner in step.every())

    def has_focus(self, name: Focus) -> bool:
        """Tell whether a crop of the picture itself asks for this focus."""
        return any(name in step.focuses() for step in self.steps)

    def located(self, find: FindFocus) -> Self:
        """Return the transform with what `find` says in place of each focus that has to be looked up.

        Boxes are in px of the source, in every step: geometry follows them through those before.
        """
        return self if self.is_located else type(self)(located_steps(self.steps, "", find), self.output)

    def with_focus(self, change: Callable[[Focus], Focus]) -> Self:
        """Return the transform with another focus for each crop of the picture itself; layers keep theirs."""
        return type(self)(tuple(step.with_focus(change) for step in self.steps), self.output)

    def settled(
        self, size: Size, *, hints: Hints = NO_HINTS, limits: Limits = LIMITS, parent: Size | None = None
    ) -> Self:
        """Return the transform without conditions: with the branches that a source of ``size`` px takes.

        What trimming cuts off is only known from the pixels, and no condition looks at it. Raise what `plans` raises.
        """
        if not any(step.condition for step in self.steps):
            return self
        steps: list[Step] = []
        output, waiting = self.output, list(self.steps)
        while waiting:
            step = waiting.pop(0)
            if step.condition:
                done = plans(size, steps, hints=hints, limits=limits, parent=parent)
                branch = step.condition.branch(size, done[-1].output if done else size)
                waiting = [*branch.steps, *waiting]
                output = with_output(output, branch.output)
            else:
                steps.append(step)
        return type(self)(tuple(steps), output)

    def __str__(self) -> str:
        return canonical.write(self.steps, self.output)

    @property
    def format(self) -> OutputFormat:
        """Return the format asked for, ``auto`` when none is."""
        return self.output.format

    @property
    def quality(self) -> int | None:
        """Return the encoder quality asked for, or None."""
        return self.output.quality

    def plans(self, size: Size, *, hints: Hints = NO_HINTS, limits: Limits = LIMITS) -> tuple[Plan, ...]:
        """Work out the geometry of every step on a source of ``size`` px, as if trimming removed nothing.

        Raise TransformError, ImageTooLarge and ImageError as ``s3img.transform.geometry.plan`` does.
        """
        return plans(size, self.settled(size, hints=hints, limits=limits).steps, hints=hints, limits=limits)

    def output_size(self, size: Size, *, hints: Hints = NO_HINTS, limits: Limits = LIMITS) -> Size:
        """Return the size of the result for a source of ``size`` px (upright); exact unless a step trims.

        What ``t-`` cuts off depends on the pixels: the size is then that of a picture without such edges. Raise
        TransformError, ImageTooLarge and ImageError as ``s3img.transform.geometry.plan`` does.
        """
        if self.output.original:
            return size
        steps = self.settled(size, hints=hints, limits=limits).steps
        return plans(size, steps or (_NOTHING,), hints=hints, limits=limits)[-1].output


def located_steps(steps: Iterable[Step], key: str, find: FindFocus) -> tuple[Step, ...]:
    """Return a chain with each focus looked up; ``key`` is that of its source, "" for the picture itself."""

    def located(layer: Layer) -> Layer:
        # A text or a block of colour shows nothing that could be found.
        where = (layer.content, find) if isinstance(layer.content, str) else ("", _find_nothing)
        return replace(layer, steps=located_steps(layer.steps, *where))

    found: list[Step] = []
    for step in steps:
        focus = find(step.focus, key) if is_sought(step.focus) else step.focus
        one = replace(step, focus=focus, layers=tuple(map(located, step.layers)))
        found.append(one.with_branches(lambda steps: located_steps(steps, key, find)))
    return tuple(found)


def _find_nothing(focus: Focus, _: str) -> Focus:
    return "center" if focus == "custom" else "auto"


def page_of(steps: Iterable[Step]) -> int:
    """Return the frame that the first step names which names any, 0 without one."""
    return next((step.page for step in steps if step.page), 0)


def with_output(first: Output, second: Output) -> Output:
    """Return an output as ``first`` says, where ``second`` says nothing else."""
    said = {name: value for name, value in asdict(second).items() if value != getattr(_PLAIN, name)}
    return replace(first, **said)


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Check keyword arguments as the parser checks texts; return the values by name."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or (value is False and name in _FLAGS):
            continue
        row = BY_NAME.get(name)
        if row is None:
            raise TransformError(f"{name!r} is not a parameter.", token=name, suggestion=closest(name, BY_NAME))
        found[name] = row.kind.read(_text(name, value))
        if found[name] is None:
            raise TransformError(f"{name}={value!r:.60} needs another value: {row.kind.words}.", token=name)
    return found


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
