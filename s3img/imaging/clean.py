"""Make what strangers send fit to be stored: decodable as a whole, upright, without metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3img.errors import ImageError, TransformError
from s3img.imaging.icons import clean_icon
from s3img.imaging.image_info import Rendered
from s3img.imaging.pipeline import render
from s3img.imaging.probing import gif, probe
from s3img.imaging.slack import pixel_digest, shows, without_slack
from s3img.imaging.strip import stripped
from s3img.transform import Transform

if TYPE_CHECKING:
    from s3img.limits import Limits

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
    if info.format == "ico":
        icon = clean_icon(data, lambda png: cleaned(png, limits=limits).data, limits)
        return Rendered(icon, info.media_type, info.width, info.height)
    if not info.renderable:
        return Rendered(data, info.media_type, info.width, info.height)
    is_large = bool(max_side) and max(info.width, info.height) > max_side
    if info.format == "gif":
        # A GIF that was cut short decodes, and lacks frames: only the trailer tells (GIF89a, 27).
        end = max((block.end for block in gif.blocks(data)), default=gif.first_block(data))
        if data[end : end + 1] != b";":
            raise ImageError("The GIF ends early: it is truncated.")
    pixels = pixel_digest(data, info, limits)
    form = convert if convert and (not info.animated or convert == "webp") else info.format
    if not (encode_anew or is_large) and info.orientation == 1 and form == info.format:
        clean = stripped(data, info.format)
        whole = without_slack(clean, info, pixels, limits) if clean and shows(clean, info, pixels, limits) else None
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
