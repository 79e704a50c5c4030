"""Read the options of one pass over the pixels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from s3img.errors import TransformError
from s3img.imgproxy.arguments import (
    Args,
    Handler,
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
    simple,
)
from s3img.imgproxy.processing_options import (
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
    from collections.abc import Callable, Mapping, Sequence

_MOST_AREAS: Final = 50
_CROP_GRAVITIES: Final = ("sm", "fp", *PLACES)
_EXTEND_GRAVITIES: Final = ("fp", *PLACES)
_WATERMARK_PLACES: Final = ("re", "ch", *PLACES)
_LONGEST_TEXT: Final = 500
_WIDEST_SHADOW: Final = 100
_DIRECTIONS: Final = {"down": 0.0, "left": 90.0, "up": 180.0, "right": 270.0}


def gravity_type(name: str, text: str, allowed: Sequence[str]) -> GravityType:
    """Read one of the gravities that an option takes."""
    if text in {"obj", "objw"}:
        raise TransformError(
            f"{name}: {text} needs a model that detects objects, and there is none here; write sm or fp.",
            token=f"{name}:{text}",
        )
    if text not in allowed:
        raise bad(name, text, f"gravity: choose one of {', '.join(allowed)}")
    return next(one for one in get_args(GravityType) if one == text)


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
    listed((("width", positive), ("height", positive), ("enlarge", boolean)), name, state, args[:3])
    if len(args) > 3 and args[3]:
        extend("extend", name, state, args[3:])


def resize(name: str, state: State, args: Args) -> None:
    """Read ``rs:TYPE:WIDTH:HEIGHT:ENLARGE:EXTEND``."""
    at_most(name, args, 8)
    if args[0]:
        state["resizing_type"] = resizing_type(name, args[0])
    size(name, state, args[1:])


def resizing_type(name: str, text: str) -> str:
    """Read how a picture fits its size."""
    if text not in RESIZING_TYPES:
        raise bad(name, text, f"resizing type: choose one of {', '.join(RESIZING_TYPES)}")
    return text


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
    """Read ``wm:OPACITY:POSITION:X:Y:SCALE``."""
    at_most(name, args, 5)
    mark: Watermark = state.get("watermark", Watermark())
    changed: State = {"opacity": share(name, args[0])}
    place = lambda name, text: gravity_type(name, text, _WATERMARK_PLACES)  # noqa: E731 - one of five readers
    keys = (("position", place), ("x", decimal), ("y", decimal), ("scale", above_zero))
    listed(keys, name, changed, args[1:])
    state["watermark"] = msgspec.structs.replace(mark, **changed)


def watermark_field(key: str, read: Callable[[str, str], object], name: str, state: State, args: Args) -> None:
    """Read what else is said of a watermark, in one argument."""
    at_most(name, args, 1)
    state["watermark"] = msgspec.structs.replace(state.get("watermark", Watermark()), **{key: read(name, args[0])})


def watermark_text(name: str, text: str) -> str:
    """Read a text of bounded length from base64."""
    found = base64_text(name, text)
    if len(found) > _LONGEST_TEXT:
        raise TransformError(f"{name}: {len(found)} characters; {_LONGEST_TEXT} is the limit.", token=name)
    return found


def watermark_size(name: str, state: State, args: Args) -> None:
    """Read ``wms:WIDTH:HEIGHT``, of which 0 is free."""
    at_most(name, args, 2)
    width, height = (positive(name, text) if text else 0 for text in [*args, ""][:2])
    state["watermark"] = msgspec.structs.replace(state.get("watermark", Watermark()), width=width, height=height)


def adjust(name: str, state: State, args: Args) -> None:
    """Read ``a:BRIGHTNESS:CONTRAST:SATURATION``."""
    listed((("brightness", brightness), ("contrast", not_negative), ("saturation", not_negative)), name, state, args)


def brightness(name: str, text: str) -> int:
    """Read what is added to every level."""
    return integer(name, text, least=-255, most=255, what="integer from -255 to 255")


def unsharp_masking(name: str, state: State, args: Args) -> None:
    """Read ``ush:MODE:WEIGHT:DIVIDER``; without any, the mask is that of imgproxy Pro's default."""
    at_most(name, args, 3)
    mode, weight, divider = [*args, "", "", ""][:3]
    modes = get_args(UnsharpMode)
    if mode and mode not in modes:
        raise bad(name, mode, f"mode: choose one of {', '.join(modes)}")
    state["unsharp_masking"] = UnsharpMask(
        next((one for one in modes if one == mode), "auto"),
        above_zero(name, weight) if weight else 1.0,
        above_zero(name, divider) if divider else 24.0,
    )


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


