"""What a step does to the look of a picture, one function each; pictures are L, LA, RGB or RGBA in sRGB, upright.

Colours that take part in a neighbourhood (blur, turning) are weighted by alpha, so that nothing bleeds out of px
that can't be seen.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from s3img.imaging.color import flatten
from s3img.transform.look import Backdrop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction

    from s3img.imgproxy.processing_options import TrimRule
    from s3img.transform.colors import Color
    from s3img.transform.look import Colorize, ColorReplacement, Distortion, Gradient, Shadow
    from s3img.transform.steps import Flip, Step, Unsharp

PixelBox = tuple[int, int, int, int]

_PREMULTIPLIED: Final = {"RGBA": "RGBa", "LA": "La"}
_CLIPPED: Final = 1.0  # per cent of the px that a contrast stretch may clip at either end, as sharp's normalise
_BLURRED_BY: Final = 40  # sigma of an automatic blurred background, in thousandths of its longer side
_FINE: Final = 4  # corners are drawn this many times larger and averaged
_FINE_UP_TO: Final = 1024  # px of radius; larger corners are drawn at half of that, which bounds memory


def trim_box(image: Image.Image, tolerance: int) -> PixelBox:
    """Return the box around all px that differ from the top left one by more than ``tolerance`` in some channel."""
    if image.mode in _PREMULTIPLIED and image.getpixel((0, 0))[-1] == 0:  # type: ignore[index] # several bands
        # No premultiplied colour is above the opacity, so that alone decides; most logos lie on nothing.
        seen = image.getchannel("A")
    else:
        seen = image.convert(_PREMULTIPLIED.get(image.mode, image.mode))
    levels = seen.crop((0, 0, 1, 1)).tobytes()  # one for each band
    table = [255 * (abs(value - level) > tolerance) for level in levels for value in range(256)]
    return seen.point(table).getbbox(alpha_only=False) or (0, 0, *image.size)


def trimmed(image: Image.Image, rule: TrimRule) -> PixelBox:
    """Return the box that is left when edges of one colour go; all of the picture where nothing would be left.

    Px count as edge that differ from the colour by at most the threshold in every channel, or whose neighbours do.
    Transparent px count as magenta, which no picture has at its edges.
    """
    seen = (flatten(image, (255, 0, 255)) if image.mode in _PREMULTIPLIED else image).convert("RGB")
    edge = rule.color or seen.getpixel((0, 0))
    differs = Image.new("L", seen.size)
    for band, level in zip(seen.split(), edge, strict=True):  # type: ignore[arg-type] # three bands
        for table in _outside(level, rule.threshold or 0):
            # As libvips' find_trim, which takes the median of 3x3 px first, so that a speck of dust does not count.
            # Whether a median is above a level is whether most of the nine are.
            most = band.point(table).filter(ImageFilter.BoxBlur(1)).point([255 * (part > 127) for part in range(256)])
            differs = ImageChops.lighter(differs, most)
    box = differs.getbbox()
    if box is None:
        return 0, 0, *image.size
    left, top, right, bottom = box
    if rule.equal_hor:
        left = min(left, image.width - right)
        right = image.width - left
    if rule.equal_ver:
        top = min(top, image.height - bottom)
        bottom = image.height - top
    return left, top, right, bottom


def _outside(level: int, threshold: float) -> tuple[list[int], list[int]]:
    """Return tables that are 255 for levels more than a threshold above a level, and for those below it."""
    above = [255 * (value - level > threshold) for value in range(256)]
    return above, [255 * (level - value > threshold) for value in range(256)]


def pad(
    image: Image.Image, canvas: tuple[int, int], offset: tuple[int, int], color: Color | Backdrop | None
) -> Image.Image:
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


def tone(image: Image.Image, step: Step, stop: float = 1.0) -> Image.Image:
    """Do what a step asks of colours and sharpness: grey, contrast, colours, blur, sharpening, gradient, in this order.

    ``stop`` is where its gradient ends.
    """
    if step.grayscale:
        image = grayscale(image)
    if step.contrast:
        image = contrast(image)
    if step.colorize:
        image = colorize(image, step.colorize)
    if step.color_replace:
        image = replace_color(image, step.color_replace)
    if step.blur:
        image = blur(image, step.blur)
    if step.sharpen:
        image = sharpen(image, step.sharpen)
    if step.unsharp:
        image = unsharp(image, step.unsharp)
    if step.gradient:
        image = lay_gradient(image, step.gradient, stop)
    return image


def grayscale(image: Image.Image) -> Image.Image:
    """Take the colour out (ITU-R 601 luma)."""
    return image.convert("LA" if image.mode in _PREMULTIPLIED else "L")


def contrast(image: Image.Image) -> Image.Image:
    """Stretch the tones to the full range, hue kept."""
    return beside_alpha(image, lambda band: ImageOps.autocontrast(band, cutoff=_CLIPPED, preserve_tone=True))


def blur(image: Image.Image, sigma: float) -> Image.Image:
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


def pixelate(image: Image.Image, side: int) -> Image.Image:
    """Make squares of ``side`` px of one colour each, weighted by alpha; those at the edges may be smaller."""
    side = min(side, max(image.size))
    weighted = image.convert(_PREMULTIPLIED.get(image.mode, image.mode))
    small = weighted.reduce(side)
    large = small.resize((small.width * side, small.height * side), Image.Resampling.NEAREST)
    return large.crop((0, 0, *image.size)).convert(image.mode)


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


def colorize(image: Image.Image, tint: Colorize) -> Image.Image:
    """Mix one colour into every px; alpha stays, so that a logo takes the colour."""

    def run(picture: Image.Image) -> Image.Image:
        colors = picture.convert("RGB")
        return Image.blend(colors, Image.new("RGB", colors.size, tint.color.rgba[:3]), tint.intensity / 100)

    return beside_alpha(image, run)


def replace_color(image: Image.Image, change: ColorReplacement) -> Image.Image:
    """Move all colours near one to another, by the same difference, so that light and shade stay."""
    source = change.source.rgba[:3] if change.source else dominant_colors(image, 1)[0]
    reach = change.tolerance * 255 // 100
    fade = max(1, reach // 4)  # a hard edge would leave rough outlines

    def run(picture: Image.Image) -> Image.Image:
        bands = picture.convert("RGB").split()
        far = Image.new("L", picture.size)
        for band, value in zip(bands, source, strict=True):
            far = ImageChops.lighter(far, band.point([abs(level - value) for level in range(256)]))
        near = far.point([255 * max(0, min(fade, reach + fade - level)) // fade for level in range(256)])
        moves = [to - value for to, value in zip(change.target.rgba, source, strict=False)]
        moved = Image.merge("RGB", [band.point(shift_table(move)) for band, move in zip(bands, moves, strict=True)])
        return Image.composite(moved, Image.merge("RGB", bands), near)

    return beside_alpha(image, run)


def shift_table(amount: int) -> list[int]:
    """Return the table for ``point`` that adds ``amount`` to a band."""
    return [min(255, max(0, level + amount)) for level in range(256)]


def dominant_colors(image: Image.Image, count: int) -> list[tuple[int, int, int]]:
    """Return the most frequent colours of what can be seen, the most frequent first; white where nothing can.

    A small copy is reduced to a few colours (median cut): the same picture always gives the same ones.
    """
    small = image.convert("RGBA")
    small.thumbnail((64, 64), Image.Resampling.BOX)
    pixels = small.tobytes()
    seen = b"".join(pixels[at : at + 3] for at in range(0, len(pixels), 4) if pixels[at + 3] > 127)
    if not seen:
        return [(255, 255, 255)] * count
    reduced = Image.frombytes("RGB", (len(seen) // 3, 1), seen).quantize(max(8, 4 * count))
    palette = reduced.convert("RGB")
    counted: dict[tuple[int, int, int], int] = Counter()
    colors = palette.tobytes()
    for at in range(0, len(colors), 3):
        counted[colors[at], colors[at + 1], colors[at + 2]] += 1
    found = sorted(counted, key=lambda color: (-counted[color], color))[:count]
    return (found * count)[:count]


def gradient_layer(size: tuple[int, int], gradient: Gradient, stop: float) -> Image.Image:
    """Return a linear gradient as RGBA; ``stop`` is the share of its line at which the last colour is reached.

    Colours are mixed weighted by their opacity (CSS Images 3, 3.4.2): no grey between white and transparent.
    """
    (width, height), angle = size, math.radians(gradient.direction)
    x, y = math.sin(angle), -math.cos(angle)
    length = abs(width * x) + abs(height * y)
    # Each px takes the brightness of Pillow's ramp, 256 px high, at the height of its own place on the line.
    scale = 256 / (length * stop)
    matrix = (0.0, 0.0, 128.0, scale * x, scale * y, scale * (length - width * x - height * y) / 2)
    ramp = Image.linear_gradient("L")
    place = ramp.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=255)
    first, last = (Image.new("RGBA", size, color.rgba).convert("RGBa") for color in (gradient.start, gradient.end))
    return Image.composite(last, first, place).convert("RGBA")


def lay_gradient(image: Image.Image, gradient: Gradient, stop: float) -> Image.Image:
    """Lay a gradient over a picture."""
    return Image.alpha_composite(image.convert("RGBA"), gradient_layer(image.size, gradient, stop))


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


def distort(image: Image.Image, change: Distortion) -> Image.Image:
    """Move the corners of a picture, or bend it into an arc, on a canvas of the same size; the rest is transparent."""
    framed = ImageOps.expand(image.convert("RGBA"), 1, (0, 0, 0, 0))  # so that the edges are smooth
    if change.corners:
        right, bottom = image.width + 1, image.height + 1
        matrix = perspective(change.corners, (1, 1, right, 1, right, bottom, 1, bottom))
        return framed.transform(image.size, Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BICUBIC)
    turn = Image.Transpose.FLIP_TOP_BOTTOM
    bent = arc(framed if change.arc > 0 else framed.transpose(turn), image.size, math.radians(abs(change.arc)))
    return bent if change.arc > 0 else bent.transpose(turn)


def perspective(places: Sequence[float], corners: Sequence[float]) -> tuple[float, ...]:
    """Return the eight numbers of the projection from four ``places`` (x, y, …) to four ``corners``.

    They solve ``u = (ax + by + c) / (gx + hy + 1)`` and ``v = (dx + ey + f) / (gx + hy + 1)``, by elimination with the
    largest pivot. The places are corners of a convex area, so there is a solution.
    """
    rows = []
    for number in range(4):
        x, y = places[2 * number : 2 * number + 2]
        u, v = corners[2 * number : 2 * number + 2]
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]]
    for column in range(8):
        pivot = max(range(column, 8), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for row in range(8):
            if row != column:
                factor = rows[row][column] / rows[column][column]
                rows[row] = [one - factor * other for one, other in zip(rows[row], rows[column], strict=True)]
    return tuple(row[8] / row[number] for number, row in enumerate(rows))


def arc(image: Image.Image, size: tuple[int, int], angle: float) -> Image.Image:
    """Bend a picture around a centre below it, by ``angle`` radians, into a canvas of ``size`` px.

    The middle line keeps its length until the whole is scaled to fit the canvas.
    """
    width, height = size
    radius, half = width / angle, angle / 2
    outer, inner = radius + height / 2, max(0.0, radius - height / 2)
    across = 2 * outer * math.sin(min(half, math.pi / 2))
    down = outer - (inner if half < math.pi / 2 else outer) * math.cos(half)
    factor = max(across / width, down / height)
    x, y = width / 2, height / 2 + (outer - down / 2) / factor  # of the centre
    step = max(8, max(size) // 128)  # px of a tile; inside one, places are interpolated

    def place(left: int, top: int) -> tuple[float, float]:
        """Return the angle and the distance from the outer edge, in px of the picture."""
        return math.atan2(left - x, y - top), outer - math.hypot(left - x, top - y) * factor

    tiles = []
    for top in range(0, height, step):
        for left in range(0, width, step):
            right, bottom = min(left + step, width), min(top + step, height)
            spots = [place(left, top), place(left, bottom), place(right, bottom), place(right, top)]
            turns = [turn for turn, _ in spots]
            if max(turns) - min(turns) < math.pi:  # else the tile is where the angle jumps, opposite to the picture
                quad = tuple(part for turn, depth in spots for part in (width / 2 + turn * radius + 1, depth + 1))
                tiles.append(((left, top, right, bottom), quad))
    return image.transform(size, Image.Transform.MESH, tiles, Image.Resampling.BICUBIC)


def shadow(image: Image.Image, kind: Shadow) -> Image.Image:
    """Lay a soft shadow under what can be seen; what would reach beyond the canvas is cut off."""
    if image.mode not in _PREMULTIPLIED:
        return image
    offset = round(image.width * kind.x / 100), round(image.height * kind.y / 100)
    alpha = Image.new("L", image.size)
    alpha.paste(image.getchannel("A"), offset)
    alpha = alpha.filter(ImageFilter.GaussianBlur(kind.blur)).point(lambda value: value * (kind.strength / 100))
    result = Image.new("RGBA", image.size)
    result.putalpha(alpha)
    return Image.alpha_composite(result, image.convert("RGBA"))


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return pictures one below the other, at the left; transparent where there is none."""
    canvas = Image.new("RGBA", (max(one.width for one in pictures), sum(one.height for one in pictures)))
    top = 0
    for picture in pictures:
        canvas.paste(picture.convert("RGBA"), (0, top))
        top += picture.height
    return canvas


