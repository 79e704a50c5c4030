"""Transform: what to do to an image, as a value with a canonical text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self, Unpack

import msgspec
from msgspec.structs import asdict, force_setattr, replace

from s3img.errors import TransformError
from s3img.transform import canonical, grammar
from s3img.transform.geometry import LIMITS, NO_HINTS, Hints, Plan, Size, plans
from s3img.transform.options import TransformOptions, read_options
from s3img.transform.steps import Output, OutputFormat, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from s3img.limits import Limits

_NO_PRESETS: Final[Mapping[str, str]] = {}
_OUTPUT_NAMES: Final = frozenset(Output.__struct_fields__)
_NOTHING: Final = Step()
_PLAIN: Final = Output()


class Transform(msgspec.Struct, frozen=True, cache_hash=True):
    """Hold a chain of steps and how the result is written; ``str`` is its canonical text, ``parse`` reads it back.

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
        return cls._of_fields(grammar.read(text, presets=presets, limits=limits))

    @classmethod
    def of(
        cls, *, preset: str = "", presets: Mapping[str, str] = _NO_PRESETS, **options: Unpack[TransformOptions]
    ) -> Self:
        """Build a transform of one step from long names: ``Transform.of(width=300, crop="at_max", format="webp")``.

        ``preset`` is the ``n-`` parameter. Raise TransformError for an unknown name or a bad value.
        """
        fields = read_options(options)
        return cls._of_fields(grammar.read_preset(preset, fields, presets=presets) if preset else [fields])

    @classmethod
    def _of_fields(cls, fields: Iterable[Mapping[str, Any]]) -> Self:
        """Sort fields into steps and output; where steps disagree about the output, the last one wins."""
        steps: list[Step] = []
        written: dict[str, Any] = {}
        for step in fields:
            written |= {name: value for name, value in step.items() if name in _OUTPUT_NAMES}
            steps.append(Step(**{name: value for name, value in step.items() if name not in _OUTPUT_NAMES}))
        return cls(tuple(steps), Output(**written))

    def then(self, other: Transform, *, limits: Limits = LIMITS) -> Self:
        """Return the chain of both; ``other`` decides the output where it says something about it.

        Raise TransformError when the chain is longer than ``limits.steps``.
        """
        steps = self.steps + other.steps
        if len(steps) > limits.steps:
            raise TransformError(f"A chain of {len(steps)} steps is too long; limits.steps is {limits.steps}.")
        said = {name: value for name, value in asdict(other.output).items() if value != getattr(_PLAIN, name)}
        return type(self)(steps, replace(self.output, **said))

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
        return plans(size, self.steps, hints=hints, limits=limits)

    def output_size(self, size: Size, *, hints: Hints = NO_HINTS, limits: Limits = LIMITS) -> Size:
        """Return the size of the result for a source of ``size`` px (upright); exact unless a step trims.

        What ``t-`` cuts off depends on the pixels: the size is then that of a picture without such edges. Raise
        TransformError, ImageTooLarge and ImageError as ``s3img.transform.geometry.plan`` does.
        """
        if self.output.original:
            return size
        return plans(size, self.steps or (_NOTHING,), hints=hints, limits=limits)[-1].output
