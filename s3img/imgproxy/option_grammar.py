"""Read imgproxy's addresses, after their signature: options in any order and spelling, then the source."""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args
from urllib.parse import unquote_to_bytes

import msgspec

from s3img.errors import RequestError, TransformError
from s3img.imgproxy.processing_options import (
    FORMATS,
    PLACES,
    RESIZING_TYPES,
    AutoQuality,
    AvifOptions,
    AvifSubsample,
    BlurRamp,
    BlurredAreas,
    ColorRamp,
    CropArea,
    Duotone,
    Extend,
    Gravity,
    GravityType,
    JpegOptions,
    Padding,
    Pipeline,
    PngOptions,
    ProcessingOptions,
    QualityMethod,
    Rgb,
    Tint,
    TrimRule,
    UnsharpMask,
    UnsharpMode,
    Watermark,
    WebpCompression,
    WebpOptions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

State: TypeAlias = dict[str, Any]
"""Fields by name, as they are read: options that come later overwrite those that came before."""
Args: TypeAlias = list[str]
SourceForm: TypeAlias = Literal["url", "encrypted"]

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{6}|[0-9A-Fa-f]{3}")
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]*")
_BROKEN_SCHEME: Final = re.compile(r"(\S+):/([^/])")
_MOST: Final = 1e9
"""Numbers above are refused, and so are positive ones below its inverse: arithmetic with them would leave floats."""
_MOST_AREAS: Final = 50
_CROP_GRAVITIES: Final = ("sm", "fp", *PLACES)
_EXTEND_GRAVITIES: Final = ("fp", *PLACES)
_WATERMARK_PLACES: Final = ("re", "ch", *PLACES)
_TAG: Final = re.compile(r"[!#-+\--~]{1,1024}")
_MOST_TAGS: Final = 4096
HASHES: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
"""Digests of sources, with their hexadecimal digits."""
_PRESETS: Final = ("default", "photo", "picture", "drawing", "icon", "text")
_LONGEST_TEXT: Final = 500
_WIDEST_SHADOW: Final = 100
_SECURITY: Final = frozenset(
    {
        "max_src_resolution",
        "max_src_file_size",
        "max_animation_frames",
        "max_animation_frame_resolution",
        "max_result_dimension",
    }
)
_DIRECTIONS: Final = {"down": 0.0, "left": 90.0, "up": 180.0, "right": 270.0}
UNSUPPORTED: Final = {
    "resizing_algorithm": "ra",
    "objects_position": "obj_pos op",
    "blur_detections": "bd",
    "draw_detections": "dd",
    "crop_objects": "",  # its short name is that of contrast as well
    "style": "st",
    "color_profile": "cp icc",
    "pages": "pgs",
    "video_thumbnail_second": "vts",
    "video_thumbnail_keyframes": "vtk",
    "video_thumbnail_tile": "vtt",
    "video_thumbnail_animation": "vta",
    "bypass_cache": "bc",
}
"""Options of imgproxy Pro that need a model or video, or that mean nothing here, and their short names."""


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """What an address asks for: ``source`` is a URL, or the text that it was encrypted to.

    ``presets_only`` tells that presets alone say what is done, apart from a cache buster and an expiry.
    """

    options: ProcessingOptions
    source: str
    form: SourceForm = "url"
    presets_only: bool = False


def bad(name: str, text: str, expected: str) -> TransformError:
    """Return the error for an argument, which names its option."""
    return TransformError(f"{name}: {text[:80]!r} is no {expected}.", token=f"{name}:{text[:80]}")


def integer(name: str, text: str, *, least: int = -(10**18), most: int = 10**18, what: str = "integer") -> int:
    """Read a whole number."""
    if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
        raise bad(name, text, what)
    return int(text)


def positive(name: str, text: str) -> int:
    """Read a whole number that is not negative."""
    return integer(name, text, least=0, what="positive integer or 0")


def decimal(name: str, text: str, *, least: float = -_MOST, most: float = _MOST, what: str = "number") -> float:
    """Read a finite number, which imgproxy leaves unchecked: ``dpr:NaN`` fails there in the middle of the work."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not least <= value <= most:
        raise bad(name, text, what)
    return value


def share(name: str, text: str) -> float:
    """Read a number from 0 to 1."""
    return decimal(name, text, least=0, most=1, what="number from 0 to 1")


def not_negative(name: str, text: str) -> float:
    """Read a number that is not negative."""
    return decimal(name, text, least=0, what="positive number or 0")


def above_zero(name: str, text: str) -> float:
    """Read a positive number."""
    return decimal(name, text, least=1 / _MOST, what="positive number")


def is_true(text: str) -> bool:
    """Read a boolean as Go's ``strconv.ParseBool``; anything else is false, as imgproxy has it."""
    return text in _TRUE


