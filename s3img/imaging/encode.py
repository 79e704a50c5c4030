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

from PIL import Image, ImageChops, features

from s3img.errors import UnsupportedImage
from s3img.imaging.color import WHITE, flatten, opaque
from s3img.imaging.decode import pillow_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3img.imaging.color import Colour

Profile: TypeAlias = Literal["build", "request"]

DEFAULT_QUALITY: Final[dict[str, int]] = {"jpeg": 80, "webp": 82, "avif": 67}
"""Qualities of equal perceived quality: what JPEG 80 looks like (SSIMULACRA 2, five photographs)."""

WEBP_METHOD: Final = 4  # 2 takes half the time and loses 0.002 to 0.008 of SSIM at equal bytes

_FULL_CHROMA: Final = 90  # from this quality on JPEG keeps colour at full resolution, as libvips does


@dataclass(frozen=True, slots=True)
class Encoding:
    """Say how to encode: ``format``, ``quality`` (1 to 100, 0: the default of the format) and the rest.

    ``icc`` and ``exif`` are written as they are; ``dpi`` 0 writes none.
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

    @property
    def effective_quality(self) -> int:
        """Return the quality in force."""
        return self.quality or DEFAULT_QUALITY.get(self.format, 0)

    def avif_settings(self, speed: int) -> dict[str, int]:
        """Return quality and effort, ``speed`` for a build; one thread, so that bytes don't depend on the machine."""
        return {"quality": self.effective_quality, "speed": speed if self.profile == "build" else 9, "max_threads": 1}

    @property
    def metadata(self) -> dict[str, Any]:
        """Return what Pillow's writers are told of metadata: all of it, so that none is taken from the source."""
        dpi = {"dpi": (self.dpi, self.dpi)} if self.dpi else {}
        return {"icc_profile": self.icc or None, "exif": self.exif, **dpi}


@cache
def encoders() -> frozenset[str]:
    """Return the formats that this Pillow can write."""
    optional = {name for name in ("webp", "avif") if features.check(name)}
    return frozenset({"jpeg", "png", "gif"} | optional)


def check_encoder(name: str) -> None:
    """Raise ``UnsupportedImage`` for a format that can't be written."""
    if name not in encoders():
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
        return _WRITERS[encoding.format](copy, encoding)


def _jpeg(image: Image.Image, encoding: Encoding) -> bytes:
    """Write to a descriptor, not to memory: Pillow then releases the GIL."""
    quality = encoding.effective_quality
    settings = {
        "quality": quality,
        "optimize": True,
        "progressive": encoding.progressive,
        "subsampling": "4:4:4" if quality >= _FULL_CHROMA else "4:2:0",
        **encoding.metadata,
    }
    picture = flatten(image, encoding.background)
    try:
        return _saved(picture, "JPEG", settings)
    except OSError:  # Pillow's buffer is too small for noise at a high quality when it is optimised
        return _saved(picture, "JPEG", settings | {"optimize": False, "progressive": False})


def _saved(image: Image.Image, name: str, settings: Mapping[str, Any]) -> bytes:
    """Return what Pillow writes to a file without a name."""
    with _anonymous_file() as file:
        image.save(file, name, **settings)
        file.seek(0)
        return file.read()


def _anonymous_file() -> BinaryIO:
    """Return a file that has a descriptor and no name, one in memory where the system has no such thing."""
    try:
        return os.fdopen(os.memfd_create("s3img"), "w+b")
    except (AttributeError, OSError):
        return BytesIO()


def _webp(image: Image.Image, encoding: Encoding) -> bytes:
    settings = {
        "quality": encoding.effective_quality,
        "lossless": encoding.lossless,
        "method": WEBP_METHOD,
        **encoding.metadata,
    }
    return buffered(image, "WEBP", settings)


def _avif(image: Image.Image, encoding: Encoding) -> bytes:
    return buffered(image, "AVIF", {**encoding.avif_settings(6), **encoding.metadata})


def _png(image: Image.Image, encoding: Encoding) -> bytes:
    settings = {"optimize": True} if encoding.profile == "build" else {"compress_level": 6}
    return buffered(_exact_palette(image) or image, "PNG", {**settings, **encoding.metadata})


def _gif(image: Image.Image, encoding: Encoding) -> bytes:
    del encoding  # a GIF has no quality, and no metadata of ours
    return buffered(palette(image), "GIF", {"optimize": True})


def buffered(image: Image.Image, name: str, settings: Mapping[str, Any]) -> bytes:
    """Return what Pillow's writer ``name`` writes."""
    buffer = BytesIO()
    image.save(buffer, name, **settings)
    return buffer.getvalue()


_WRITERS: Final[dict[str, Callable[[Image.Image, Encoding], bytes]]] = {
    "jpeg": _jpeg,
    "webp": _webp,
    "avif": _avif,
    "png": _png,
    "gif": _gif,
}


def _exact_palette(image: Image.Image) -> Image.Image | None:
    """Return the picture with a palette if that loses nothing: at most 256 colours, each found again."""
    if image.mode not in {"RGB", "RGBA"} or image.getcolors(256) is None:
        return None
    method = Image.Quantize.FASTOCTREE if image.mode == "RGBA" else Image.Quantize.MEDIANCUT
    candidate = image.quantize(256, method=method)
    same = ImageChops.difference(candidate.convert(image.mode), image)
    return candidate if all(same.getextrema()[band] == (0, 0) for band in range(len(image.mode))) else None


def palette(image: Image.Image) -> Image.Image:
    """Reduce a picture to 256 colours, dithered; px that are more than half transparent become the key colour."""
    if image.mode == "L":
        return image
    if image.mode not in {"RGBA", "LA"}:
        return _dithered(image.convert("RGB"), 256)
    alpha = image.getchannel("A")
    result = _dithered(image.convert("RGB"), 255)
    result.paste(255, mask=alpha.point([255] * 128 + [0] * 128))
    result.info["transparency"] = 255
    return result


def _dithered(image: Image.Image, colours: int) -> Image.Image:
    if image.getcolors(colours) is not None:
        return image.quantize(colours, method=Image.Quantize.MEDIANCUT)
    chosen = image.quantize(colours, method=Image.Quantize.MEDIANCUT)
    return image.quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG)


_ORIENTATION: Final = 0x0112  # the pixels are upright by then

_GPS: Final = 0x8825


def kept_exif(data: bytes | None) -> bytes:
    """Return EXIF without position and orientation, empty where it can't be read; thumbnails go, too."""
    if not data:
        return b""
    try:
        exif = Image.Exif()
        exif.load(data)
        for tag in (_ORIENTATION, _GPS):
            exif.pop(tag, None)
        return exif.tobytes()
    except Exception:
        return b""
