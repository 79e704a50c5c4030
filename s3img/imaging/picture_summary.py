"""Tell what imgproxy's info tells of a picture, under its names."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, Final

import msgspec
from PIL import ImageStat

from s3img.imaging.attention import attention_point, thumbnail_size
from s3img.imaging.color import has_alpha
from s3img.imaging.decode import decode, decoder, page_count
from s3img.imaging.description import cosines, dot, thumbhash
from s3img.imaging.dominant_colors import dominant_colors
from s3img.imaging.embedded_metadata import embedded_metadata, exif_texts
from s3img.imaging.image_info import check_digest
from s3img.imaging.probing import opened, probe
from s3img.imaging.resize import resize
from s3img.imgproxy.box_geometry import plan_boxes
from s3img.imgproxy.processing_options import Pipeline

if TYPE_CHECKING:
    from PIL import Image

    from s3img.imaging.image_info import ImageInfo
    from s3img.imgproxy.info_options import InfoOptions
    from s3img.limits import Limits

_SIDE: Final = 100  # px of the copy that is looked at, which is thumbhash's own
_HASHED: Final = 32
_BASE83: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def picture_facts(data: bytes, options: InfoOptions, *, limits: Limits) -> dict[str, Any]:
    """Return what ``options`` ask for; pictures that are never rendered (SVG, ICO) have no colours and no EXIF.

    Raise what ``probe`` raises, and ImageError for corrupt px.
    """
    asked = {"input_pixels": options.max_src_resolution, "jpeg_pixels": options.max_src_resolution}
    asked["input_bytes"] = options.max_src_file_size
    limits = msgspec.structs.replace(
        limits, **{name: min(getattr(limits, name), value) for name, value in asked.items() if value}
    )
    info = probe(data, limits=limits)
    check_digest(data, options.hashsum)
    facts: dict[str, Any] = {}
    if options.size:
        facts["size"] = len(data)
    if options.format:
        facts |= {"format": info.format, "mime_type": info.media_type}
    if options.dimensions:
        facts |= {"width": info.width, "height": info.height, "orientation": info.orientation}
    if options.pages_number:
        with opened(data) as fp:
            facts["pages_number"] = page_count(fp, info)
    if options.calc_hashsums:
        facts["hashsums"] = {name: hashlib.new(name, data).hexdigest() for name in options.calc_hashsums}
    if not info.renderable:
        return facts
    return facts | _stored(data, info, options) | _looks(data, info, options, limits)


def _stored(data: bytes, info: ImageInfo, options: InfoOptions) -> dict[str, Any]:
    """Return what is told without a look at the px."""
    facts: dict[str, Any] = {}
    if options.exif:
        facts["exif"] = exif_texts(data, info, canonical=options.canonical_names)
    if options.iptc or options.xmp:
        facts |= embedded_metadata(data, info, iptc=options.iptc, xmp=options.xmp)
    if options.colorspace or options.bands or options.sample_format:
        facts |= _samples(data, info, options)
    return facts


def _samples(data: bytes, info: ImageInfo, options: InfoOptions) -> dict[str, Any]:
    """Tell how px are stored, under the names of libvips; a palette counts as the colours in it."""
    with opened(data) as fp, decoder(fp, info) as image:
        mode = image.mode
        bands = len(image.getbands()) if mode != "P" else 4 if info.alpha else 3
    is_grey = mode in {"1", "L", "LA", "F"} or mode.startswith("I")
    words = {
        "colorspace": "cmyk" if mode == "CMYK" else "b-w" if is_grey else "srgb",
        "bands": bands,
        "sample_format": "float" if mode == "F" else "ushort" if mode.startswith("I") else "uchar",
    }
    return {name: word for name, word in words.items() if getattr(options, name)}


def _crop(data: bytes, info: ImageInfo, options: InfoOptions, limits: Limits) -> dict[str, float]:
    """Return the part that a crop would keep, in shares of the upright picture."""
    size = info.width, info.height
    pipeline = Pipeline(crop=options.crop, gravity=options.gravity)
    gravity = options.crop.gravity or options.gravity
    crop = plan_boxes(size, 1, pipeline).crop
    if gravity.type == "sm":
        with opened(data) as fp:
            decoded = decode(fp, info, size, limits)
        small = thumbnail_size(size)
        picture = decoded.picture((0.0, 0.0, float(size[0]), float(size[1])), small)
        x, y = attention_point(picture, (crop[2] / size[0], crop[3] / size[1]))
        crop = plan_boxes(size, 1, pipeline, crop_focus=(float(x), float(y))).crop
    left, top, width, height = crop
    return {
        "left": left / size[0],
        "top": top / size[1],
        "width": width / size[0],
        "height": height / size[1],
    }


def _looks(data: bytes, info: ImageInfo, options: InfoOptions, limits: Limits) -> dict[str, Any]:
    if options.crop.width and options.crop.height:
        return {"crop": _crop(data, info, options, limits)} | _colors(data, info, options, limits)
    return _colors(data, info, options, limits)


def _colors(data: bytes, info: ImageInfo, options: InfoOptions, limits: Limits) -> dict[str, Any]:
    looks = (options.alpha, options.average, options.palette, options.thumb_hash, options.perceptual_hash)
    if not any(looks) and not options.dominant_colors and options.blurhash == (0, 0):
        return {}
    scale = min(1.0, _SIDE / max(info.width, info.height))
    size = max(1, round(info.width * scale)), max(1, round(info.height * scale))
    with opened(data) as fp:
        decoded = decode(fp, info, size, limits, page=options.page, any_size=True)
    picture = decoded.picture((0.0, 0.0, float(decoded.source[0]), float(decoded.source[1])), size).convert("RGBA")
    found: dict[str, Any] = {}
    if options.alpha:
        found["alpha"] = has_alpha(picture) if options.check_transparency else info.alpha
    if options.average:
        found["average"] = average(picture, weighted=options.ignore_transparent)
    if options.palette:
        found["palette"] = palette_of(picture, options.palette)
    if options.dominant_colors:
        found["dominant_colors"] = dominant_colors(picture, build_missed=options.build_missed)
    if options.blurhash != (0, 0):
        found["blurhash"] = blurhash(picture.convert("RGB"), options.blurhash)
    if options.thumb_hash:
        found["thumb_hash"] = thumbhash(*picture.size, picture.tobytes()).hex().upper()
    if options.perceptual_hash:
        found["perceptual_hash"] = f"{perceptual_hash(picture):016x}"
    return found


def average(picture: Image.Image, *, weighted: bool = True) -> dict[str, int]:
    """Return the mean colour of an RGBA picture; where it is ``weighted``, px count as much as they show."""
    if not weighted:
        return dict(zip("RGBA", (round(mean) for mean in ImageStat.Stat(picture).mean), strict=True))
    red, green, blue, alpha = (
        sum(value * count for value, count in enumerate(band.histogram())) for band in picture.convert("RGBa").split()
    )
    count = picture.width * picture.height
    parts = (round(255 * part / alpha) if alpha else 255 for part in (red, green, blue))
    return dict(zip("RGBA", (*parts, round(alpha / count)), strict=True))


def palette_of(picture: Image.Image, count: int) -> list[dict[str, int]]:
    """Return up to ``count`` colours of an RGBA picture, the commonest first."""
    reduced = picture.quantize(count)
    colors = sorted(reduced.getcolors(256) or (), key=lambda pair: -pair[0])
    levels = reduced.getpalette("RGBA") or []
    rows = ([*levels[4 * number : 4 * number + 4]] for _, number in colors if isinstance(number, int))
    return [dict(zip("RGBA", row, strict=True)) for row in rows]


def perceptual_hash(picture: Image.Image) -> int:
    """Return 64 bits that similar pictures share most of: which of the lowest 8x8 cosine terms are above the median."""
    grey = resize(picture.convert("L"), (_HASHED, _HASHED)).tobytes()
    rows = [list(map(float, grey[y * _HASHED : (y + 1) * _HASHED])) for y in range(_HASHED)]
    across = [[dot(row, cosines(_HASHED, term)) for row in rows] for term in range(8)]
    terms = [dot(across[x], cosines(_HASHED, y)) for y in range(8) for x in range(8)]
    median = sorted(terms[1:])[31]  # the first is the brightness, which says nothing
    return sum((term > median) << (63 - number) for number, term in enumerate(terms))


def blurhash(picture: Image.Image, terms: tuple[int, int]) -> str:
    """Return a BlurHash (github.com/woltapp/blurhash, Algorithm.md) of as many terms across and down."""
    small = picture if max(picture.size) <= _HASHED else resize(picture, _fitted(picture.size))
    width, height = small.size
    data = small.tobytes()
    bands = [[_linear(level) for level in data[band::3]] for band in range(3)]
    factors = []
    for y in range(terms[1]):
        for x in range(terms[0]):
            scale = (1 if x == y == 0 else 2) / (width * height)
            horizontal = [math.cos(math.pi * x * column / width) for column in range(width)]
            vertical = [math.cos(math.pi * y * row / height) for row in range(height)]
            factors.append([scale * _term(band, horizontal, vertical) for band in bands])
    (first, *others) = factors
    most = max((abs(part) for factor in others for part in factor), default=0.0)
    quantized = max(0, min(82, math.floor(most * 166 - 0.5)))
    unit = (quantized + 1) / 166
    red, green, blue = map(_srgb, first)
    text = _base83(terms[0] - 1 + 9 * (terms[1] - 1), 1) + _base83(quantized if others else 0, 1)
    text += _base83(red << 16 | green << 8 | blue, 4)
    for factor in others:
        red, green, blue = (
            max(0, min(18, math.floor(math.copysign(abs(part / unit) ** 0.5, part) * 9 + 9.5))) for part in factor
        )
        text += _base83((red * 19 + green) * 19 + blue, 2)
    return text


def _term(band: list[float], horizontal: list[float], vertical: list[float]) -> float:
    width = len(horizontal)
    rows = (dot(band[row * width : (row + 1) * width], horizontal) for row in range(len(vertical)))
    return sum(row * weight for row, weight in zip(rows, vertical, strict=True))


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    scale = _HASHED / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _linear(level: int) -> float:
    value = level / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _srgb(value: float) -> int:
    value = max(0.0, min(1.0, value))
    return math.floor((value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055) * 255 + 0.5)


def _base83(value: int, length: int) -> str:
    return "".join(_BASE83[value // 83 ** (length - place) % 83] for place in range(1, length + 1))
