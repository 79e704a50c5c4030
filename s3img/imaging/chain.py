"""Run the steps of a transform on pixels, in the order that ``s3img.transform.steps`` gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from s3img.imaging import effects
from s3img.imaging.attention import attention_point, thumbnail_size
from s3img.imaging.resize import resize
from s3img.transform.geometry import plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from PIL import Image

    from s3img.imaging.decode import Decoded, RenderDeadline
    from s3img.limits import Limits
    from s3img.transform.geometry import Hints, Plan, Point
    from s3img.transform.steps import Step

    Size: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps for one source of ``size`` px; ``keep_profile`` leaves colours in the source's RGB profile.

    What the first frame's trim finds, and where it draws attention, holds for all frames of an animation.
    """

    steps: tuple[Step, ...]
    size: Size
    hints: Hints
    limits: Limits
    deadline: RenderDeadline
    keep_profile: bool = False
    trims: dict[int, effects.PixelBox] = field(default_factory=dict)
    focuses: dict[int, Point] = field(default_factory=dict)

    def plan(self, size: Size, number: int, small: Callable[[Size], Image.Image] | None = None) -> Plan:
        """Return what a step does to a picture of ``size`` px.

        ``small`` returns a copy of that picture at a size: ``fo-auto`` looks at one for what draws attention.
        """
        step = self.steps[number]
        context = partial(plan, size, step, source=self.size, hints=self.hints, limits=self.limits)
        planned = context()
        if step.focus != "auto" or not planned.crops or not small:
            return planned
        if number not in self.focuses:
            left, top, right, bottom = planned.source.edges
            window = (right - left) / size[0], (bottom - top) / size[1]
            self.focuses[number] = attention_point(small(thumbnail_size(size)), window)
        return context(focus=self.focuses[number])

    def decoded_size(self, oversampling: float) -> Size:
        """Return the px at which the whole source has to be decoded for the first step, ``oversampling`` at least 1."""
        if not self.steps or self.steps[0].trim:
            return self.size
        first = self.plan(self.size, 0)
        left, top, right, bottom = first.source.edges
        width = oversampling * self.size[0] * first.scaled[0] / (right - left)
        height = oversampling * self.size[1] * first.scaled[1] / (bottom - top)
        return max(1, round(width)), max(1, round(height))

    def run(self, decoded: Decoded) -> Image.Image:
        """Return the finished picture, upright: L, LA, RGB or RGBA."""
        start = partial(decoded.picture, keep_profile=self.keeps_profile(decoded))
        whole = (0.0, 0.0, float(self.size[0]), float(self.size[1]))
        if not self.steps or self.steps[0].trim:
            picture, done = start(whole, self.size), 0
        else:  # crop and scale at once, from as few decoded px as possible
            first = self.plan(self.size, 0, partial(start, whole))
            picture, done = finish(start(first.source.edges, first.scaled), self.steps[0], first), 1
        for number, step in enumerate(self.steps[done:], done):
            self.deadline.check()
            if step.trim:
                box = self.trims.setdefault(number, effects.trim_box(picture, step.trim))
                picture = resize(picture, (box[2] - box[0], box[3] - box[1]), box)
            planned = self.plan(picture.size, number, partial(resize, picture))
            picture = finish(resize(picture, planned.scaled, planned.source.edges), step, planned)
        return picture

    def keeps_profile(self, decoded: Decoded) -> bool:
        """Say whether the result is in the source's own profile: RGB only, other spaces always become sRGB."""
        return self.keep_profile and bool(decoded.profile) and decoded.image.mode in {"RGB", "RGBA"}


def finish(picture: Image.Image, step: Step, planned: Plan) -> Image.Image:
    """Do everything of a step that follows its scaling: canvas, tones, then what surrounds the picture."""
    scaled = picture
    if planned.pads:
        picture = effects.pad(picture, planned.canvas, planned.offset, step.background)
    if step.flip:
        picture = effects.flip(picture, step.flip)
    picture = effects.tone(picture, step, planned.stop)
    if step.border and planned.border:
        picture = effects.border(picture, planned.border, step.border.color)
    if any(planned.radii):
        picture = effects.round_corners(picture, planned.radii)
    if step.distort:
        picture = effects.distort(picture, step.distort)
    if step.rotate:
        picture = effects.rotate(picture, step.rotate, planned.output)
    if step.shadow:
        picture = effects.shadow(picture, step.shadow)
    if step.opacity != 100:
        picture = effects.fade(picture, step.opacity)
    if step.background:
        picture = effects.underlay(picture, step.background, scaled)
    return picture


def changes(step: Step, planned: Plan, *, alpha: bool) -> bool:
    """Say whether a step does anything to a picture; only one with ``alpha`` shows a background."""
    geometry = planned.resizes or planned.crops or planned.pads or planned.border or any(planned.radii)
    tones = step.grayscale or step.contrast or step.blur or step.sharpen or step.unsharp
    colors = step.colorize or step.color_replace or step.gradient
    placing = step.trim or step.flip or step.rotate or step.distort or (alpha and step.shadow)
    return bool(geometry or tones or colors or placing or step.opacity != 100 or (alpha and step.background))
