"""Run the steps of a transform on pixels, in the order that ``s3img.transform.steps`` gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3img.imaging import effects
from s3img.imaging.attention import attention_point, thumbnail_size
from s3img.imaging.decode import picture
from s3img.imaging.resize import resize
from s3img.transform.geometry import plan

if TYPE_CHECKING:
    from typing import TypeAlias

    from PIL import Image

    from s3img.imaging.decode import Decoded, RenderDeadline
    from s3img.limits import Limits
    from s3img.transform.geometry import Hints, Plan, Point
    from s3img.transform.steps import Step

    Size: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chain:
    """Hold the steps for one source of ``size`` px; ``keep_profile`` leaves colours in the source's RGB profile.

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

    def decoded_size(self, oversampling: float) -> Size:
        """Return the px at which the whole source has to be decoded for the first step, ``oversampling`` at least 1."""
        if not self.steps or self.steps[0].trim:
            return self.size
        first = self._plan(self.size, self.steps[0])
        left, top, right, bottom = first.source.edges
        width = oversampling * self.size[0] * first.scaled[0] / (right - left)
        height = oversampling * self.size[1] * first.scaled[1] / (bottom - top)
        return max(1, round(width)), max(1, round(height))

    def run(self, decoded: Decoded) -> Image.Image:
        """Return the finished picture, upright: L, LA, RGB or RGBA."""
        whole = (0.0, 0.0, float(self.size[0]), float(self.size[1]))
        if not self.steps or self.steps[0].trim:
            return self._rest(self._start(decoded, whole, self.size), 0)
        first = self._plan(self.size, self.steps[0])
        if self._seeks_focus(0, first):
            self._find_focus(0, self._start(decoded, whole, thumbnail_size(self.size)), first)
        first = self._plan(self.size, self.steps[0], self.focuses.get(0))
        start = self._start(decoded, first.source.edges, first.scaled)
        return self._rest(look(start, self.steps[0], first), 1)

    def _start(self, decoded: Decoded, box: tuple[float, float, float, float], size: Size) -> Image.Image:
        return picture(decoded, box, size, keep_profile=self.keeps(decoded))

    def keeps(self, decoded: Decoded) -> bool:
        """Say whether the result is in the source's own profile: RGB only, other spaces always become sRGB."""
        return self.keep_profile and bool(decoded.profile) and decoded.image.mode in {"RGB", "RGBA"}

    def _rest(self, picture: Image.Image, start: int) -> Image.Image:
        for number, step in enumerate(self.steps[start:], start):
            self.deadline.check()
            trimmed = picture
            if step.trim:
                box = self.trims.setdefault(number, effects.trim_box(picture, step.trim))
                trimmed = resize(picture, (box[2] - box[0], box[3] - box[1]), box)
            planned = self._plan(trimmed.size, step)
            if self._seeks_focus(number, planned):
                small = resize(trimmed, thumbnail_size(trimmed.size), (0, 0, *trimmed.size))
                self._find_focus(number, small, planned)
            planned = self._plan(trimmed.size, step, self.focuses.get(number))
            picture = look(resize(trimmed, planned.scaled, planned.source.edges), step, planned)
        return picture

    def _plan(self, size: Size, step: Step, focus: Point | None = None) -> Plan:
        return plan(size, step, source=self.size, hints=self.hints, limits=self.limits, focus=focus)

    def _seeks_focus(self, number: int, planned: Plan) -> bool:
        return self.steps[number].focus == "auto" and planned.crops and number not in self.focuses

    def _find_focus(self, number: int, small: Image.Image, planned: Plan) -> None:
        """Look at a small copy of the picture that enters a step."""
        left, top, right, bottom = planned.source.edges
        window = (right - left) / planned.size[0], (bottom - top) / planned.size[1]
        self.focuses[number] = attention_point(small, window)


def look(picture: Image.Image, step: Step, planned: Plan) -> Image.Image:
    """Do everything of a step that follows its scaling."""
    if planned.pads:
        picture = effects.pad(picture, planned.canvas, planned.offset, step.background)
    if step.flip:
        picture = effects.flip(picture, step.flip)
    return _surround(_tones(picture, step), step, planned)


def _tones(picture: Image.Image, step: Step) -> Image.Image:
    if step.grayscale:
        picture = effects.grayscale(picture)
    if step.contrast:
        picture = effects.contrast(picture)
    if step.blur:
        picture = effects.blur(picture, step.blur)
    if step.sharpen:
        picture = effects.sharpen(picture, step.sharpen)
    if step.unsharp:
        picture = effects.unsharp(picture, step.unsharp)
    return picture


def _surround(picture: Image.Image, step: Step, planned: Plan) -> Image.Image:
    if step.border and planned.border:
        picture = effects.border(picture, planned.border, step.border.color)
    if any(planned.radii):
        picture = effects.round_corners(picture, planned.radii)
    if step.rotate:
        picture = effects.rotate(picture, step.rotate, planned.output)
    if step.opacity != 100:
        picture = effects.fade(picture, step.opacity)
    if step.background:
        picture = effects.underlay(picture, step.background)
    return picture


def changes(step: Step, planned: Plan, *, alpha: bool) -> bool:
    """Say whether a step does anything to a picture; only one with ``alpha`` shows a background."""
    geometry = planned.resizes or planned.crops or planned.pads or planned.border or any(planned.radii)
    tones = step.grayscale or step.contrast or step.blur or step.sharpen or step.unsharp
    placing = step.trim or step.flip or step.rotate
    return bool(geometry or tones or placing or step.opacity != 100 or (alpha and step.background))