PIPELINE_OPTIONS: Final[Mapping[str, tuple[str, Handler]]] = {
    "resize": ("rs", resize),
    "size": ("s", size),
    "resizing_type": ("rt", partial(simple, "resizing_type", resizing_type)),
    "resizing_algorithm": (
        "ra",
        partial(simple, "resizing_algorithm", partial(one_of, words=get_args(ResizingAlgorithm))),
    ),
    "width": ("w", partial(simple, "width", positive)),
    "height": ("h", partial(simple, "height", positive)),
    "min-width": ("mw", partial(simple, "min_width", positive)),
    "min-height": ("mh", partial(simple, "min_height", positive)),
    "zoom": ("z", zoom),
    "dpr": ("", partial(simple, "dpr", above_zero)),
    "enlarge": ("el", partial(simple, "enlarge", boolean)),
    "extend": ("ex", partial(extend, "extend")),
    "extend_aspect_ratio": ("extend_ar exar", partial(extend, "extend_aspect_ratio")),
    "gravity": ("g", gravity),
    "crop": ("c", crop),
    "trim": ("t", trim),
    "padding": ("pd", padding),
    "auto_rotate": ("ar", partial(simple, "auto_rotate", boolean)),
    "rotate": ("rot", rotate),
    "flip": ("fl", partial(listed, (("flip_horizontal", boolean), ("flip_vertical", boolean)))),
    "background": ("bg", background),
    "blur": ("bl", partial(simple, "blur", not_negative)),
    "sharpen": ("sh", partial(simple, "sharpen", not_negative)),
    "pixelate": ("pix", partial(simple, "pixelate", positive)),
    "watermark": ("wm", watermark),
    "watermark_url": ("wmu", partial(watermark_field, "url", base64_text)),
    "watermark_text": ("wmt", partial(watermark_field, "text", watermark_text)),
    "watermark_size": ("wms", watermark_size),
    "watermark_rotate": ("wm_rot wmr", partial(watermark_field, "angle", decimal)),
    "watermark_shadow": (
        "wmsh",
        partial(watermark_field, "shadow", partial(decimal, least=0, most=_WIDEST_SHADOW, what="number from 0 to 100")),
    ),
    "background_alpha": ("bga", partial(simple, "background_alpha", share)),
    "adjust": ("a", adjust),
    "brightness": ("br", partial(simple, "brightness", brightness)),
    "contrast": ("co", partial(simple, "contrast", not_negative)),
    "saturation": ("sa", partial(simple, "saturation", not_negative)),
    "monochrome": ("mc", nested("monochrome", Tint, (share, color))),
    "duotone": ("dt", nested("duotone", Duotone, (share, color, color))),
    "colorize": ("col", nested("colorize", Tint, (share, color, boolean))),
    "gradient": ("gr", nested("gradient", ColorRamp, (share, color, direction, share, share))),
    "crop_aspect_ratio": ("crop_ar car", crop_aspect_ratio),
    "unsharp_masking": ("ush", unsharp_masking),
    "blur_areas": ("ba", blur_areas),
    "progressive_blur": ("pbl", nested("progressive_blur", BlurRamp, (not_negative, direction, share, share))),
}
"""Options of one pass over the pixels by their long names, with the short ones."""