def tiled(image: Image.Image, size: tuple[int, int], first: tuple[int, int]) -> Image.Image:
    """Repeat a picture over ``size`` px; the first tile lies at ``first``, which is not right of or below 0, 0."""
    width, height = size[0] - first[0], size[1] - first[1]
    result = Image.new(image.mode, (width, height))
    result.paste(image)
    # What is there is doubled, so that the steps are few however small a tile is.
    across, down = image.size
    while across < width:
        result.paste(result.crop((0, 0, across, image.height)), (across, 0))
        across *= 2
    while down < height:
        result.paste(result.crop((0, 0, width, down)), (0, down))
        down *= 2
    return result.crop((-first[0], -first[1], width, height))


def overlay(image: Image.Image, mark: Image.Image, place: tuple[int, int], opacity: float) -> Image.Image:
    """Lay a picture in RGBA over another, part of it may lie outside; what was opaque stays so."""
    if opacity < 1:
        mark = with_alpha(mark, lambda alpha: alpha.point(lambda value: value * opacity))
    layer = Image.new("RGBA", image.size)
    layer.paste(mark, place)
    result = image.convert("RGBA")
    result.alpha_composite(layer)
    return result if image.mode in _PREMULTIPLIED else result.convert("RGB")


def fade(image: Image.Image, opacity: int) -> Image.Image:
    """Multiply the alpha by ``opacity`` per cent."""
    return with_alpha(image, lambda alpha: alpha.point(lambda value: value * (opacity / 100)))


