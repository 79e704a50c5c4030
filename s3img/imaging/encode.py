"""Encode still pictures: one function a format, two profiles, qualities that look alike.

``build`` spends time once for fewer bytes (AVIF speed 6, PNG at its smallest), ``request`` answers quickly (AVIF speed
9). JPEG has optimised tables and is progressive only on request: that takes 2.6 times as long for 3 per cent fewer
bytes, of a format that browsers only fall back to. Metadata is never written unless it is handed in.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, TypeAlias

from PIL import Image, ImageChops, ImageStat, features

from s3img.errors import UnsupportedImage
from s3img.imaging.color import WHITE, flatten, opaque
from s3img.imaging.decode import pillow_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.imaging.color import Colour

Profile: TypeAlias = Literal["build", "request"]
Subsampling: TypeAlias = Literal["auto", "4:4:4", "4:2:0"]

SUBSAMPLINGS: Final[dict[str, Subsampling]] = {"": "auto", "444": "4:4:4", "420": "4:2:0"}
"""What a transform says, and what encoders are told."""

DEFAULT_QUALITY: Final[dict[str, int]] = {"jpeg": 80, "webp": 82, "avif": 67}
"""Qualities of equal perceived quality: what JPEG 80 looks like (SSIMULACRA 2, five photographs)."""

WEBP_METHOD: Final = 4  # 2 takes half the time and loses 0.002 to 0.008 of SSIM at equal bytes

_FULL_CHROMA: Final = 90  # from this quality on JPEG keeps colour at full resolution, as libvips does

LOSSLESS_DOUBT: Final = 3.0
"""How many times as large as lossy WebP a PNG may be estimated for lossless WebP to be tried."""

_HOPELESS: Final = 9.0
_VISIBLE_LOSS: Final = 0.12
_PRICE_OF_COLOUR: Final = 3.0  # how many times as large a lossless WebP may be where a lossy one loses colour
_COLOURED: Final = 24  # of 128: what is weaker looks grey

PHOTOGRAPH: Final = {
    "color:enable-palette": "0",
    "color:enable-intrabc": "0",
    "color:min-partition-size": "8",
    "color:coeff-cost-upd-freq": "2",
    "color:mode-cost-upd-freq": "2",
}
"""Options of libaom for photographs: 0.925 of the time for as many bytes and the same SSIM (20 photographs).

It takes one photograph in eight for a screenshot and looks for flat colours and repeated patterns in vain. Blocks of 4
px save nothing, nor does finding out anew what a symbol costs for every superblock (64 px) instead of once.
"""

_STRIPS: Final = 8
_SHARE: Final = 8

_ORIENTATION: Final = 0x0112
_GPS: Final = 0x8825
_ARTIST: Final = 0x013B
_COPYRIGHT: Final = 0x8298


@dataclass(frozen=True, slots=True)
class Encoding:
    """How to encode: ``format``, ``quality`` (1 to 100, 0: the default of the format) and the rest.

    ``icc`` and ``exif`` are written as they are; ``dpi`` 0 writes none. A ``lossless_source`` (PNG, GIF) may be a
    screenshot, chart or logo: its colours keep their full resolution, because text and lines of one px lose half of
    theirs with less, and WebP is lossless where that is smaller. ``subsampling`` of AVIF and JPEG replaces that choice.
    ``colors`` (2 to 256) is how many a PNG may have, 0: all.
    """

    format: str
    quality: int = 0
    profile: Profile = "build"
    lossless: bool = False
    progressive: bool = False
    background: Colour = WHITE
    icc: bytes = b""
    exif: bytes = b""
    dpi: int = 0
    lossless_source: bool = False
    subsampling: Subsampling = "auto"
    colors: int = 0

    @property
    def effective_quality(self) -> int:
        """Return the quality in force."""
        return self.quality or DEFAULT_QUALITY.get(self.format, 0)

    @property
    def chroma(self) -> str:
        """Return the chroma subsampling in force."""
        if self.subsampling != "auto":
            return self.subsampling
        is_fine = self.lossless_source or (self.format == "jpeg" and self.effective_quality >= _FULL_CHROMA)
        return "4:4:4" if is_fine else "4:2:0"

    def avif_settings(self, speed: int, mode: str) -> dict[str, Any]:
        """Return what the writer of AVIF is told, ``speed`` for a build and for a picture of ``mode``."""
        settings = {"quality": self.effective_quality, "speed": speed if self.profile == "build" else 9}
        settings["max_threads"] = 1  # bytes must not depend on the machine
        # Pillow finds out by itself that a grey picture has no chroma at all.
        return settings if mode in {"L", "LA"} else {**settings, "subsampling": self.chroma}

    @property
    def metadata(self) -> dict[str, Any]:
        """Return what Pillow's writers are told of metadata: all of it, so that none is taken from the source."""
        dpi = {"dpi": (self.dpi, self.dpi)} if self.dpi else {}
        return {"icc_profile": self.icc or None, "exif": self.exif, **dpi}


