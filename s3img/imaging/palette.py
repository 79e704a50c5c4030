"""The colour that stands for a picture while it loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3img.imaging.color import to_srgb
from s3img.imaging.decode import decode, pillow_errors
from s3img.imaging.probing import located, opened, probe
from s3img.limits import Limits

if TYPE_CHECKING:
    from PIL import Image

    from s3img.imaging.probing import Source

_ENOUGH: Final = (64, 64)  # px; a JPEG need not be decoded any larger
_STEP: Final = 17  # 0x11: sixteen levels a channel


def average_color(source: Source, limits: Limits | None = None) -> str:
    """Return the average colour of a picture (of an animation's first frame) as ``#rrggbb``, in sRGB.

    Transparent px count as little as they show; a picture of nothing else is white. Each channel has sixteen levels:
    decoders differ in the last bit of a px, and the colour must not. Raise what ``probe`` raises, `UnsupportedImage`
    for a format that is never rendered, `ImageError` for corrupt px.
    """
    limits = limits or Limits()
    info = probe(source, limits=limits)
    with opened(source) as fp, located(source):
        decoded = decode(fp, info, _ENOUGH)
        with pillow_errors(f"The {info.format.upper()} can't be read"):
            channels = _average(to_srgb(decoded.image, decoded.profile).convert("RGBA").convert("RGBa"))
    return "#" + "".join(f"{_STEP * round(channel / _STEP):02x}" for channel in channels)


def _average(premultiplied: Image.Image) -> tuple[float, ...]:
    """Return the average of each colour channel, 0 to 255, weighted by alpha."""
    counts = premultiplied.histogram()
    red, green, blue, alpha = (_sum(counts[start : start + 256]) for start in range(0, 1024, 256))
    return tuple(255 * channel / alpha for channel in (red, green, blue)) if alpha else (255, 255, 255)


def _sum(counts: list[int]) -> int:
    return sum(value * count for value, count in enumerate(counts))
