"""Lay watermarks of imgproxy's options over a picture: pictures or texts, turned, with a shadow, once or as tiles."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from PIL import Image, ImageFilter

from s3img.errors import TransformError
from s3img.imaging import effects
from s3img.imaging.decode import RenderDeadline, decode, pillow_errors
from s3img.imaging.probing import opened, probe, too_large
from s3img.imaging.resize import resize
from s3img.imaging.text import TextStyle, draw_text
from s3img.imgproxy.box_geometry import position, tile_grid, watermark_size
from s3img.imgproxy.processing_options import Gravity
from s3img.transform.colors import Color
from s3img.transform.geometry import check_size
from s3img.transform.overlays import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.imgproxy.box_geometry import Size
    from s3img.imgproxy.processing_options import ProcessingOptions, Watermark
    from s3img.limits import Limits

_FONT_SIZE: Final = 16  # px, which is what imgproxy's default, "sans 16", comes to at 72 dpi
_POINTS: Final = 1024  # Pango's unit of a size in numbers
_SHADOW_REACH: Final = 3  # sigmas; what is farther away can't be seen
_BOLD: Final = frozenset({"bold", "ultrabold", "heavy", "semibold"})
_ITALIC: Final = frozenset({"italic", "oblique"})
_TAGS: Final = {"b": {"weight": "bold"}, "i": {"style": "italic"}, "s": {"strikethrough": "true"}, "span": {}}
_COLORS: Final = frozenset({"foreground", "fgcolor", "color"})
_SIZES: Final = frozenset({"size", "font_size"})


def watermark_pictures(
    options: ProcessingOptions, files: Mapping[str, bytes], limits: Limits
) -> tuple[Image.Image | None, ...]:
    """Return the watermark of each pipeline in RGBA, None where it has none; ``files`` are pictures by their URLs.

    Raise ImageTooLarge where all of them together have more px than one picture may have, and TextError.
    """
    pictures: dict[str, Image.Image] = {}
    for url in sorted(options.watermark_urls & files.keys()):
        pictures[url] = upright_picture(files[url], limits)
        total = sum(picture.width * picture.height for picture in pictures.values())
        if total > limits.input_pixels:
            raise too_large("input_pixels", f"The watermarks have {total:,} px", limits.input_pixels)
    deadline = RenderDeadline(limits.seconds)
    marks: list[Image.Image | None] = []
    for mark in (pipeline.watermark for pipeline in options.pipelines):
        if mark.opacity and mark.text:
            style = TextStyle(text_of(mark.text).size, None, (0, 0, 0, 0), None)  # type: ignore[arg-type] # px
            marks.append(draw_text(text_of(mark.text), style, {}, limits=limits, deadline=deadline))
        else:
            marks.append(pictures.get(mark.url) if mark.opacity else None)
    return tuple(marks)


def upright_picture(data: bytes, limits: Limits) -> Image.Image:
    """Return a whole picture, upright in RGBA; of an animation the first frame."""
    info = probe(data, limits=limits)
    size = info.width, info.height
    with opened(data) as fp:
        decoded = decode(fp, info, size, limits)
    with pillow_errors(f"The {info.format.upper()} can't be laid over the picture"):
        return decoded.picture((0.0, 0.0, float(size[0]), float(size[1])), size).convert("RGBA")


def text_of(markup: str) -> Text:
    """Read a text, which may be in Pango's markup: one style for all of it (``<span size="x" color="#fff">…</span>``).

    What is not markup is shown as it is. Raise TransformError for several styles in one text.
    """
    plain = Text(text=markup, size=_FONT_SIZE, align="left")
    if "<!" in markup:  # document types could define entities, and Pango's markup has none
        return plain
    try:
        node = ElementTree.fromstring(f"<span>{markup}</span>")  # noqa: S314 - without a document type
    except ElementTree.ParseError:
        return plain
    found: dict[str, str] = {}
    while True:
        if node.tag not in _TAGS:
            raise TransformError(f"watermark_text: <{node.tag}> is not understood; write {', '.join(_TAGS)}.")
        found |= _TAGS[node.tag] | node.attrib
        if not len(node):
            return styled(node.text or "", found)
        if len(node) > 1 or node.text or node[0].tail:
            raise TransformError("watermark_text: a text has one style here, and this one has several.")
        node = node[0]


def styled(text: str, attributes: Mapping[str, str]) -> Text:
    """Return a text under Pango's attributes; those without a meaning here are passed over."""
    color = next((attributes[name] for name in attributes if name in _COLORS), "#000000")
    size = next((attributes[name] for name in attributes if name in _SIZES), "")
    return Text(
        text=text,
        size=font_size(size) if size else _FONT_SIZE,
        color=text_color(color),
        bold=attributes.get("weight", "") in _BOLD or attributes.get("font_weight", "") in _BOLD,
        italic=attributes.get("style", "") in _ITALIC or attributes.get("font_style", "") in _ITALIC,
        strikethrough=attributes.get("strikethrough", "") == "true",
        align="left",
    )