PLAIN_FORMATS: Final = frozenset({"bmp", "tiff", "ico"})
"""Formats that imgproxy's addresses may ask for by name; no browser needs them, so nothing else chooses them."""


@cache
def encoders() -> frozenset[str]:
    """Return the formats that this Pillow can write."""
    optional = {name for name in ("webp", "avif") if features.check(name)}
    return frozenset({"jpeg", "png", "gif"} | optional)


def check_encoder(name: str) -> None:
    """Raise ``UnsupportedImage`` for a format that can't be written."""
    if name not in encoders() and name not in PLAIN_FORMATS:
        known = ", ".join(sorted(encoders()))
        raise UnsupportedImage(f"{name.upper()} can't be written.", fix=f"Choose one of {known}.")


def encode(image: Image.Image, encoding: Encoding) -> bytes:
    """Encode a picture in L, LA, RGB or RGBA; an alpha band that has no effect is left out.

    Safe to call for one image from several threads: Pillow stores the parameters of a save on the image, so each
    call saves a copy.
    """
    check_encoder(encoding.format)
    copy = opaque(image).copy()
    copy.info = {}
    with pillow_errors(f"The picture can't be written as {encoding.format.upper()}"):
        match encoding.format:
            case "jpeg":
                return encode_jpeg(copy, encoding)
            case "webp":
                return encode_webp(copy, encoding)
            case "avif":
                is_photograph = encoding.profile == "build" and not encoding.lossless_source
                options = photograph_options() if is_photograph else {}
                return saved(copy, "AVIF", {**encoding.avif_settings(6, copy.mode), **encoding.metadata, **options})
            case "bmp" | "tiff" | "ico":
                return encode_plain(copy, encoding)
            case "gif":  # it has neither a quality nor metadata of ours
                return saved(palette(copy), "GIF", {"optimize": True})
            case _:
                copy = reduced(copy, encoding.colors) if encoding.colors else copy
                effort = {"optimize": True} if encoding.profile == "build" else {"compress_level": 6}
                return saved(exact_palette(copy) or copy, "PNG", {**effort, **encoding.metadata})


@cache
def photograph_options() -> dict[str, Any]:
    """Return what makes AVIF of photographs quicker for the same bytes, nothing where the encoder does not know it."""
    known = {"advanced": PHOTOGRAPH}
    try:
        saved(Image.new("RGB", (16, 16)), "AVIF", known)
    except (OSError, ValueError):  # an older libaom, or another encoder
        return {}
    return known


def encode_plain(image: Image.Image, encoding: Encoding) -> bytes:
    """Encode to one of ``PLAIN_FORMATS``; BMP is opaque, because viewers don't agree on alpha in it."""
    match encoding.format:
        case "bmp":
            return saved(flatten(image, encoding.background), "BMP", {})
        case "tiff":
            return saved(image, "TIFF", {"compression": "tiff_adobe_deflate", **encoding.metadata})
        case _:
            return saved(image, "ICO", {"sizes": [image.size]})


def encode_webp(image: Image.Image, encoding: Encoding) -> bytes:
    """Encode to WebP: lossy or lossless, whichever is smaller where the source was lossless."""
    settings = {"quality": encoding.effective_quality, "method": WEBP_METHOD, **encoding.metadata}
    if encoding.lossless:
        return saved(image, "WEBP", {**settings, "lossless": True})
    lossy = saved(image, "WEBP", settings)
    # Lossless WebP takes ten times as long for a photograph, so it is tried only where it can win: it has 0.1 to 0.8 of
    # the bytes that a PNG is estimated to have.
    estimate = png_estimate(image) / len(lossy) if encoding.lossless_source else _HOPELESS
    if estimate >= _HOPELESS:
        return lossy
    limit = _PRICE_OF_COLOUR if chroma_loss(image) > _VISIBLE_LOSS else 1.0
    if estimate > LOSSLESS_DOUBT * limit:
        return lossy
    lossless = saved(image, "WEBP", {**settings, "lossless": True})
    return lossless if len(lossless) < limit * len(lossy) else lossy


def chroma_loss(image: Image.Image) -> float:
    """Return the share of their colour that the coloured px of a picture lose when chroma has half the resolution.

    Below 0.1 for photographs, 0.13 to 0.6 for coloured text, charts and pixel art (`benchmarks/drawings.py`).
    """
    worst = 0.0
    for band in image.convert("RGB").convert("YCbCr").split()[1:]:
        halved = band.reduce(2).resize(band.size, Image.Resampling.BILINEAR)
        strength = band.point([abs(value - 128) for value in range(256)])
        coloured = strength.point([255 * (value > _COLOURED) for value in range(256)])
        colour = ImageStat.Stat(strength, coloured)
        if colour.count[0]:
            lost = ImageStat.Stat(ImageChops.difference(band, halved), coloured)
            worst = max(worst, lost.mean[0] / colour.mean[0])
    return worst


