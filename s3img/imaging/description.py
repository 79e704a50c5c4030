"""What can be said about a picture without showing it."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from PIL import ExifTags, Image, PngImagePlugin

from s3img.imaging.decode import decoder
from s3img.imaging.pipeline import render
from s3img.imaging.probing import opened, probe
from s3img.imaging.thumbhash import thumbhash
from s3img.transform import Transform

if TYPE_CHECKING:
    from s3img.imaging.model import ImageInfo
    from s3img.limits import Limits

_SMALL: Final = Transform.parse("w-32,h-32,c-at_max,f-png")
_COLORS: Final = 6
_LONGEST: Final = 200
_EXIF: Final = ("ImageDescription", "Make", "Model", "Artist", "Copyright", "DateTime")
_PHOTO: Final = ("DateTimeOriginal", "ExposureTime", "FNumber", "ISOSpeedRatings", "FocalLength", "LensModel")


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
    return {**facts, **_looks(data, limits), "exif": _exif(data, info)} if info.renderable else facts


def _looks(data: bytes, limits: Limits | None) -> dict[str, str]:
    rendered = render(data, _SMALL, profile="request", limits=limits)
    image = PngImagePlugin.PngImageFile(BytesIO(rendered.data)).convert("RGBA")
    digest = thumbhash(*image.size, image.tobytes())
    return {"dominant": _dominant(image), "thumbhash": base64.b64encode(digest).decode()}


def _dominant(image: Image.Image) -> str:
    """Return the commonest of a few colours that stand for all; what is transparent has none."""
    solid = [px[:3] for px in _pixels(image) if px[3] >= 128] or [(0, 0, 0)]
    strip = Image.new("RGB", (len(solid), 1))
    strip.putdata(solid)
    reduced = strip.quantize(_COLORS).convert("RGB")
    return "#{:02x}{:02x}{:02x}".format(*max(_pixels(reduced), key=_pixels(reduced).count))


def _pixels(image: Image.Image) -> list[tuple[int, ...]]:
    bands = len(image.getbands())
    data = image.tobytes()
    return [tuple(data[i : i + bands]) for i in range(0, len(data), bands)]


def _exif(data: bytes, info: ImageInfo) -> dict[str, str | float]:
    with opened(data) as fp, decoder(fp, info) as image:
        exif = image.getexif()
        photo = exif.get_ifd(ExifTags.IFD.Exif)
    named = {**_named(exif, _EXIF), **_named(photo, _PHOTO)}
    return {
        name: value for name, value in ((name, _plain(value)) for name, value in named.items()) if value is not None
    }


def _named(tags: Any, names: tuple[str, ...]) -> dict[str, Any]:  # noqa: ANN401 - Pillow's mappings
    return {name: tags[ExifTags.Base[name]] for name in names if ExifTags.Base[name] in tags}


def _plain(value: object) -> str | float | None:
    """Return a text of one line or a finite number, None for anything else."""
    if isinstance(value, str):
        return " ".join(value.replace("\0", " ").split())[:_LONGEST] or None
    try:
        number = float(value)  # type: ignore[arg-type] # Pillow's fractions, and what only looks like one
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return round(number, 6) if abs(number) < 1e12 else None
