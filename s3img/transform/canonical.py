"""One form for each meaning: what has no effect is left out, the rest is written in one order."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from s3img.transform.colors import Color
from s3img.transform.expressions import write_number
from s3img.transform.focus import is_detected
from s3img.transform.geometry import NEVER_ENLARGE, UNCUT
from s3img.transform.overlays import CANVAS, Canvas, Position, Text, write_input, write_text
from s3img.transform.parameters import (
    LAYER_PARAMETERS,
    PARAMETERS,
    POSITION_NAMES,
    TEXT_NAMES,
    TEXT_PARAMETERS,
    Parameter,
)
from s3img.transform.steps import DEFAULT_TRIM, Branch, Conditional, Output, Radius, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from s3img.transform.expressions import Side
    from s3img.transform.steps import Layer

_MAX_SIDE: Final = 65_535
"""Number of px above which a side is ignored, as ImageKit documents."""
_NOTHING: Final = Step()
_ANYWHERE: Final = Position()
_PLAIN: Final = Output()
_SQUARE: Final = Radius(0, 0, 0, 0)
_ONE: Final = Fraction(1)
_STEP_PARAMETERS: Final = tuple(row for row in PARAMETERS if row.name in Step.__struct_fields__)
_OUTPUT_PARAMETERS: Final = tuple(row for row in PARAMETERS if row.name in Output.__struct_fields__)


def normal_steps(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps without what has no effect on any picture, and without steps that do nothing."""
    normal = []
    for step in steps:
        looks: dict[str, Any] = {}
        if step.border and step.border.width == 0:
            looks["border"] = None
        if step.radius == _SQUARE:
            looks["radius"] = None
        if step.rotate:
            looks["rotate"] = step.rotate % 360
        if step.opacity < 100 and isinstance(step.background, Color):  # whose own opacity ImageKit ignores then
            looks["background"] = replace(step.background, alpha=100)
        placed = _normal_place(_normal_size(replace(step, **looks) if looks else step))
        if step.layers:
            layers = (replace(layer, steps=normal_steps(layer.steps)) for layer in step.layers)
            placed = replace(placed, layers=tuple(layers))
        if step.condition:
            then, otherwise = (
                Branch(normal_steps(one.steps), normal_output(one.output))
                for one in (step.condition.then, step.condition.otherwise)
            )
            condition = Conditional(step.condition.groups, then, otherwise)
            placed = Step(condition=condition) if then != otherwise or then != Branch() else _NOTHING
        if placed != _NOTHING:
            normal.append(placed)
    return tuple(normal)


def normal_output(output: Output) -> Output:
    """Return the output without what another of its fields overrules."""
    if output.original:
        return Output(original=True, default_image=output.default_image)
    return replace(output, color_profile=False) if output.metadata else output


def write(steps: Iterable[Step], output: Output) -> str:
    """Return the canonical text: ASCII, safe in a path segment and in a query value as it is."""
    texts = [step_text(step) for step in steps]
    last = ",".join([*texts[-1:], *_tokens(output, _PLAIN, _OUTPUT_PARAMETERS)])
    text = ":".join([*texts[:-1], last])
    # An encoded separator belongs to a value only in a text that has a literal one.
    encoded = "%2C" in text or "%3A" in text
    return f"{text}," if encoded and "," not in text and ":" not in text else text


def step_text(step: Step, *, hides_trim: bool = False) -> str:
    """Return the canonical text of one step, its layers and its condition; ``hides_trim`` leaves out ``t-``."""
    if step.condition:
        then, otherwise = (write(one.steps, one.output) for one in (step.condition.then, step.condition.otherwise))
        tests = "_or_".join("_and_".join(map(str, group)) for group in step.condition.groups)
        return ",".join(filter(None, [f"if-{tests}", then, *(["if-else", otherwise] if otherwise else []), "if-end"]))
    shown = replace(step, trim=0) if hides_trim else step
    return ",".join([*_tokens(shown, _NOTHING, _STEP_PARAMETERS), *map(layer_text, step.layers)])