def boolean(name: str, text: str) -> bool:  # noqa: ARG001 - readers have one signature
    """Read a boolean."""
    return is_true(text)


def color(name: str, text: str) -> Rgb:
    """Read three or six hexadecimal digits."""
    if not _HEX.fullmatch(text):
        raise bad(name, text, "hex-encoded colour")
    full = text if len(text) == 6 else "".join(digit * 2 for digit in text)
    return int(full[:2], 16), int(full[2:4], 16), int(full[4:], 16)


def image_format(name: str, text: str) -> str:
    """Read the name of a format that results may have."""
    if text not in FORMATS:
        raise bad(name, text, f"image format: choose one of {', '.join(FORMATS)}")
    return FORMATS[text]


def written_format(name: str, text: str) -> str:
    """Read the name of a format to write; two of imgproxy's can't be written here, and ``best`` names none."""
    if text == "best":  # without a format, the smallest of those that the client takes is written anyway
        return ""
    found = image_format(name, text)
    if found in {"heic", "jxl"}:
        raise bad(name, text, "format that can be written here: choose avif, webp, jpeg or png")
    return found


def megapixels(name: str, text: str) -> int:
    """Read millions of px."""
    return int(not_negative(name, text) * 1_000_000)


def base64_text(name: str, text: str) -> str:
    """Read a text from URL-safe base64."""
    try:
        return decode_base64(text).decode()
    except ValueError as error:
        raise bad(name, text, "URL-safe base64 of UTF-8") from error


def decode_base64(text: str) -> bytes:
    """Decode URL-safe base64 whose padding may be missing; raise ValueError for anything else."""
    plain = text.rstrip("=")
    if not _BASE64.fullmatch(plain):
        raise ValueError("a character outside of the URL-safe alphabet")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error as error:
        raise ValueError("a length that base64 does not have") from error


def at_most(name: str, args: Args, count: int) -> None:
    """Refuse more arguments than an option has."""
    if len(args) > count:
        raise TransformError(f"{name}: {len(args)} arguments; it has {count} at most.", token=name)


def simple(key: str, read: Callable[[str, str], object], name: str, state: State, args: Args) -> None:
    """Read an option of one argument."""
    at_most(name, args, 1)
    state[key] = read(name, args[0])


def listed(keys: Sequence[tuple[str, Callable[[str, str], object]]], name: str, state: State, args: Args) -> None:
    """Read several arguments; an empty one leaves what was there."""
    at_most(name, args, len(keys))
    for (key, read), text in zip(keys, args, strict=False):
        if text:
            state[key] = read(name, text)


def gravity_type(name: str, text: str, allowed: Sequence[str]) -> GravityType:
    """Read one of the gravities that an option takes."""
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


def nested(key: str, kind: type[Any], readers: Sequence[Callable[[str, str], object]]) -> Handler:
    """Return what reads the fields of a value in their order; those that are left out stay as a preset has them."""

    def read(name: str, state: State, args: Args) -> None:
        at_most(name, args, len(readers))
        fields = zip(kind.__struct_fields__, readers, args, strict=False)
        before = state.get(key) or getattr(Pipeline(), key, None) or kind()
        state[key] = msgspec.structs.replace(before, **{field: one(name, text) for field, one, text in fields if text})

    return read


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


def format_quality(name: str, state: State, args: Args) -> None:
    """Read pairs of format and quality."""
    if len(args) % 2:
        raise TransformError(f"{name}: {args[-1][:80]!r} has no quality.", token=name)
    pairs = dict(state.get("format_quality", ()))
    for at in range(0, len(args), 2):
        pairs[image_format(name, args[at])] = quality(name, args[at + 1])
    state["format_quality"] = tuple(sorted(pairs.items()))


def one_of(name: str, text: str, *, words: Sequence[str]) -> str:
    """Read one of some words."""
    if text not in words:
        raise bad(name, text, f"choice: write {', '.join(words)}")
    return text


def quality_method(name: str, text: str) -> str:
    """Read how a quality is found; ``ml`` is ``dssim`` where there is no model, and here is none."""
    return "dssim" if text == "ml" else one_of(name, text, words=get_args(QualityMethod))


