"""Make what strangers send fit to be stored: decodable as a whole, upright, without metadata."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from s3img.errors import ImageError, TransformError
from s3img.imaging.decode import decode, decoder, pillow_errors
from s3img.imaging.image_info import Rendered
from s3img.imaging.pipeline import render
from s3img.imaging.probing import gif, opened, probe
from s3img.imaging.strip import stripped
from s3img.transform import Transform

if TYPE_CHECKING:
    from s3img.imaging.image_info import ImageInfo
    from s3img.limits import Limits

_AVIF_BOXES: Final = (b"ftyp", b"meta", b"mdat", b"moov")
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
    if info.format == "gif" and not _gif_ends(data):
        raise ImageError("The GIF ends early: it is truncated.", fix="Export or download the image again.")
    _check(data, info)
    if not (encode_anew or is_large) and info.orientation == 1:
        clean = stripped(data, info.format)
        if clean and info.format == "avif":
            clean = _without_tail(clean)
        if clean:
            return Rendered(clean, info.media_type, info.width, info.height)
    return render(data, _transform(info, max_side if is_large else 0), limits=limits)


def _check(data: bytes, info: ImageInfo) -> None:
    """Decode all that can be shown; raise ImageError for what can't be, and for a GIF that ends early."""
    with opened(data) as fp:
        if not info.animated:
            decode(fp, info, (info.width, info.height))
            return
        with decoder(fp, info) as image, pillow_errors(f"The {info.format.upper()} can't be decoded"):
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()


def _gif_ends(data: bytes) -> bool:
    """Tell whether the trailer is there: a GIF that was cut short decodes, and lacks frames (GIF89a, 27)."""
    end = max((block.end for block in gif.blocks(data)), default=gif.first_block(data))
    return data[end : end + 1] == b";"


def _without_tail(data: bytes) -> bytes | None:
    """Cut off what follows the boxes of an AVIF; None where something strange stands between them."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">L4s", data, position)
        if size == 1 and position + 16 <= len(data):
            size = struct.unpack_from(">Q", data, position + 8)[0]
        end = position + size if size else len(data)
        if kind not in _AVIF_BOXES or end > len(data) or end < position + 8:
            break
        position = end
    return None if any(kind in data[position:] for kind in _AVIF_BOXES) else data[:position]


def _transform(info: ImageInfo, side: int) -> Transform:
    """Keep the format where it can be written."""
    text = f"w-{side},h-{side},c-at_max,q-{_QUALITY}" if side else f"q-{_QUALITY}"
    try:
        return Transform.parse(f"{text},f-{'jpg' if info.format == 'jpeg' else info.format}")
    except TransformError:  # a format that is only read: BMP, TIFF
        return Transform.parse(f"{text},f-png")
