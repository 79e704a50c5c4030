"""Filters of imgproxy's options, which change a px by its neighbours: sharpening, and blur of a part of a picture.

Pictures are L, LA, RGB or RGBA in sRGB; sharpening leaves alpha as it is, blur weighs colours by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageFilter

from s3img.imaging.color_adjustments import ramp_mask
from s3img.imaging.effects import beside_alpha, blur

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from s3img.imaging.effects import PixelBox
    from s3img.imgproxy.processing_options import BlurRamp, UnsharpMask

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
