"""Make what strangers send fit to be stored: decodable as a whole, upright, without metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3img.errors import TransformError
from s3img.imaging.decode import decode
from s3img.imaging.model import Rendered
from s3img.imaging.pipeline import render
from s3img.imaging.probing import opened, probe
from s3img.imaging.strip import stripped
from s3img.transform import Transform

if TYPE_CHECKING:
    from s3img.imaging.model import ImageInfo
    from s3img.limits import Limits

_QUALITY: Final = 90
"""Of a picture that has to be encoded anew although nobody asked for fewer bytes."""


def cleaned(data: bytes, *, limits: Limits, max_side: int = 0, encode_anew: bool = False) -> Rendered:
    """Return the picture without EXIF, GPS, comments or whatever follows its end.

    The pixels' own encoding stays where it can: not with ``encode_anew``, not for a picture that lies on its side
    (it is turned), and not for one with a side longer than ``max_side`` px (it is scaled down). Animations stay
    animated. Raises what ``render`` raises: above all ``ImageError`` for pixels that can't be decoded.
    """
    info = probe(data, limits=limits)
    if not info.renderable:
        return Rendered(data, info.media_type, info.width, info.height)
    is_large = bool(max_side) and max(info.width, info.height) > max_side
    if not (encode_anew or is_large) and info.orientation == 1:
        with opened(data) as fp:
            decode(fp, info, (info.width, info.height))
        if clean := stripped(data, info.format):
            return Rendered(clean, info.media_type, info.width, info.height)
    return render(data, _transform(info, max_side if is_large else 0), limits=limits)


def _transform(info: ImageInfo, side: int) -> Transform:
    """Keep the format where it can be written."""
    text = f"w-{side},h-{side},c-at_max,q-{_QUALITY}" if side else f"q-{_QUALITY}"
    try:
        return Transform.parse(f"{text},f-{'jpg' if info.format == 'jpeg' else info.format}")
    except TransformError:  # a format that is only read: BMP, TIFF
        return Transform.parse(f"{text},f-png")