def underlay(image: Image.Image, background: Color | Backdrop, source: Image.Image | None = None) -> Image.Image:
    """Lay a background under everything that is transparent; its own transparency stays.

    ``source`` is what a backdrop is made from: the picture before it was padded.
    """
    if image.mode not in _PREMULTIPLIED:
        return image
    if isinstance(background, Backdrop):
        canvas = backdrop(source or image, image.size, background)
    else:
        canvas = Image.new("RGBA", image.size, background.rgba)
    return Image.alpha_composite(canvas, image.convert("RGBA"))


def backdrop(image: Image.Image, size: tuple[int, int], kind: Backdrop) -> Image.Image:
    """Return a background of ``size`` px made from a picture, as RGBA."""
    if kind.kind == "dominant":
        return Image.new("RGBA", size, (*dominant_colors(edges(image), 1)[0], 255))
    if kind.kind == "gradient":
        corners = dominant_colors(image, kind.colors)
        small = Image.new("RGB", (2, 2) if kind.colors == 4 else (1, 2))
        small.putdata(corners)
        return small.resize(size, Image.Resampling.BILINEAR).convert("RGBA")
    sigma = max(size) * (_BLURRED_BY if kind.intensity is None else kind.intensity) / 1000
    # A blur that wide leaves nothing that a smaller picture could not show, and takes a fraction of the time.
    reduce = max(1.0, min(sigma / 4, max(size) / 64))
    reduced = max(1, round(size[0] / reduce)), max(1, round(size[1] / reduce))
    covering = ImageOps.fit(image.convert("RGBA").convert("RGB"), reduced, Image.Resampling.BICUBIC)
    blurred = covering.filter(ImageFilter.GaussianBlur(sigma / reduce)).resize(size, Image.Resampling.BICUBIC)
    return blurred.point(shift_table(kind.brightness) * 3).convert("RGBA")


def edges(image: Image.Image) -> Image.Image:
    """Return a picture of the outermost px of all four sides, a sixteenth of the shorter side deep."""
    width, height = image.size
    deep = max(1, min(width, height) // 16)
    rgba = image.convert("RGBA")
    sides = [
        rgba.crop(box).resize((64, 1), Image.Resampling.BOX)
        for box in ((0, 0, width, deep), (0, height - deep, width, height))
    ]
    sides += [
        rgba.crop(box).resize((1, 64), Image.Resampling.BOX).transpose(Image.Transpose.ROTATE_90)
        for box in ((0, 0, deep, height), (width - deep, 0, width, height))
    ]
    result = Image.new("RGBA", (64, 4))
    for row, side in enumerate(sides):
        result.paste(side, (0, row))
    return result


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
