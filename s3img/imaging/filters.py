"""Colours of a whole picture, and imgproxy's filters, which change a px by its neighbours: sharpening, blur of a part.

Pictures are L, LA, RGB or RGBA in sRGB. Alpha stays as it is unless a function says otherwise; blur weighs colours by
it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from s3img.imaging.effects import beside_alpha, blur

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from s3img.imaging.effects import PixelBox
    from s3img.imgproxy.processing_options import BlurRamp, Rgb, UnsharpMask

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


_ZERO: Final = 128
_STEPS: Final = 4  # pictures of more and more blur, between which px are mixed


def sharpened_level(difference: float) -> float:
    """Return what a px gains that differs from its blurred surroundings, both in levels of 0 to 255.

    The defaults of libvips' sharpen, in per cent of lightness: differences below 2 are noise, above they count three
    times, and no px gets more than 10 lighter or 20 darker.
    """
    flat, slope, lighter, darker = 2.0, 3.0, 10.0, 20.0
    excess = abs(difference) / 2.55 - flat
    if excess <= 0:
        return 0.0
    return 2.55 * (min(slope * excess, lighter) if difference > 0 else -min(slope * excess, darker))


_GAIN: Final = [max(0, min(255, round(_ZERO + sharpened_level(level - _ZERO)))) for level in range(256)]


def sharpen_by_sigma(image: Image.Image, sigma: float) -> Image.Image:
    """Sharpen edges of a width of ``sigma`` px: lightness only, so that colours stay."""
    return beside_alpha(image, lambda picture: with_lightness(picture, lambda light: _sharpened(light, sigma)))


def _sharpened(light: Image.Image, sigma: float) -> Image.Image:
    smooth = light.filter(ImageFilter.GaussianBlur(sigma))
    # Pictures have no levels below 0: differences are kept around the middle, and moved back at the end.
    gain = ImageChops.subtract(light, smooth, offset=_ZERO).point(_GAIN)
    return ImageChops.add(light, gain, offset=-_ZERO)


def mask_sharply(image: Image.Image, mask: UnsharpMask) -> Image.Image:
    """Subtract a part of its eight neighbours from each px: with 1 and 24 it is what vipsthumbnail calls mild."""
    around = [-mask.weight] * 4
    kernel = ImageFilter.Kernel((3, 3), [*around, mask.divider + 8 * mask.weight, *around], scale=mask.divider)
    return beside_alpha(image, lambda picture: picture.filter(kernel))


def blur_boxes(image: Image.Image, boxes: Iterable[PixelBox], sigma: float) -> Image.Image:
    """Blur the parts of a picture that lie in boxes (left, top, right, bottom); they may reach outside."""
    blurred = blur(image, sigma)
    result = image.copy()
    for left, top, right, bottom in boxes:
        inside = max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height)
        if inside[0] < inside[2] and inside[1] < inside[3]:
            result.paste(blurred.crop(inside), inside[:2])
    return result


def blur_along(image: Image.Image, ramp: BlurRamp) -> Image.Image:
    """Blur a picture more and more along a line."""
    width = ramp.stop - ramp.start
    result = image
    for step in range(_STEPS):
        start = ramp.start + width * step / _STEPS
        mask = ramp_mask(image.size, ramp.angle, start, start + width / _STEPS)
        result = Image.composite(blur(image, ramp.sigma * (step + 1) / _STEPS), result, mask)
    return result


def with_lightness(picture: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Change the lightness of a picture without alpha, and leave its colours."""
    if picture.mode == "L":
        return change(picture)
    light, *colors = picture.convert("YCbCr").split()
    return Image.merge("YCbCr", (change(light), *colors)).convert("RGB")
