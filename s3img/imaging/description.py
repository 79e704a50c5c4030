"""Describe a picture without showing it: size, colours, thumbhash, and a few tags of EXIF."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from PIL import ExifTags, Image, PngImagePlugin

from s3img.errors import ImageError
from s3img.imaging.color import to_srgb
from s3img.imaging.decode import decode, decoder, pillow_errors
from s3img.imaging.pipeline import render
from s3img.imaging.probing import located, opened, probe
from s3img.limits import Limits
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3img.imaging.image_info import ImageInfo
    from s3img.imaging.probing import ImageSource

_ENOUGH: Final = (64, 64)  # px; a JPEG need not be decoded any larger

_STEP: Final = 17  # 0x11: sixteen levels a channel


def average_color(source: ImageSource, limits: Limits | None = None) -> str:
    """Return the average colour of a picture (of an animation's first frame) as ``#rrggbb``, in sRGB.

    Transparent px count as little as they show; a picture of nothing else is white. Each channel has sixteen levels:
    decoders differ in the last bit of a px, and the colour must not. Raise what ``probe`` raises, `UnsupportedImage`
    for a format that is never rendered, `ImageError` for corrupt px.
    """
    limits = limits or Limits()
    info = probe(source, limits=limits)
    with opened(source) as fp, located(source):
        decoded = decode(fp, info, _ENOUGH, limits)
        with pillow_errors(f"The {info.format.upper()} can't be read"):
            counts = to_srgb(decoded.image, decoded.profile).convert("RGBA").convert("RGBa").histogram()
    # Premultiplied bands add up to averages weighted by alpha.
    red, green, blue, alpha = (
        sum(value * count for value, count in enumerate(counts[start : start + 256])) for start in range(0, 1024, 256)
    )
    channels = [255 * channel / alpha for channel in (red, green, blue)] if alpha else [255, 255, 255]
    return "#" + "".join(f"{_STEP * round(channel / _STEP):02x}" for channel in channels)


@dataclass(frozen=True, slots=True)
class CosineTerms:
    """The cosine coefficients of a channel: the mean, and the others scaled to 0 to 1."""

    mean: float
    others: list[float]
    scale: float


_SMALL: Final = Transform.parse("w-32,h-32,c-at_max,f-png")

_COLORS: Final = 6

_LONGEST: Final = 200

_EXIF: Final = ("ImageDescription", "Make", "Model", "Artist", "Copyright", "DateTime")

_PHOTO: Final = ("DateTimeOriginal", "ExposureTime", "FNumber", "ISOSpeedRatings", "FocalLength", "LensModel")


def thumbhash(width: int, height: int, rgba: Sequence[int]) -> bytes:
    """Return the hash of a small picture (at most 100 px a side): 4 bytes a px, alpha not multiplied in."""
    pixels = [tuple(part / 255 for part in rgba[i : i + 4]) for i in range(0, len(rgba), 4)]
    covered = sum(alpha for *_, alpha in pixels)
    has_alpha = covered < width * height
    mean = [sum(px[band] * px[3] for px in pixels) / covered if covered else 0.0 for band in range(3)]
    mixed = [[mean[band] * (1 - px[3]) + px[band] * px[3] for px in pixels] for band in range(3)]
    bands = list(zip(*mixed, strict=True))
    size = width, height
    most = 5 if has_alpha else 7
    across, down = (max(1, round_half_up(most * side / max(size))) for side in size)
    light = cosine_terms([(r + g + b) / 3 for r, g, b in bands], size, max(3, across), max(3, down))
    yellow = cosine_terms([(r + g) / 2 - b for r, g, b in bands], size, 3, 3)
    red = cosine_terms([r - g for r, g, _ in bands], size, 3, 3)
    alpha = [cosine_terms([px[3] for px in pixels], size, 5, 5)] if has_alpha else []
    is_wide = width > height
    header = (
        round_half_up(63 * light.mean)
        | round_half_up(31.5 + 31.5 * yellow.mean) << 6
        | round_half_up(31.5 + 31.5 * red.mean) << 12
    )
    header |= round_half_up(31 * light.scale) << 18 | has_alpha << 23
    second = (
        (down if is_wide else across)
        | round_half_up(63 * yellow.scale) << 3
        | round_half_up(63 * red.scale) << 9
        | is_wide << 15
    )
    head = header.to_bytes(3, "little") + second.to_bytes(2, "little")
    head += b"".join(bytes([round_half_up(15 * one.mean) | round_half_up(15 * one.scale) << 4]) for one in alpha)
    halves = [round_half_up(15 * value) for channel in (light, yellow, red, *alpha) for value in channel.others]
    halves += [0] * (len(halves) % 2)
    return head + bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=True))


def cosine_terms(channel: list[float], size: tuple[int, int], across: int, down: int) -> CosineTerms:
    """Return the lowest terms of a cosine transform, a triangle of ``across`` by ``down``."""
    width, height = size
    rows = [channel[y * width : (y + 1) * width] for y in range(height)]
    sums = [[dot(row, cosines) for row in rows] for cosines in (cosines(width, cx) for cx in range(across))]
    mean, *others = (
        dot(sums[cx], cosines(height, cy)) / (width * height)
        for cy in range(down)
        for cx in range(across)
        if cx * down < across * (down - cy)
    )
    scale = max(map(abs, others), default=0.0)
    return CosineTerms(mean, [0.5 + 0.5 / scale * term for term in others] if scale else others, scale)


def cosines(length: int, frequency: int) -> list[float]:
    """Return one row of the transform: a cosine of ``frequency`` half waves, sampled at the middles of the px."""
    return [math.cos(math.pi / length * frequency * (x + 0.5)) for x in range(length)]


def dot(one: list[float], other: list[float]) -> float:
    """Return the scalar product."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def round_half_up(value: float) -> int:
    """Round as JavaScript does, halves up."""
    return math.floor(value + 0.5)


def describe(data: bytes, *, limits: Limits | None = None) -> dict[str, Any]:
    """Return size, format, colours and a few words of EXIF: never the place, serial numbers or the maker's notes.

    ``dominant`` is #rrggbb, ``thumbhash`` base64; both, and ``exif``, are left out for what can't be rendered. Raise
    what ``render`` raises.
    """
    info = probe(data, limits=limits)
    facts = {
        "format": info.format,
        "media_type": info.media_type,
        "width": info.width,
        "height": info.height,
        "bytes": len(data),
        "frames": info.frames,
        "alpha": info.alpha,
    }
    if not info.renderable:
        return facts
    rendered = render(data, _SMALL, profile="request", limits=limits)
    image = PngImagePlugin.PngImageFile(BytesIO(rendered.data)).convert("RGBA")
    digest = thumbhash(*image.size, image.tobytes())
    looks = {"dominant": dominant_color(image), "thumbhash": base64.b64encode(digest).decode()}
    return {**facts, **looks, "exif": shown_exif(data, info)}


def dominant_color(image: Image.Image) -> str:
    """Return the commonest of a few colours that stand for all of an RGBA picture; what is transparent has none."""
    data = image.tobytes()
    solid = [tuple(data[i : i + 3]) for i in range(0, len(data), 4) if data[i + 3] >= 128] or [(0, 0, 0)]
    strip = Image.new("RGB", (len(solid), 1))
    strip.putdata(solid)
    reduced = strip.quantize(_COLORS).convert("RGB").tobytes()
    pixels = [tuple(reduced[i : i + 3]) for i in range(0, len(reduced), 3)]
    return "#{:02x}{:02x}{:02x}".format(*max(pixels, key=pixels.count))


def tells_place(data: bytes) -> bool:
    """Tell whether a picture's EXIF says where it was taken; False for what can't be read."""
    try:
        with opened(data) as fp, decoder(fp, probe(data)) as image:
            return bool(image.getexif().get_ifd(ExifTags.IFD.GPSInfo))
    except ImageError:
        return False


def shown_exif(data: bytes, info: ImageInfo) -> dict[str, str | float]:
    """Return the few tags that are shown: what is in the picture, the camera, who took it and how."""
    with opened(data) as fp, decoder(fp, info) as image:
        exif = image.getexif()
        photo = exif.get_ifd(ExifTags.IFD.Exif)
    found = {}
    for names, tags in ((_EXIF, exif), (_PHOTO, photo)):
        for name in names:
            value = plain_value(tags.get(ExifTags.Base[name]))
            if value is not None:
                found[name] = value
    return found


def plain_value(value: object) -> str | float | None:
    """Return a text of one line or a finite number, None for anything else."""
    if isinstance(value, str):
        return " ".join(value.replace("\0", " ").split())[:_LONGEST] or None
    try:
        number = float(value)  # type: ignore[arg-type] # Pillow's fractions, and what only looks like one
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return round(number, 6) if abs(number) < 1e12 else None
