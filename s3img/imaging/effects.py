"""What a step does to the look of a picture, one function each; pictures are L, LA, RGB or RGBA in sRGB, upright.

Colours that take part in a neighbourhood (blur, turning) are weighted by alpha, so that nothing bleeds out of px
that can't be seen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from s3img.transform.colors import Color
    from s3img.transform.steps import Flip, Step, Unsharp

PixelBox = tuple[int, int, int, int]

_PREMULTIPLIED: Final = {"RGBA": "RGBa", "LA": "La"}
_CLIPPED: Final = 1.0  # per cent of the px that a contrast stretch may clip at either end, as sharp's normalise
_FINE: Final = 4  # corners are drawn this many times larger and averaged
_FINE_UP_TO: Final = 1024  # px of radius; larger corners are drawn at half of that, which bounds memory


def trim_box(image: Image.Image, tolerance: int) -> PixelBox:
    """Return the box around all px that differ from the top left one by more than ``tolerance`` in some channel."""
    seen = image.convert(_PREMULTIPLIED.get(image.mode, image.mode))
    corner = Image.new(seen.mode, seen.size, seen.getpixel((0, 0)))
    changed = ImageChops.difference(seen, corner).point(lambda value: 255 * (value > tolerance))
    boxes = [box for band in changed.split() if (box := band.getbbox())]
    if not boxes:
        return 0, 0, *image.size
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def pad(image: Image.Image, canvas: tuple[int, int], offset: tuple[int, int], color: Color | None) -> Image.Image:
    """Put the picture on a larger canvas: black, or transparent where a background will lie under it."""
    mode = "RGB" if color is None and image.mode in {"L", "RGB"} else "RGBA"
    result = Image.new(mode, canvas, (0, 0, 0, 255 if color is None else 0)[: len(mode)])
    result.paste(image.convert(mode), offset)
    return result


def flip(image: Image.Image, direction: Flip) -> Image.Image:
    """Mirror left to right (h), top to bottom (v), or both."""
    turns = {
        "h": Image.Transpose.FLIP_LEFT_RIGHT,
        "v": Image.Transpose.FLIP_TOP_BOTTOM,
        "h_v": Image.Transpose.ROTATE_180,
    }
    return image.transpose(turns[direction])


def tone(image: Image.Image, step: Step) -> Image.Image:
    """Do what a step asks of colours and sharpness: grey, contrast, blur, sharpening, in this order."""
    if step.grayscale:
        image = grayscale(image)
    if step.contrast:
        image = contrast(image)
    if step.blur:
        image = blur(image, step.blur)
    if step.sharpen:
        image = sharpen(image, step.sharpen)
    if step.unsharp:
        image = unsharp(image, step.unsharp)
    return image


def grayscale(image: Image.Image) -> Image.Image:
    """Take the colour out (ITU-R 601 luma)."""
    return image.convert("LA" if image.mode in _PREMULTIPLIED else "L")


def contrast(image: Image.Image) -> Image.Image:
    """Stretch the tones to the full range, hue kept."""
    return beside_alpha(image, lambda band: ImageOps.autocontrast(band, cutoff=_CLIPPED, preserve_tone=True))


def blur(image: Image.Image, sigma: int) -> Image.Image:
    """Blur with a Gaussian of ``sigma`` px."""
    weighted = image.convert(_PREMULTIPLIED.get(image.mode, image.mode))
    return weighted.filter(ImageFilter.GaussianBlur(sigma)).convert(image.mode)


def sharpen(image: Image.Image, amount: int) -> Image.Image:
    """Sharpen by ``amount`` x 10 per cent without halos: no px leaves the range of its neighbours."""

    def run(picture: Image.Image) -> Image.Image:
        sharp = picture.filter(ImageFilter.UnsharpMask(radius=1, percent=10 * amount, threshold=0))
        darkest, lightest = (
            neighbours(picture, ImageChops.darker),
            neighbours(picture, ImageChops.lighter),
        )
        return ImageChops.lighter(darkest, ImageChops.darker(lightest, sharp))

    return beside_alpha(image, run)


def neighbours(picture: Image.Image, choose: Callable[[Image.Image, Image.Image], Image.Image]) -> Image.Image:
    """Return the darkest or lightest of each px and its eight neighbours; ten times as fast as a rank filter."""
    for x, y in ((1, 0), (0, 1)):
        before, after = picture.copy(), picture.copy()
        before.paste(picture, (x, y))
        after.paste(picture, (-x, -y))
        picture = choose(picture, choose(before, after))
    return picture


def unsharp(image: Image.Image, mask: Unsharp) -> Image.Image:
    """Sharpen with an unsharp mask of the given sigma, gain and threshold."""
    percent, threshold = round(mask.amount * 100), round(mask.threshold * 255)
    run = ImageFilter.UnsharpMask(radius=float(mask.sigma), percent=percent, threshold=threshold)
    return beside_alpha(image, lambda picture: picture.filter(run))


def border(image: Image.Image, width: int, color: Color) -> Image.Image:
    """Add a frame of ``width`` px outside the picture."""
    mode = "RGB" if image.mode in {"L", "RGB"} and color.alpha == 100 else "RGBA"
    result = Image.new(mode, (image.width + 2 * width, image.height + 2 * width), color.rgba[: len(mode)])
    result.paste(image.convert(mode), (width, width))
    return result


def round_corners(image: Image.Image, radii: tuple[Fraction, Fraction, Fraction, Fraction]) -> Image.Image:
    """Make the corners outside quarter circles transparent; radii in px from the top left one clockwise."""
    mask = Image.new("L", image.size, 255)
    for corner, radius in enumerate(radii):
        if radius:
            tile = corner_mask(float(radius))
            tile = tile.transpose(_CORNER_TURNS[corner]) if corner else tile
            left = 0 if corner in {0, 3} else image.width - tile.width
            top = 0 if corner in {0, 1} else image.height - tile.height
            mask.paste(tile, (left, top))
    return with_alpha(image, lambda alpha: ImageChops.multiply(alpha, mask))


_CORNER_TURNS: Final = {
    1: Image.Transpose.FLIP_LEFT_RIGHT,
    2: Image.Transpose.ROTATE_180,
    3: Image.Transpose.FLIP_TOP_BOTTOM,
}


def corner_mask(radius: float) -> Image.Image:
    """Return the mask of a top left corner, antialiased; its side is ``radius`` rounded up."""
    fine = _FINE if radius <= _FINE_UP_TO else _FINE // 2
    side = -int(-radius // 1)
    tile = Image.new("L", (side * fine, side * fine))
    ImageDraw.Draw(tile).ellipse((0, 0, 2 * radius * fine - 1, 2 * radius * fine - 1), fill=255)
    return tile.reduce(fine)


def rotate(image: Image.Image, degrees: Fraction, size: tuple[int, int]) -> Image.Image:
    """Turn clockwise about the centre onto a canvas of ``size``; quarter turns are exact, new corners transparent."""
    quarter = _QUARTERS.get(degrees % 360)
    if quarter is not None:
        return image.transpose(quarter)
    framed = ImageOps.expand(image.convert("RGBA"), 1, (0, 0, 0, 0))  # so that the edges are smooth
    # Pillow wants the matrix that maps px of the turned picture to px of the source, here centre to centre.
    angle, x, y = math.radians(degrees), size[0] / 2, size[1] / 2
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = (cos, sin, framed.width / 2 - cos * x - sin * y, -sin, cos, framed.height / 2 + sin * x - cos * y)
    return framed.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


_QUARTERS: Final[dict[object, Image.Transpose]] = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


def fade(image: Image.Image, opacity: int) -> Image.Image:
    """Multiply the alpha by ``opacity`` per cent."""
    return with_alpha(image, lambda alpha: alpha.point(lambda value: value * (opacity / 100)))


def underlay(image: Image.Image, color: Color) -> Image.Image:
    """Lay a colour under everything that is transparent; its own transparency stays."""
    if image.mode not in _PREMULTIPLIED:
        return image
    canvas = Image.new("RGBA", image.size, color.rgba)
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas


def beside_alpha(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Change the colours and leave alpha as it is."""
    if image.mode not in _PREMULTIPLIED:
        return change(image)
    result = change(image.convert(image.mode[:-1]))
    result.putalpha(image.getchannel("A"))
    return result


def with_alpha(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Change the alpha and leave the colours as they are."""
    result = image.convert("RGBA")
    result.putalpha(change(result.getchannel("A")))
    return result
