"""Run the steps of a transform on pixels, in the order that ``s3img.transform.steps`` gives."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs
from PIL import Image

from s3img.errors import ImageError, TransformError, UnsupportedImage
from s3img.imaging import effects, layers
from s3img.imaging.attention import attention_point, thumbnail_size
from s3img.imaging.decode import decode
from s3img.imaging.layers import DRAWN_LAYERS, layer_name
from s3img.imaging.probing import located, opened, probe
from s3img.imaging.resize import resize
from s3img.imaging.text import TextStyle, draw_text
from s3img.transform import Transform
from s3img.transform.expressions import nearest
from s3img.transform.focus import DetectedFocus, FocusBox
from s3img.transform.geometry import StepGeometry, View, check_size, pixels, plan
from s3img.transform.overlays import FAR_EDGE, Canvas, Text
from s3img.transform.steps import Step
from s3img.transform.transform import page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from s3img.imaging.decode import Decoded, RenderDeadline
    from s3img.imaging.image_info import ImageInfo
    from s3img.imaging.layers import DrawnLayer
    from s3img.imaging.probing import ImageSource
    from s3img.limits import Limits
    from s3img.transform.expressions import Side
    from s3img.transform.geometry import Hints, Plan, Point
    from s3img.transform.steps import Layer

    Size: TypeAlias = tuple[int, int]

_LAYER_OVERSAMPLING = 2.0
"""How much larger than needed a JPEG of a layer is decoded at least."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps for one source of ``size`` px; ``keep_profile`` leaves colours in the source's RGB profile.

    What the first frame's trim finds, where it draws attention, and how its layers look, holds for all frames of an
    animation. ``inputs`` are the pictures of layers by their keys; ``parent`` is the size of what a layer's own chain
    makes it for, None for the chain of the picture itself.
    """

    steps: tuple[Step, ...]
    size: Size
    hints: Hints
    limits: Limits
    deadline: RenderDeadline
    keep_profile: bool = False
    inputs: Mapping[str, ImageSource] = field(default_factory=dict)
    parent: Size | None = None
    drawn: dict[tuple[int, int, Size], tuple[Image.Image, layers.Point]] = field(default_factory=dict)
    trims: dict[int, effects.PixelBox] = field(default_factory=dict)
    focuses: dict[int, Point] = field(default_factory=dict)
    views: dict[int, View] = field(default_factory=dict)

    def plan(
        self,
        size: Size,
        number: int,
        small: Callable[[Size], Image.Image] | None = None,
    ) -> Plan:
        """Return what a step does to a picture of ``size`` px, after the steps before it have been planned.

        ``small`` returns a copy of that picture at a size, which is looked at for what draws attention. What a detector
        finds is part of the transform by now; where nobody has asked one, or where steps before have cut it off, it is
        what draws attention as well.
        """
        step, view = self.steps[number], self.views.get(number, View.of(self.size, self.size))
        if number in self.trims:
            view = view.cut(self.trims[number])
        context = partial(
            plan,
            size,
            step,
            source=self.size,
            hints=self.hints,
            limits=self.limits,
            parent=self.parent,
            view=view,
        )
        planned = context()
        is_auto = step.focus in {"auto", "auto-custom_override"} or isinstance(step.focus, DetectedFocus)
        if isinstance(step.focus, FocusBox) and step.focus.kind != "custom":
            is_auto = StepGeometry(self.size, size, step, self.hints, view=view).spot(step.focus) is None
        if is_auto and planned.crops and small:
            if number not in self.focuses:
                left, top, right, bottom = planned.source.edges
                window = (right - left) / size[0], (bottom - top) / size[1]
                self.focuses[number] = attention_point(small(thumbnail_size(size)), window)
            planned = context(focus=self.focuses[number])
        self.views[number + 1] = view.after(step, planned)
        return planned

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
            picture = self.with_layers(picture, 0)
        return self.run_from(picture, done)

    def run_from(self, picture: Image.Image, done: int = 0) -> Image.Image:
        """Return a picture that has gone through the first ``done`` steps after it has gone through the rest."""
        for number, step in enumerate(self.steps[done:], done):
            self.deadline.check()
            if step.trim:
                box = self.trims.setdefault(number, effects.trim_box(picture, step.trim))
                picture = resize(picture, (box[2] - box[0], box[3] - box[1]), box)
            planned = self.plan(picture.size, number, partial(resize, picture))
            picture = finish(resize(picture, planned.scaled, planned.source.edges), step, planned)
            picture = self.with_layers(picture, number)
        return picture

    def with_layers(self, picture: Image.Image, number: int) -> Image.Image:
        """Lay the layers of a step over the picture that it has made."""
        for index, layer in enumerate(self.steps[number].layers):
            self.deadline.check()
            name = number, index, picture.size
            if name not in self.drawn:
                self.drawn[name] = self.drawn_layer(layer, picture.size)
            top, place = self.drawn[name]
            if layer.mode == "displace":
                picture = layers.displace(picture, top, place)
            else:
                picture = layers.MODES[layer.mode](picture, top, place)
        return picture

    def drawn_layer(self, layer: Layer, parent: Size) -> DrawnLayer:
        """Return what `draw_layer` does, drawn once in this process for all pictures of that size."""
        name = layer_name(layer, self.inputs, parent, self.hints, self.limits)
        found = DRAWN_LAYERS.get(name)
        if found is None:
            found = self.draw_layer(layer, parent)
            DRAWN_LAYERS.keep(name, found)
        return found

    def draw_layer(self, layer: Layer, parent: Size) -> tuple[Image.Image, layers.Point]:
        """Return a layer's own picture, and its place on a parent: for ``displace``, how far it moves px.

        Raise ``TransformError`` for a layer whose picture was not given, and ``ImageError`` that names the layer.
        """
        if isinstance(layer.content, Canvas):
            geometry = StepGeometry(parent, parent, Step(), self.hints, parent=parent)
            sides = zip((layer.content.width, layer.content.height), parent, strict=True)
            width, height = (
                pixels(whole if side is None else geometry.side(side, whole) or whole) for side, whole in sides
            )
            size = width, height
            check_size(size, self.limits)
            start = Image.new("RGBA", size, layer.content.color.rgba)
            picture = self.of_layer(layer, size, parent).run_from(start)
        elif isinstance(layer.content, Text):
            start = self.draw_text(layer.content, parent)
            size = start.size
            picture = self.of_layer(layer, size, parent).run_from(start)
        else:
            size, picture = self.draw_picture(layer, layer.content, parent)
        value = StepGeometry(size, picture.size, Step(), self.hints, parent=parent).value
        if layer.mode == "displace":
            across, down = (
                0 if place is None or place == FAR_EDGE else round(value(place))
                for place in (layer.position.x, layer.position.y)
            )
            return picture, (across, down)
        return picture, layer.position.place(picture.size, parent, value)

    def draw_text(self, text: Text, parent: Size) -> Image.Image:
        """Return a text on a transparent ground; its lengths may be expressions of the parent's size."""
        geometry = StepGeometry(parent, parent, Step(), self.hints, parent=parent)

        def length(value: Side | None) -> int | None:
            return None if value is None else pixels(geometry.side(value, parent[0]) or 1)

        sides = [nearest(geometry.positive(side, least=0)) for side in text.padding] or [0]
        # One, two or three numbers stand for four, in the order of CSS.
        above, right, below, left = [*sides, *{1: sides * 3, 2: sides, 3: sides[1:2], 4: []}[len(sides)]]
        size = length(text.size) or 1
        style = TextStyle(size, length(text.width), (above, right, below, left), length(text.line_height))
        return draw_text(text, style, self.inputs, limits=self.limits, deadline=self.deadline)

    def draw_picture(self, layer: Layer, key: str, parent: Size) -> tuple[Size, Image.Image]:
        """Return the size of a layer's source, and what its steps make of it; of an animation, its first frame."""
        source = self.inputs.get(key)
        if source is None:
            raise TransformError(f"The layer {key!r} has no picture here.", token=key)
        with layer_errors(key):
            info = probe(source, limits=self.limits)
            if not info.renderable:
                raise UnsupportedImage(f"{info.format.upper()} can't be a layer.", fix="Convert it to PNG.")
            size = info.width, info.height
            chain = self.of_layer(layer, size, parent)
            with opened(source) as fp, located(source):
                page = page_of(chain.steps)
                still(info, page)
                needed = chain.decoded_size(_LAYER_OVERSAMPLING)
                decoded = decode(fp, info, needed, self.limits, page=max(0, page - 1))
            return size, chain.run(decoded)

    def of_layer(self, layer: Layer, size: Size, parent: Size) -> Chain:
        """Return the chain of a layer whose source has ``size`` px."""
        transform = Transform(layer.steps).settled(size, hints=self.hints, limits=self.limits, parent=parent)
        return replace(
            self,
            steps=transform.steps,
            size=size,
            parent=parent,
            keep_profile=False,
            drawn={},
            trims={},
            focuses={},
            views={},
        )

    def keeps_profile(self, decoded: Decoded) -> bool:
        """Tell whether the result is in the source's own profile: RGB only, other spaces always become sRGB."""
        return self.keep_profile and bool(decoded.profile) and decoded.image.mode in {"RGB", "RGBA"}


def still(info: ImageInfo, page: int) -> ImageInfo:
    """Return what is known of one frame of a source; raise TransformError for a frame that it does not have.

    How many pages a TIFF has is seen where it is decoded.
    """
    if page > info.frames and info.format != "tiff":
        has = f"{info.frames} frames" if info.animated else "one picture"
        raise TransformError(f"There is no frame {page}: the source has {has}.", token=f"pg-{page}")
    return structs.replace(info, frames=1) if page else info


@contextmanager
def layer_errors(key: str) -> Iterator[None]:
    """Name the layer in an ``ImageError``."""
    try:
        yield
    except ImageError as error:
        error.message = f"Layer {key!r}: {error.message}"
        raise


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
    """Tell whether a step does anything to a picture; only one with ``alpha`` shows a background."""
    geometry = planned.resizes or planned.crops or planned.pads or planned.border or any(planned.radii)
    tones = step.grayscale or step.contrast or step.blur or step.sharpen or step.unsharp
    colors = step.colorize or step.color_replace or step.gradient
    placing = step.page > 1 or step.trim or step.flip or step.rotate or step.distort or (alpha and step.shadow)
    return bool(
        geometry or tones or colors or placing or step.opacity != 100 or (alpha and step.background) or step.layers
    )
