"""Colours of a whole picture: brightness, contrast, saturation, one or two tones, and a colour laid over it.

Pictures are L, LA, RGB or RGBA in sRGB; alpha stays as it is unless a function says otherwise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageEnhance, ImageOps

from s3img.imaging.effects import beside_alpha

if TYPE_CHECKING:
    from s3img.imgproxy.processing_options import Rgb

_RAMP = 256
_MIDDLE = 127.5


def brighten(image: Image.Image, amount: int) -> Image.Image:
    """Add ``amount`` (-255 to 255) to every level."""
    return beside_alpha(image, lambda picture: picture.point(lambda level: level + amount))


def scale_contrast(image: Image.Image, factor: float) -> Image.Image:
    """Move levels away from the middle grey by ``factor``, towards it below 1."""
    return beside_alpha(image, lambda picture: picture.point(lambda level: _MIDDLE + (level - _MIDDLE) * factor))


def saturate(image: Image.Image, factor: float) -> Image.Image:
    """Move colours away from their grey by ``factor``; 0 takes the colour out."""
    return beside_alpha(image, lambda picture: ImageEnhance.Color(picture).enhance(factor))


def monochrome(image: Image.Image, intensity: float, color: Rgb) -> Image.Image:
    """Show the picture in shades of one colour, from black over it to white; ``intensity`` 0 to 1 blends."""
    return beside_alpha(image, lambda picture: toned(picture, intensity, (0, 0, 0), (255, 255, 255), color))


def duotone(image: Image.Image, intensity: float, dark: Rgb, light: Rgb) -> Image.Image:
    """Show the picture in the shades between two colours; ``intensity`` 0 to 1 blends."""
    return beside_alpha(image, lambda picture: toned(picture, intensity, dark, light, None))


def toned(picture: Image.Image, intensity: float, dark: Rgb, light: Rgb, middle: Rgb | None) -> Image.Image:
    """Replace the greys of a picture without alpha."""
    shades = ImageOps.colorize(picture.convert("L"), dark, light, middle)
    return Image.blend(picture.convert("RGB"), shades, intensity)


def lay_color(image: Image.Image, opacity: float, color: Rgb, *, keep_alpha: bool = False) -> Image.Image:
    """Lay a colour over a picture; transparent px get it as well, unless ``keep_alpha``."""
    layer = Image.new("RGBA", image.size, (*color, round(255 * opacity)))
    return _composed(image, layer, keep_alpha=keep_alpha)


def lay_ramp(
    image: Image.Image, opacity: float, color: Rgb, angle: float, start: float = 0.0, stop: float = 1.0
) -> Image.Image:
    """Lay a colour over a picture that begins transparent at the top and ends at the bottom, turned clockwise.

    ``angle`` in degrees; ``start`` and ``stop`` (0 to 1) are where along that line the colour begins and is complete.
    """
    mask = ramp_mask(image.size, angle, start, stop, opacity)
    layer = Image.new("RGBA", image.size, (*color, 0))
    layer.putalpha(mask)
    return _composed(image, layer, keep_alpha=False)


def ramp_mask(size: tuple[int, int], angle: float, start: float, stop: float, opacity: float = 1.0) -> Image.Image:
    """Return a mask that is 0 at the top up to ``start`` and ``opacity`` from ``stop`` on, turned clockwise."""
    across, down = size
    width = max(stop - start, 1 / _RAMP)
    levels = (min(max((row / (_RAMP - 1) - start) / width, 0.0), 1.0) for row in range(_RAMP))
    ramp = Image.new("L", (1, _RAMP))
    ramp.putdata([round(255 * opacity * level) for level in levels])
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    # The line is as long as the picture is along it, so that its ends are in the corners.
    length = abs(across * sine) + abs(down * cosine)
    x, y = -sine * _RAMP / length, cosine * _RAMP / length
    middle = _RAMP / 2 - x * across / 2 - y * down / 2
    return ramp.resize((3, _RAMP)).transform(size, Image.Transform.AFFINE, (0, 0, 1.5, x, y, middle))


def _composed(image: Image.Image, layer: Image.Image, *, keep_alpha: bool) -> Image.Image:
    result = image.convert("RGBA")
    result.alpha_composite(layer)
    if image.mode not in {"LA", "RGBA"}:
        return result.convert("RGB")
    if keep_alpha:
        result.putalpha(image.getchannel("A"))
    return result
