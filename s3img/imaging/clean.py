"""Make what strangers send fit to be stored: decodable as a whole, upright, without metadata."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from s3img.errors import ImageError, TransformError
from s3img.imaging.decode import decode, decoder, pillow_errors
from s3img.imaging.image_info import Rendered
from s3img.imaging.pipeline import render
from s3img.imaging.probing import gif, opened, probe
from s3img.imaging.strip import shortened, stripped
from s3img.transform import Transform

if TYPE_CHECKING:
    from s3img.imaging.image_info import ImageInfo
    from s3img.limits import Limits

_SLACK: Final = 8
"""Bytes at the end of coded pixels; fewer can be padding."""
_QUALITY: Final = 90
"""Of a picture that has to be encoded anew although nobody asked for fewer bytes."""


def cleaned(
    data: bytes, *, limits: Limits, max_side: int = 0, encode_anew: bool = False, convert: str = ""
) -> Rendered:
    """Return the picture without EXIF, GPS, comments or whatever follows its end.

    The pixels' own encoding stays where it can: not with ``encode_anew``, not for a picture that lies on its side
    (it is turned), and not for one with a side longer than ``max_side`` px (it is scaled down). Animations stay
    animated. A picture of another format than ``convert`` (``webp``) is encoded in that one; an animation only in
    WebP, as no other of these formats keeps it. Raises what ``render`` raises: above all ``ImageError`` for pixels that
    can't be decoded.
    """
    info = probe(data, limits=limits)
    if not info.renderable:
        return Rendered(data, info.media_type, info.width, info.height)
    is_large = bool(max_side) and max(info.width, info.height) > max_side
    if info.format == "gif":
        # A GIF that was cut short decodes, and lacks frames: only the trailer tells (GIF89a, 27).
        end = max((block.end for block in gif.blocks(data)), default=gif.first_block(data))
        if data[end : end + 1] != b";":
            raise ImageError("The GIF ends early: it is truncated.", fix="Export or download the image again.")
    pixels = pixel_digest(data, info, limits)
    form = convert if convert and (not info.animated or convert == "webp") else info.format
    if not (encode_anew or is_large) and info.orientation == 1 and form == info.format:
        clean = stripped(data, info.format)
        whole = _without_slack(clean, info, pixels, limits) if clean and _shows(clean, info, pixels, limits) else None
        if whole:
            return Rendered(whole, info.media_type, info.width, info.height)
    side = max_side if is_large else 0
    # Who asks for another format asks for fewer bytes, too: then the quality is the format's own.
    parts = [f"w-{side},h-{side},c-at_max"] if side else []
    parts += [] if form != info.format else [f"q-{_QUALITY}"]
    try:
        transform = Transform.parse(",".join([*parts, f"f-{'jpg' if form == 'jpeg' else form}"]))
    except TransformError:  # a format that is only read: BMP, TIFF
        transform = Transform.parse(",".join([*parts, "f-png"]))
    return render(data, transform, limits=limits)


def pixel_digest(data: bytes, info: ImageInfo, limits: Limits) -> bytes:
    """Decode all that can be shown and return a digest of it; raise ImageError for what can't be decoded."""
    digest = hashlib.blake2b()
    with opened(data) as fp:
        if not info.animated:
            digest.update(decode(fp, info, (info.width, info.height), limits).image.tobytes())
            return digest.digest()
        with decoder(fp, info) as image, pillow_errors(f"The {info.format.upper()} can't be decoded"):
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()
                digest.update(image.tobytes())
    return digest.digest()


def _without_slack(clean: bytes, info: ImageInfo, pixels: bytes, limits: Limits) -> bytes | None:
    """Cut off what stands behind the last coded pixel but inside its segment, where no parser sees that it ends.

    Coded pixels that can lose eight bytes and still show the same picture have something else at their end. How much
    is found by halving. None for a JPEG: its decoder fills what is missing with grey, so its answer is not certain.
    """

    def is_same(count: int) -> bool:
        shorter = shortened(clean, info.format, count)
        return shorter is not None and _shows(shorter, info, pixels, limits)

    if info.animated or not is_same(_SLACK):
        return clean
    if info.format == "jpeg":
        return None
    low, high = _SLACK, len(clean)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_same(middle) else (low, middle)
    return shortened(clean, info.format, low)


def _shows(clean: bytes, info: ImageInfo, pixels: bytes, limits: Limits) -> bool:
    """Tell whether a stripped picture is opened as the same one: what was never opened is not stored.

    A stripper and a decoder may read a damaged file in two ways, and the bytes that one of them left out are gone.
    """
    try:
        return probe(clean, limits=limits) == info and pixel_digest(clean, info, limits) == pixels
    except ImageError:
        return False