def hashsum(name: str, state: State, args: Args) -> None:
    """Read ``hs:TYPE:HEX``, the digest that the source must have."""
    at_most(name, args, 2)
    kind, digest = [*args, ""][:2]
    if kind == "none":
        state["hashsum"] = ("", "")
        return
    if kind not in HASHES:
        raise bad(name, kind, f"hash: choose none, {', '.join(HASHES)}")
    if not re.fullmatch(f"[0-9a-fA-F]{{{HASHES[kind]}}}", digest):
        raise bad(name, digest, f"{kind} in {HASHES[kind]} hexadecimal digits")
    state["hashsum"] = (kind, digest.lower())


def cache_tags(name: str, state: State, args: Args) -> None:
    """Read tags, percent-encoded, that a CDN may be told to drop; they go into a header, so they are plain ASCII."""
    tags = [unquote_to_bytes(text).decode("latin-1") for text in args if text]
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise bad(name, tag, "tag: write letters, digits and ASCII signs, no comma, blank or quote")
    if sum(map(len, tags)) > _MOST_TAGS:
        raise TransformError(f"{name}: the tags have more than {_MOST_TAGS} characters.", token=name)
    state["cache_tags"] = tuple(dict.fromkeys(tags))


def quality(name: str, text: str) -> int:
    """Read a quality, of which 0 stands for the default."""
    return integer(name, text, least=0, most=100, what="number from 0 to 100")


def skip_processing(name: str, state: State, args: Args) -> None:
    """Read formats of sources that are sent as they are."""
    formats = {*state.get("skip_processing", ()), *(image_format(name, text) for text in args)}
    state["skip_processing"] = tuple(sorted(formats))


def filename(name: str, state: State, args: Args) -> None:
    """Read ``fn:NAME``, percent-encoded, or ``fn:BASE64:1``."""
    at_most(name, args, 2)
    is_encoded = len(args) > 1 and is_true(args[1])
    plain = unquote_to_bytes(args[0]).decode("utf-8", "replace")
    state["filename"] = base64_text(name, args[0]) if is_encoded else plain


def expires(name: str, state: State, args: Args) -> None:
    """Read Unix seconds; whether they are over is checked when the address is used."""
    at_most(name, args, 1)
    state["expires"] = integer(name, args[0], least=0, what="Unix timestamp")


def text_argument(name: str, text: str) -> str:  # noqa: ARG001 - readers have one signature
    """Read any text."""
    return text


quant_table: Final = partial(integer, least=0, most=8, what="number from 0 to 8")
png_colors: Final = partial(integer, least=2, most=256, what="number from 2 to 256")
_ZERO_OR_MORE: Final = partial(integer, least=0, what="positive integer or 0")

Handler: TypeAlias = "Callable[[str, State, Args], None]"