def text_words(text: Text) -> list[str]:
    """Return the words of a text's own parameters."""
    plain = Text(text=text.text)
    words = [write_text(text.text)]
    for row in TEXT_PARAMETERS:
        if row.name in {*TEXT_NAMES, "background"}:
            field = row.name.removeprefix("text_")
            if (value := getattr(text, field)) != getattr(plain, field):
                words.append(row.token(value))
    styles = [name for name, on in (("b", text.bold), ("i", text.italic), ("strikethrough", text.strikethrough)) if on]
    return [*words, f"tg-{'_'.join(styles)}"] if styles else words


def layer_text(layer: Layer) -> str:
    """Return the canonical text of a layer, from ``l-image`` or ``l-text`` to ``l-end``."""
    content = layer.content
    if isinstance(content, Text):
        words = text_words(content)
    elif isinstance(content, Canvas):
        words = [f"i-{CANVAS}", f"bg-{content.color}"]
        sides = (("w", content.width), ("h", content.height))
        words += [f"{key}-{write_number(side)}" for key, side in sides if side is not None]
    else:
        words = [write_input(content)]
    for row in LAYER_PARAMETERS:
        if row.name in POSITION_NAMES:
            field = row.name.removeprefix("layer_")
            if (value := getattr(layer.position, field)) != getattr(_ANYWHERE, field):
                words.append(row.token(value))
    if layer.mode:
        words.append(f"lm-{layer.mode}")
    trims = [step.trim for step in layer.steps if step.trim]
    hides_trim = False
    if isinstance(content, str):
        hides_trim = trims == [DEFAULT_TRIM] and layer.steps[0].trim == DEFAULT_TRIM
        words += [] if trims else ["t-false"]
    kind = "l-text" if isinstance(content, Text) else "l-image"
    steps = [step_text(step, hides_trim=hides_trim and not number) for number, step in enumerate(layer.steps)]
    # A condition stands alone in its step, so it can't share the one of the layer's own words.
    begins = bool(layer.steps) and layer.steps[0].condition is None
    if begins and isinstance(content, Canvas):  # whose own sides and colour stand there
        first_step = layer.steps[0]
        begins = not any((first_step.width, first_step.height, first_step.background))
    first, rest = (steps[:1], steps[1:]) if begins else ([], steps)
    return ",".join([kind, ":".join([",".join(filter(None, [*words, *first])), *rest]), "l-end"])


def _tokens(value: Step | Output, plain: Step | Output, rows: tuple[Parameter, ...]) -> Iterator[str]:
    for row in rows:
        field = getattr(value, row.name)
        if field != getattr(plain, row.name) and (token := row.token(field)):
            yield token


def _is_ignored(side: Side | str | None) -> bool:
    return isinstance(side, int) and side > _MAX_SIDE


def _normal_size(step: Step) -> Step:
    """Leave out sides beyond all bounds, then what depends on sides that are not asked for."""
    width = None if _is_ignored(step.width) else step.width
    height = None if _is_ignored(step.height) else step.height
    sides = (width is not None) + (height is not None)
    ratio = step.aspect_ratio if sides < 2 else None
    crop = step.crop
    if not sides and ratio is None:
        crop = "maintain_ratio"
    elif sides == 1 and ratio is None and "extract" not in crop:  # nothing has to be cut or padded to a ratio
        crop = "at_max" if crop in NEVER_ENLARGE else "maintain_ratio"
    return replace(step, width=width, height=height, aspect_ratio=ratio, crop=crop, dpr=step.dpr if sides else _ONE)


def _normal_place(step: Step) -> Step:
    """Leave out places that the crop has no use for, and those that a stronger one overrules."""
    places = step.crop in {"extract", "pad_extract"}
    x, y = (step.x, step.y) if places else (None, None)
    xc = step.xc if places and x is None else None
    yc = step.yc if places and y is None else None
    if "extract" in step.crop:
        has_focus = None in (x if xc is None else xc, y if yc is None else yc)
    else:
        sides = (step.width is not None) + (step.height is not None)
        cuts = step.aspect_ratio is not None or sides == 2
        if is_detected(step.focus):
            # Without a size, what was found is all that is kept; a picture that is padded loses nothing.
            cuts = (cuts or not sides) and not step.crop.startswith("pad")
        has_focus = cuts and step.crop not in UNCUT
    zoom = step.zoom if has_focus and is_detected(step.focus) else _ONE
    return replace(step, x=x, y=y, xc=xc, yc=yc, zoom=zoom, focus=step.focus if has_focus else "center")
