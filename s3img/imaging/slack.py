"""Find where coded pixels end inside their segment, where no parser sees it: by decoding what is left without them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from s3img.errors import ImageError
from s3img.imaging.decode import decode, decoder, pillow_errors
from s3img.imaging.probing import opened, probe
from s3img.imaging.strip import coded_parts, frame_stills, shortened, with_frame_stills

if TYPE_CHECKING:
    from s3img.imaging.image_info import ImageInfo
    from s3img.limits import Limits

_SLACK: Final = 8
"""Bytes at the end of coded pixels; fewer can be padding."""
_ANIMATED: Final = frozenset({"webp", "gif"})
"""Formats whose frames are looked at one by one; a PNG's and an AVIF's have no room for anything else."""


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


def without_slack(clean: bytes, info: ImageInfo, pixels: bytes, limits: Limits) -> bytes | None:
    """Cut off what stands behind the last coded pixel but inside its segment, where no parser sees that it ends.

    Coded pixels that can lose eight bytes and still show the same picture have something else at their end. How much
    is found by halving. Each frame of an animation is looked at as a picture of its own, and so is an alpha channel.
    None where the answer is not certain: for a JPEG, whose decoder fills what is missing with grey.
    """
    if info.animated:
        return _frames_without_slack(clean, info, pixels, limits)
    for part in range(coded_parts(clean, info.format)):

        def is_same(count: int, part: int = part, clean: bytes = clean) -> bool:
            shorter = shortened(clean, info.format, count, part=part)
            return shorter is not None and shows(shorter, info, pixels, limits)

        if not is_same(_SLACK):
            continue
        if info.format == "jpeg":
            return None
        low, high = _SLACK, len(clean)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if is_same(middle) else (low, middle)
        clean = shortened(clean, info.format, low, part=part) or clean
    return clean


def _frames_without_slack(clean: bytes, info: ImageInfo, pixels: bytes, limits: Limits) -> bytes | None:
    if info.format not in _ANIMATED:
        return clean
    stills = []
    try:
        for still in frame_stills(clean, info.format):
            own = probe(still, limits=limits)
            stills.append(without_slack(still, own, pixel_digest(still, own, limits), limits) or still)
    except ImageError:  # a frame that can't be decoded alone
        return None
    whole = with_frame_stills(clean, info.format, stills)
    return whole if whole == clean or shows(whole, info, pixels, limits) else None


def shows(clean: bytes, info: ImageInfo, pixels: bytes, limits: Limits) -> bool:
    """Tell whether a stripped picture is opened as the same one: what was never opened is not stored.

    A stripper and a decoder may read a damaged file in two ways, and the bytes that one of them left out are gone.
    """
    try:
        return probe(clean, limits=limits) == info and pixel_digest(clean, info, limits) == pixels
    except ImageError:
        return False