PIPELINE_OPTIONS: Final[Mapping[str, tuple[str, Handler]]] = {
    "resize": ("rs", resize),
    "size": ("s", size),
    "resizing_type": ("rt", partial(simple, "resizing_type", resizing_type)),
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

OUTPUT_OPTIONS: Final[Mapping[str, tuple[str, Handler]]] = {
    "strip_metadata": ("sm", partial(simple, "strip_metadata", boolean)),
    "keep_copyright": ("kcr", partial(simple, "keep_copyright", boolean)),
    "strip_color_profile": ("scp", partial(simple, "strip_color_profile", boolean)),
    "preserve_hdr": ("ph", partial(simple, "preserve_hdr", boolean)),
    "enforce_thumbnail": ("eth", partial(simple, "enforce_thumbnail", boolean)),
    "quality": ("q", partial(simple, "quality", quality)),
    "format_quality": ("fq", format_quality),
    "max_bytes": ("mb", partial(simple, "max_bytes", positive)),
    "format": ("f ext", partial(simple, "format", written_format)),
    "skip_processing": ("skp", skip_processing),
    "raw": ("", partial(simple, "raw", boolean)),
    "cachebuster": ("cb", partial(simple, "cachebuster", text_argument)),
    "expires": ("exp", expires),
    "filename": ("fn", filename),
    "return_attachment": ("att", partial(simple, "return_attachment", boolean)),
    "max_src_resolution": ("msr", partial(simple, "max_src_resolution", megapixels)),
    "max_src_file_size": ("msfs", partial(simple, "max_src_file_size", _ZERO_OR_MORE)),
    "max_animation_frames": (
        "maf",
        partial(simple, "max_animation_frames", partial(integer, least=1, what="positive integer")),
    ),
    "max_animation_frame_resolution": ("mafr", partial(simple, "max_animation_frame_resolution", megapixels)),
    "max_result_dimension": ("mrd", partial(simple, "max_result_dimension", _ZERO_OR_MORE)),
    "dpi": ("", partial(simple, "dpi", partial(integer, least=0, most=65_535, what="number from 0 to 65535"))),
    "disable_animation": ("da", partial(simple, "disable_animation", boolean)),
    "page": ("pg", partial(simple, "page", partial(integer, least=0, most=100_000, what="number of a page, from 0"))),
    "hashsum": ("hs", hashsum),
    "fallback_image_url": ("fiu", partial(simple, "fallback_image_url", base64_text)),
    "cache_tags": ("ct", cache_tags),
    "autoquality": ("aq", nested("auto_quality", AutoQuality, (quality_method, not_negative, quality, quality, share))),
    "jpeg_options": ("jpgo", nested("jpeg_options", JpegOptions, (*[boolean] * 5, quant_table))),
    "png_options": ("pngo", nested("png_options", PngOptions, (boolean, boolean, png_colors))),
    "webp_options": (
        "webpo",
        nested(
            "webp_options",
            WebpOptions,
            (partial(one_of, words=get_args(WebpCompression)), boolean, partial(one_of, words=_PRESETS)),
        ),
    ),
    "avif_options": ("avifo", nested("avif_options", AvifOptions, [partial(one_of, words=get_args(AvifSubsample))])),
}
"""Options of the whole request by their long names, with the short ones."""

LONG_NAMES: Final[Mapping[str, str]] = {
    spelling: name
    for table in (PIPELINE_OPTIONS, OUTPUT_OPTIONS, {"preset": ("pr", None)})
    for name, (short, _) in table.items()
    for spelling in (name, *short.split())
}
"""The long name of every spelling."""
_UNSUPPORTED_NAMES: Final = {
    spelling: name for name, short in UNSUPPORTED.items() for spelling in (name, *short.split())
}


@dataclass(frozen=True, slots=True)
class OptionGrammar:
    """Read addresses under one configuration; the fields are the settings of `config.imgproxy.ImgproxySettings`."""

    presets: Mapping[str, str] = field(default_factory=dict)
    only_presets: bool = False
    allowed_options: frozenset[str] = frozenset()
    allow_security_options: bool = False
    arguments_separator: str = ":"
    base_url: str = ""
    url_replacements: tuple[tuple[re.Pattern[str], str], ...] = ()
    base64_url_includes_filename: bool = False

    def check(self) -> None:
        """Raise TransformError for a preset that can't be applied."""
        for name in self.presets:
            self.apply_presets(_Reading(), [name])

    def parse(self, path: str) -> ProxyRequest:
        """Read a path that begins after the signature, repaired by `repaired`.

        Raise TransformError, which names the option, and RequestError for a source that can't be read.
        """
        segments = path.removeprefix("/").split("/")
        if segments[0] in RESIZING_TYPES:
            raise RequestError("The address has imgproxy's old form, TYPE/WIDTH/HEIGHT/…; write rs:TYPE:WIDTH:HEIGHT.")
        reading = _Reading()
        if "default" in self.presets:
            self.apply_presets(reading, ["default"])
        if self.only_presets:
            self.apply_presets(reading, segments[0].split(self.arguments_separator))
            rest, names = segments[1:], {"preset"}
        else:
            options, rest = self.split(segments)
            for name, args in options:
                if self.allowed_options and LONG_NAMES.get(name, name) not in self.allowed_options:
                    raise TransformError(f"{name}: this option is not among those allowed here.", token=name)
                self.apply(reading, name, args)
            names = {LONG_NAMES.get(name, "") for name, _ in options}
        source, extension, form = self.source(rest)
        if reading.output.get("raw") and any(reading.output.get("hashsum", ())):
            raise TransformError("hashsum: a source that is sent as it is (raw) is not checked.")
        if extension and not reading.output.get("raw"):
            reading.output["format"] = written_format("extension", extension)
        return ProxyRequest(reading.options(), source, form, "preset" in names <= {"preset", "cachebuster", "expires"})

    def split(self, segments: list[str]) -> tuple[list[tuple[str, Args]], list[str]]:
        """Take options off the front: the first segment without an argument begins the source."""
        options: list[tuple[str, Args]] = []
        for at, segment in enumerate(segments):
            name, *args = segment.split(self.arguments_separator)
            if not args and segment != "-":
                return options, segments[at:]
            options.append((name, args))
        return options, []

    def apply(self, reading: _Reading, name: str, args: Args, used: tuple[str, ...] = ()) -> None:
        """Apply one option; ``used`` are the presets that are being applied."""
        if name == "-":
            reading.pipelines.append({})
            return
        long = LONG_NAMES.get(name, "")
        if long == "preset":
            self.apply_presets(reading, args, used)
        elif long in PIPELINE_OPTIONS:
            PIPELINE_OPTIONS[long][1](name, reading.pipelines[-1], args)
        elif long in OUTPUT_OPTIONS:
            if long in _SECURITY and not self.allow_security_options:
                raise TransformError(
                    f"{name}: options that set limits are not allowed here (allow_security_options).", token=name
                )
            OUTPUT_OPTIONS[long][1](name, reading.output, args)
        elif name in _UNSUPPORTED_NAMES:
            raise TransformError(f"{name}: {_UNSUPPORTED_NAMES[name]} of imgproxy Pro is not offered here.", token=name)
        else:
            raise TransformError(f"{name[:80]}: imgproxy has no such option.", token=name[:80])

    def apply_presets(self, reading: _Reading, names: Sequence[str], used: tuple[str, ...] = ()) -> None:
        """Apply presets one after the other; one that is being applied already is passed over, as in imgproxy."""
        for name in names:
            if name not in self.presets:
                raise TransformError(
                    f"preset: {name[:80]!r} is not a preset of this service.", token=f"preset:{name[:80]}"
                )
            if name in used:
                continue
            options, rest = self.split(self.presets[name].strip().split("/"))
            if rest:
                raise TransformError(f"preset {name}: {'/'.join(rest)!r} is not an option.", token=rest[0])
            for option, args in options:
                self.apply(reading, option, args, (*used, name))

    def source(self, segments: list[str]) -> tuple[str, str, SourceForm]:
        """Return the source, the extension behind it, and its form."""
        if len(segments) > 1 and segments[0] == "plain":
            text, extension = _parted("/".join(segments[1:]), "@")
            if "%" in text.replace("%25", "") and re.search(r"%(?![0-9A-Fa-f]{2})", text):
                raise RequestError("The source's percent-encoding is broken.", fix="Encode its % as %25.")
            return self.located(_utf8(unquote_to_bytes(text))), extension, "url"
        is_encrypted = len(segments) > 1 and segments[0] == "enc"
        parts = segments[1:] if is_encrypted else segments
        if len(parts) > 1 and self.base64_url_includes_filename:
            parts = parts[:-1]
        text, extension = _parted("".join(parts), ".")
        if is_encrypted:
            return text, extension, "encrypted"
        try:
            decoded = decode_base64(text)
        except ValueError as error:
            message = f"{'/'.join(segments)[:80]!r} is neither an option nor a source in base64."
            raise RequestError(message, fix="Write plain/ in front of a source that is not encoded.") from error
        return self.located(_utf8(decoded)), extension, "url"

    def located(self, url: str) -> str:
        """Return a source's URL after the replacements, and below the base URL."""
        for pattern, replacement in self.url_replacements:
            url = pattern.sub(replacement, url)
        return url if url.startswith(self.base_url) else self.base_url + url


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    pipelines: list[State] = field(default_factory=lambda: [{}])
    output: State = field(default_factory=dict)

    def options(self) -> ProcessingOptions:
        return ProcessingOptions(pipelines=tuple(Pipeline(**one) for one in self.pipelines), **self.output)


def repaired(path: str) -> str:
    """Undo what proxies do to a path after its signature: ``%3A`` in options, ``scheme:/`` in plain sources.

    What this returns is what was signed; it begins with a slash.
    """
    path = "/" + path.removeprefix("/")
    options, plain, source = path.partition("/plain/")
    options = options.replace("%3A", ":")
    if not plain:
        return options
    if match := _BROKEN_SCHEME.match(source):
        slashes = ":///" if match[1] == "local" else "://"
        source = match[1] + slashes + source[match.start(2) :]
    return options + plain + source


def _parted(text: str, mark: str) -> tuple[str, str]:
    """Split a source from its extension."""
    source, *extensions = text.split(mark)
    if not source:
        raise RequestError("The address names no source.", fix="Add plain/ and the source's address.")
    if len(extensions) > 1:
        fix = "Write an @ of the name as %40." if mark == "@" else "Leave one out."
        raise RequestError(f"The address has several extensions: {text[:80]!r}.", fix=fix)
    return source, extensions[0] if extensions else ""


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RequestError("The source is not UTF-8 when decoded, and keys are.") from error
