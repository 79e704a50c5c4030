"""Write a picture in the smallest of several formats, without paying for each where it is clear which one wins.

AVIF and WebP win for photographs; flat graphics, scans of 1 bit, icons and small animations are smaller as PNG, GIF or
lossless WebP. What a plain format would take is estimated from a part of the picture, so that a photograph is written
as PNG (three times the time of AVIF) only where that could win. JPEG takes a thirtieth of AVIF's and is just tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3img.imaging.animation import Animation, encode_animation
from s3img.imaging.encode import encode, png_estimate
from s3img.transform.worthwhile import worthwhile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from s3img.imaging.encode import Encoding

SMALL: Final = 128 * 128
"""Px up to which every format is tried: headers decide there, and all of them together take a few ms."""

SMOOTH: Final = 0.75
AVIF_OVERHEAD: Final = 25_000
"""Below ``SMOOTH`` bits a px, and more in small pictures by these bits, WebP often wins over AVIF of speed 9: 0.6 to
1.05 of AVIF's bytes, of 27 pictures that scikit-image brings. Above, it takes 0.9 to 1.3."""

DOUBT: Final = 2.0
"""An estimate may be wrong by this factor before a format that would have won is left out."""

_FRAMES: Final = 6


def encode_smallest(picture: Image.Image | Animation, encodings: Sequence[Encoding]) -> tuple[str, bytes]:
    """Return format and bytes of the smallest result; ``encodings`` go from the most modern to the plainest one.

    Raises ``ImageError`` where an encoder fails.
    """
    first, *others = encodings
    made = {first.format: write(picture, first)}
    if not others:
        return first.format, made[first.format]
    plain = others[-1]
    pixels = picture.size[0] * picture.size[1] * (len(picture.frames) if isinstance(picture, Animation) else 1)
    best = len(made[first.format])
    is_small = pixels <= SMALL
    is_flat = is_small or plain.format == "jpeg" or estimate(picture, plain) < DOUBT * best
    if is_flat:
        made[plain.format] = write(picture, plain)
    for encoding in encodings[:-1]:
        is_drawing = is_flat and plain.format != "jpeg"
        if encoding is not first and (is_small or is_drawing or 8 * best < SMOOTH * pixels + AVIF_OVERHEAD):
            made[encoding.format] = write(picture, encoding)
    ordered = {encoding.format: len(made[encoding.format]) for encoding in encodings if encoding.format in made}
    winner = worthwhile(ordered)[0]
    return winner, made[winner]


def write(picture: Image.Image | Animation, encoding: Encoding) -> bytes:
    """Encode a still or an animation."""
    return encode_animation(picture, encoding) if isinstance(picture, Animation) else encode(picture, encoding)


def estimate(picture: Image.Image | Animation, encoding: Encoding) -> float:
    """Return about how many bytes a PNG or GIF would take: from strips of a still, from the first frames otherwise."""
    if isinstance(picture, Animation):
        count = min(_FRAMES, len(picture.frames))
        part = Animation(picture.frames[:count], picture.durations[:count], picture.plays)
        return len(encode_animation(part, encoding)) * len(picture.frames) / count
    return png_estimate(picture)