def text_color(text: str) -> Color:
    """Read ``#rgb``, ``#rrggbb`` or a name of CSS."""
    digits = text.removeprefix("#")
    short = len(digits) == 3 and digits != text
    color = Color.parse("".join(digit * 2 for digit in digits) if short else digits)
    if color is None or len(digits) == 8:
        raise TransformError(f"watermark_text: {text[:40]!r} is not a colour; write #rrggbb.")
    return color


def font_size(text: str) -> int:
    """Read a size of Pango's in px: ``20pt``, or a number of thousandths (1024 to a point)."""
    number, is_points = text.removesuffix("pt"), text.endswith("pt")
    if not number.isdecimal() or len(number) > 9:
        raise TransformError(f"watermark_text: {text[:40]!r} is not a size; write 20pt, or 20480.")
    return int(number) if is_points else round(int(number) / _POINTS)


def lay_watermark(
    picture: Image.Image, mark: Image.Image, watermark: Watermark, dpr: float, limits: Limits
) -> Image.Image:
    """Lay a watermark over a picture, once or as tiles; offsets in px are those of density 1."""
    size = watermark_size(picture.size, mark.size, watermark)
    check_size(size, limits)
    mark = resize(mark, size)
    if watermark.angle % 360:
        mark = turned(mark, watermark.angle, limits)
    mark, margin = shadowed(mark, watermark.shadow) if watermark.shadow else (mark, 0)
    size = mark.width - 2 * margin, mark.height - 2 * margin
    if watermark.position in {"re", "ch"}:
        tile, inside, first = tile_grid(picture.size, mark.size, watermark, dpr)
        is_chess = watermark.position == "ch"
        padded = Image.new("RGBA", (2 * tile[0], 2 * tile[1]) if is_chess else tile)
        padded.paste(mark, inside)
        if is_chess:  # every other tile is empty, in rows and in columns
            padded.paste(mark, (tile[0] + inside[0], tile[1] + inside[1]))
        return effects.overlay(picture, effects.tiled(padded, picture.size, first), (0, 0), watermark.opacity)
    gravity = Gravity(watermark.position, watermark.x, watermark.y)
    left, top = position(picture.size, size, gravity, dpr, overflow=True)
    # The shadow reaches out of the watermark, whose place does not depend on it.
    return effects.overlay(picture, mark, (left - margin, top - margin), watermark.opacity)


def turned(mark: Image.Image, degrees: float, limits: Limits) -> Image.Image:
    """Turn a watermark clockwise, on a canvas that holds all of it."""
    sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    size: Size = (
        math.ceil(mark.width * cosine + mark.height * sine - 1e-6),
        math.ceil(mark.width * sine + mark.height * cosine - 1e-6),
    )
    check_size(size, limits)
    return effects.rotate(mark, Fraction(degrees).limit_denominator(1000), size)


def shadowed(mark: Image.Image, sigma: float) -> tuple[Image.Image, int]:
    """Lay a blurred black shadow under a watermark; return it with the px that it has grown by on every side."""
    margin = math.ceil(_SHADOW_REACH * sigma)
    canvas = Image.new("RGBA", (mark.width + 2 * margin, mark.height + 2 * margin))
    canvas.paste(mark, (margin, margin))
    shadow = Image.new("RGBA", canvas.size)
    shadow.putalpha(canvas.getchannel("A").filter(ImageFilter.GaussianBlur(sigma)))
    return Image.alpha_composite(shadow, canvas), margin
