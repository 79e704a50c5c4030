"""Write a picture in the smallest of several formats, without paying for each where it is clear which one wins.

AVIF and WebP win for photographs; flat graphics, scans of 1 bit, icons and small animations are smaller as PNG, GIF or
lossless WebP. What a plain format would take is estimated from a part of the picture, so that a photograph is written
as PNG (three times the time of AVIF) only where that could win. JPEG takes a thirtieth of AVIF's and is just tried.

At the end, the quality at which a picture has a size in bytes, or differs as much as it may (imgproxy's autoquality).
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageMath

from s3img.imaging.animation import Animation, encode_animation
from s3img.imaging.color import WHITE, flatten
from s3img.imaging.decode import DECODERS, pillow_errors
from s3img.imaging.encode import DEFAULT_QUALITY, encode, png_estimate
from s3img.transform.worthwhile import worthwhile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3img.imaging.encode import Encoding
    from s3img.imgproxy.processing_options import AutoQuality


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


_BLOCK: Final = 8  # px a side, over which similarity is measured
_STABLE: Final = (6.5025, 58.5225)  # (0.01 x 255)² and (0.03 x 255)² of Wang et al., Image Quality Assessment (2004)
_RANGES: Final = {"avif": (60, 65)}
_RANGE: Final = (70, 80)
"""Least and largest quality where an address names none, as imgproxy's settings have them."""


def dissimilarity(first: Image.Image, second: Image.Image) -> float:
    """Return how much two pictures of one size differ in structure: 0 (alike) to 1, of lightness, over white.

    It is (1 - SSIM) / 2 with the mean and variance of blocks that do not overlap.
    """
    x, y = (flatten(one, WHITE).convert("L").convert("F") for one in (first, second))
    bands = {"x": x, "y": y}
    for name, (a, b) in {"xx": (x, x), "yy": (y, y), "xy": (x, y)}.items():
        bands[name] = ImageMath.lambda_eval(lambda pair: pair["a"] * pair["b"], a=a, b=b)
    blocks = ImageMath.lambda_eval(_similarity, **{name: band.reduce(_BLOCK) for name, band in bands.items()})
    mean = blocks.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return (1 - float(mean)) / 2


def _similarity(means: dict[str, Any]) -> Any:  # noqa: ANN401 - what Pillow hands to an expression has no public type
    product = means["x"] * means["y"]
    squares = means["x"] * means["x"] + means["y"] * means["y"]
    luminance = (product * 2 + _STABLE[0]) / (squares + _STABLE[0])
    structure = ((means["xy"] - product) * 2 + _STABLE[1]) / (means["xx"] + means["yy"] - squares + _STABLE[1])
    return luminance * structure


def encode_to_target(picture: Image.Image, encoding: Encoding, wanted: AutoQuality) -> bytes | None:
    """Encode at the lowest quality that differs as little as ``wanted`` says, or the highest that has as few bytes.

    Where no quality of its range does, it is that end of the range which comes closest. Return None for formats
    without a quality.
    """
    if encoding.format not in DEFAULT_QUALITY:
        return None
    least, most = _RANGES.get(encoding.format, _RANGE)
    least = wanted.least or dict(wanted.leasts).get(encoding.format, least)
    most = wanted.most or dict(wanted.mosts).get(encoding.format, most)
    most = max(least, most)
    by_size = wanted.method == "size"
    made: dict[int, bytes] = {}

    def is_enough(quality: int) -> bool:
        """Tell whether a quality is as high as it has to be (or above what fits in the size)."""
        made[quality] = data = encode(picture, replace(encoding, quality=quality))
        if by_size:
            return len(data) > wanted.target
        with pillow_errors(f"The {encoding.format.upper()} can't be read again"):
            return dissimilarity(picture, DECODERS[encoding.format](BytesIO(data))) <= wanted.target + wanted.error

    # Both grow with the quality, so halving the range finds the step in at most seven encodings.
    low, high = least, most + 1
    while low < high:
        middle = (low + high) // 2
        if is_enough(middle):
            high = middle
        else:
            low = middle + 1
    chosen = max(least, low - 1) if by_size else min(most, low)
    return made.get(chosen) or encode(picture, replace(encoding, quality=chosen))
