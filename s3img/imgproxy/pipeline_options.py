"""Read the options of one pass over the pixels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast, get_args

import msgspec

from s3img.errors import TransformError
from s3img.imgproxy.arguments import (
    Args,
    Handler,
    Reader,
    State,
    above_zero,
    at_most,
    bad,
    base64_text,
    boolean,
    color,
    decimal,
    integer,
    is_true,
    listed,
    nested,
    not_negative,
    one_of,
    positive,
    share,
    singles,
)
from s3img.imgproxy.processing_options import (
    MONOCHROME,
    PLACES,
    RESIZING_TYPES,
    BlurRamp,
    BlurredAreas,
    ColorRamp,
    CropArea,
    Duotone,
    Extend,
    Gravity,
    GravityType,
    Padding,
    ResizingAlgorithm,
    Tint,
    TrimRule,
    UnsharpMask,
    UnsharpMode,
    Watermark,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_AREAS: Final = 50
_CROP_GRAVITIES: Final = ("sm", "fp", *PLACES)
_EXTEND_GRAVITIES: Final = ("fp", *PLACES)
_LONGEST_TEXT: Final = 500
_DIRECTIONS: Final = {"down": 0.0, "left": 90.0, "up": 180.0, "right": 270.0}


def gravity_type(name: str, text: str, allowed: Sequence[str]) -> GravityType:
    """Read one of the gravities that an option takes."""
    if text in {"obj", "objw"}:
        raise TransformError(
            f"{name}: {text} needs a model that detects objects, and there is none here; write sm or fp.",
            token=f"{name}:{text}",
        )
    return cast("GravityType", one_of(name, text, words=allowed, what="gravity"))


def read_gravity(name: str, before: Gravity, args: Args, allowed: Sequence[str]) -> Gravity:
    """Read type and offsets; offsets that are left out stay, as in imgproxy, except for ``sm``, which has none."""
    kind = gravity_type(name, args[0], allowed)
    at_most(name, args, 1 if kind == "sm" else 3)
    if kind == "sm":
        return Gravity(kind)
    if kind == "fp" and len(args) != 3:
        raise TransformError(f"{name}: fp needs two numbers, the point's x and y.", token=f"{name}:fp")
    read = share if kind == "fp" else decimal
    x, y = (read(name, args[at]) if len(args) > at and args[at] else old for at, old in ((1, before.x), (2, before.y)))
    return Gravity(kind, x, y)


def gravity(name: str, state: State, args: Args) -> None:
    """Read ``g:TYPE:X:Y``."""
    state["gravity"] = read_gravity(name, state.get("gravity", Gravity()), args, _CROP_GRAVITIES)


def extend(key: str, name: str, state: State, args: Args) -> None:
    """Read ``ex:ENABLED:GRAVITY``."""
    at_most(name, args, 4)
    before: Extend = state.get(key, Extend())
    place = read_gravity(name, before.gravity, args[1:], _EXTEND_GRAVITIES) if len(args) > 1 else before.gravity
    state[key] = Extend(boolean(name, args[0]), place)


def size(name: str, state: State, args: Args) -> None:
    """Read ``s:WIDTH:HEIGHT:ENLARGE:EXTEND``."""
    at_most(name, args, 7)
    listed(name, state, args[:3], {"width": positive, "height": positive, "enlarge": boolean})
    if len(args) > 3 and args[3]:
        extend("extend", name, state, args[3:])


def resize(name: str, state: State, args: Args) -> None:
    """Read ``rs:TYPE:WIDTH:HEIGHT:ENLARGE:EXTEND``."""
    at_most(name, args, 8)
    if args[0]:
        state["resizing_type"] = _RESIZING_TYPE(name, args[0])
    size(name, state, args[1:])


def zoom(name: str, state: State, args: Args) -> None:
    """Read ``z:X:Y``, or one number for both."""
    at_most(name, args, 2)
    factors = [above_zero(name, text) for text in args]
    state["zoom_width"], state["zoom_height"] = factors[0], factors[-1]


def crop(name: str, state: State, args: Args) -> None:
    """Read ``c:WIDTH:HEIGHT:GRAVITY``."""
    before: CropArea = state.get("crop", CropArea())
    width = not_negative(name, args[0])
    height = not_negative(name, args[1]) if len(args) > 1 else before.height
    place = before.gravity
    if len(args) > 2:
        place = read_gravity(name, place or Gravity(), args[2:], _CROP_GRAVITIES)
    state["crop"] = CropArea(width, height, place)


def trim(name: str, state: State, args: Args) -> None:
    """Read ``t:THRESHOLD:COLOR:EQUAL_HOR:EQUAL_VER``; without a threshold nothing is trimmed."""
    at_most(name, args, 4)
    before: TrimRule = state.get("trim", TrimRule())
    threshold, tint, horizontal, vertical = [*args, "", "", ""][:4]
    state["trim"] = TrimRule(
        threshold=decimal(name, threshold) if threshold else None,
        color=color(name, tint) if tint else None,
        equal_hor=boolean(name, horizontal) if horizontal else before.equal_hor,
        equal_ver=boolean(name, vertical) if vertical else before.equal_ver,
    )


def padding(name: str, state: State, args: Args) -> None:
    """Read ``pd:TOP:RIGHT:BOTTOM:LEFT``; what is left out is taken from the opposite side, as in CSS."""
    at_most(name, args, 4)
    before: Padding = state.get("padding", Padding())
    top, right, bottom, left = [*(positive(name, text) if text else None for text in args), None, None, None][:4]
    top = before.top if top is None else top
    right = top if right is None else right
    state["padding"] = Padding(top, right, top if bottom is None else bottom, right if left is None else left)


def rotate(name: str, state: State, args: Args) -> None:
    """Read quarter turns clockwise; negative ones fail in imgproxy while it works, and here at once."""
    at_most(name, args, 1)
    angle = integer(name, args[0], least=0, what="angle of 0, 90, 180 or 270")
    if angle % 90:
        raise bad(name, args[0], "angle of 0, 90, 180 or 270")
    state["rotate"] = angle % 360


def background(name: str, state: State, args: Args) -> None:
    """Read ``bg:R:G:B``, ``bg:HEX`` or ``bg:``, which takes it away."""
    if len(args) == 3:
        levels = [integer(name, text, least=0, most=255, what="number from 0 to 255") for text in args]
        state["background"] = tuple(levels)
    elif len(args) == 1:
        state["background"] = color(name, args[0]) if args[0] else None
    else:
        raise TransformError(f"{name}: write R:G:B or hexadecimal digits.", token=name)


def watermark(name: str, state: State, args: Args) -> None:
    """Read ``wm:OPACITY:POSITION:X:Y:SCALE``, of which only the opacity has to be there.

    imgproxy takes two more arguments and passes over them.
    """
    at_most(name, args, 7)
    share(name, args[0])
    _WATERMARK(name, state, args[:5])


def watermark_field(field: str, read: Reader, name: str, state: State, args: Args) -> None:
    """Read what else is said of a watermark, in one argument; an empty one takes a picture or text away."""
    at_most(name, args, 1)
    state["watermark"] = msgspec.structs.replace(state.get("watermark", Watermark()), **{field: read(name, args[0])})


def watermark_text(name: str, text: str) -> str:
    """Read a text of bounded length from base64."""
    found = base64_text(name, text)
    if len(found) > _LONGEST_TEXT:
        raise TransformError(f"{name}: {len(found)} characters; {_LONGEST_TEXT} is the limit.", token=name)
    return found


def blur_areas(name: str, state: State, args: Args) -> None:
    """Read ``ba:SIGMA:LEFT:TOP:WIDTH:HEIGHT:…``, four shares of the source for each area."""
    sigma, *sides = [not_negative(name, args[0]), *(share(name, text) for text in args[1:])]
    if len(sides) % 4 or len(sides) > 4 * _MOST_AREAS:
        raise TransformError(
            f"{name}: each area has left, top, width and height, and there are {_MOST_AREAS} at most.", token=name
        )
    areas = tuple((sides[at], sides[at + 1], sides[at + 2], sides[at + 3]) for at in range(0, len(sides), 4))
    state["blur_areas"] = BlurredAreas(sigma, areas)


def direction(name: str, text: str) -> float:
    """Read where a gradient ends: a word, or degrees clockwise from the bottom."""
    if text in _DIRECTIONS:
        return _DIRECTIONS[text]
    return decimal(name, text, least=-360, most=360, what=f"direction: write {', '.join(_DIRECTIONS)} or degrees")


def crop_aspect_ratio(name: str, state: State, args: Args) -> None:
    """Read ``car:RATIO:ENLARGE``."""
    at_most(name, args, 2)
    state["crop_aspect_ratio"] = not_negative(name, args[0])
    state["crop_enlarge"] = len(args) > 1 and is_true(args[1])


_RESIZING_TYPE: Final = partial(one_of, words=RESIZING_TYPES, what="resizing type")
_WATERMARK: Final = nested(
    "watermark",
    Watermark(),
    {
        "opacity": share,
        "position": partial(gravity_type, allowed=("re", "ch", *PLACES)),
        "x": decimal,
        "y": decimal,
        "scale": above_zero,
    },
)
_BRIGHTNESS: Final = partial(integer, least=-255, most=255)
_ADJUSTMENTS: Final[dict[str, Reader]] = {
    "brightness": _BRIGHTNESS,
    "contrast": not_negative,
    "saturation": not_negative,
}
_FLIPS: Final[dict[str, Reader]] = {"flip_horizontal": boolean, "flip_vertical": boolean}
_RAMP: Final[dict[str, Reader]] = {"angle": direction, "start": share, "stop": share}
_SHADOW: Final = partial(decimal, least=0, most=100, what="number from 0 to 100")

PIPELINE_OPTIONS: Final[Mapping[str, Handler]] = {
    **singles(positive, "width height min-width min-height pixelate"),
    **singles(boolean, "enlarge auto_rotate"),
    **singles(not_negative, "blur sharpen contrast saturation"),
    **singles(above_zero, "dpr"),
    **singles(share, "background_alpha"),
    **singles(_BRIGHTNESS, "brightness"),
    **singles(_RESIZING_TYPE, "resizing_type"),
    **singles(partial(one_of, words=get_args(ResizingAlgorithm)), "resizing_algorithm"),
    "resize": resize,
    "size": size,
    "zoom": zoom,
    "extend": partial(extend, "extend"),
    "extend_aspect_ratio": partial(extend, "extend_aspect_ratio"),
    "gravity": gravity,
    "crop": crop,
    "crop_aspect_ratio": crop_aspect_ratio,
    "trim": trim,
    "padding": padding,
    "rotate": rotate,
    "flip": partial(listed, readers=_FLIPS),
    "background": background,
    "watermark": watermark,
    "watermark_url": partial(watermark_field, "url", base64_text),
    "watermark_text": partial(watermark_field, "text", watermark_text),
    "watermark_size": nested("watermark", Watermark(), {"width": positive, "height": positive}),
    "watermark_rotate": partial(watermark_field, "angle", decimal),
    "watermark_shadow": partial(watermark_field, "shadow", _SHADOW),
    "adjust": partial(listed, readers=_ADJUSTMENTS),
    "monochrome": nested("monochrome", MONOCHROME, {"opacity": share, "color": color}),
    "duotone": nested("duotone", Duotone(), {"intensity": share, "dark": color, "light": color}),
    "colorize": nested("colorize", Tint(), {"opacity": share, "color": color, "keep_alpha": boolean}),
    "gradient": nested("gradient", ColorRamp(), {"opacity": share, "color": color, **_RAMP}),
    "unsharp_masking": nested(
        "unsharp_masking",
        UnsharpMask("auto"),  # the default of imgproxy Pro where the option is there
        {"mode": partial(one_of, words=get_args(UnsharpMode)), "weight": above_zero, "divider": above_zero},
    ),
    "blur_areas": blur_areas,
    "progressive_blur": nested("progressive_blur", BlurRamp(), {"sigma": not_negative, **_RAMP}),
}
"""What reads each option of one pass over the pixels, by long names."""