def png_estimate(image: Image.Image) -> float:
    """Return about how many bytes a PNG of the picture would take, from strips that are an eighth of its rows."""
    rows = max(1, image.height // (_STRIPS * _SHARE))
    strips = Image.new(image.mode, (image.width, _STRIPS * rows))
    for number in range(_STRIPS):
        top = number * image.height // _STRIPS
        strips.paste(image.crop((0, top, image.width, top + rows)), (0, number * rows))
    data = saved(exact_palette(strips) or strips, "PNG", {"compress_level": 1})
    return len(data) * image.height / strips.height


def encode_jpeg(image: Image.Image, encoding: Encoding) -> bytes:
    """Encode to JPEG, over the background of the encoding where the picture is transparent."""
    settings = {
        "quality": encoding.effective_quality,
        "optimize": True,
        "progressive": encoding.progressive,
        "subsampling": encoding.chroma,
        **encoding.metadata,
    }
    picture = flatten(image, encoding.background)
    try:
        return saved(picture, "JPEG", settings, file=anonymous_file())
    except OSError:  # Pillow's buffer is too small for noise at a high quality when it is optimised
        plain = settings | {"optimize": False, "progressive": False}
        return saved(picture, "JPEG", plain, file=anonymous_file())


def saved(image: Image.Image, name: str, settings: Mapping[str, Any], *, file: BinaryIO | None = None) -> bytes:
    """Return what Pillow's writer ``name`` writes, through ``file`` where there is one (it is closed then)."""
    with file or BytesIO() as buffer:
        image.save(buffer, name, **settings)
        buffer.seek(0)
        return buffer.read()


def anonymous_file() -> BinaryIO:
    """Return a file that has a descriptor and no name, one in memory where the system has no such thing.

    With a descriptor Pillow releases the interpreter lock while it writes JPEG: two threads are twice as fast.
    """
    try:
        return os.fdopen(os.memfd_create("s3img"), "w+b")
    except (AttributeError, OSError):
        return BytesIO()


def exact_palette(image: Image.Image) -> Image.Image | None:
    """Return the picture with a palette if that loses nothing: at most 256 colours, each found again."""
    if image.mode not in {"RGB", "RGBA"} or image.getcolors(256) is None:
        return None
    method = Image.Quantize.FASTOCTREE if image.mode == "RGBA" else Image.Quantize.MEDIANCUT
    candidate = image.quantize(256, method=method)
    same = ImageChops.difference(candidate.convert(image.mode), image)
    return candidate if all(same.getextrema()[band] == (0, 0) for band in range(len(image.mode))) else None


def reduced(image: Image.Image, colors: int) -> Image.Image:
    """Reduce a picture to as many colours, each with an opacity of its own."""
    if image.mode == "L":
        return image.quantize(colors)
    if image.mode in {"LA", "RGBA"}:
        return image.convert("RGBA").quantize(colors, method=Image.Quantize.FASTOCTREE)
    return quantized(image, colors)


def palette(image: Image.Image) -> Image.Image:
    """Reduce a picture to 256 colours, dithered; px that are more than half transparent become the key colour."""
    if image.mode == "L":
        return image
    if image.mode not in {"RGBA", "LA"}:
        return quantized(image.convert("RGB"), 256)
    alpha = image.getchannel("A")
    result = quantized(image.convert("RGB"), 255)  # the last colour of the palette is the key
    result.paste(255, mask=alpha.point([255] * 128 + [0] * 128))
    result.info["transparency"] = 255
    return result


def quantized(image: Image.Image, colours: int) -> Image.Image:
    """Reduce an RGB picture to as many ``colours``, dithered where it has more."""
    chosen = image.quantize(colours, method=Image.Quantize.MEDIANCUT)
    if image.getcolors(colours) is not None:
        return chosen
    return image.quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG)


def copyright_exif(data: bytes | None) -> bytes:
    """Return the tags of EXIF that tell who made the picture and whose it is, empty where there are none."""
    if not data:
        return b""
    try:
        exif, kept = Image.Exif(), Image.Exif()
        exif.load(data)
        for tag in (_ARTIST, _COPYRIGHT):
            if tag in exif:
                kept[tag] = exif[tag]
        return kept.tobytes() if kept else b""
    except Exception:
        return b""


def kept_exif(data: bytes | None) -> bytes:
    """Return EXIF without position and orientation, empty where it can't be read; thumbnails go, too."""
    if not data:
        return b""
    try:
        exif = Image.Exif()
        exif.load(data)
        for tag in (_ORIENTATION, _GPS):  # the pixels are upright by then
            exif.pop(tag, None)
        return exif.tobytes()
    except Exception:
        return b""
