"""Lay one picture over another: plain functions on pixels, which know nothing of transforms.

``base`` is L, LA, RGB or RGBA, ``top`` likewise; ``place`` is where the top left corner of ``top`` lies on it, in px,
also outside. The result has the size of ``base``; it is opaque where ``base`` has no alpha and nothing is cut out.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

from PIL import Image, ImageChops

from s3img.imaging.probing import opened
from s3img.transform.canonical import layer_text
from s3img.transform.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from s3img.imaging.probing import ImageSource
    from s3img.transform.overlays import LayerMode
    from s3img.transform.steps import Layer

Point = tuple[int, int]
_TILE: Final = 8
"""Px of a tile that `displace` moves as one piece, with places inside it interpolated."""


def cover(base: Image.Image, top: Image.Image, place: Point) -> Image.Image:
    """Lay ``top`` over ``base``."""
    layer = top.convert("RGBA")
    if base.mode in {"LA", "RGBA"}:
        sheet = Image.new("RGBA", base.size)
        sheet.paste(layer, place)
        return Image.alpha_composite(base.convert("RGBA"), sheet)
    result = base.convert("RGB") if base.mode == "L" else base.copy()
    result.paste(layer, place, layer)
    return result


def multiply(base: Image.Image, top: Image.Image, place: Point) -> Image.Image:
    """Multiply the colours of ``base`` by those of ``top``, as far as that is opaque; black stays black."""
    layer = top.convert("RGBA")
    sheet = Image.new("RGB", base.size, (255, 255, 255))  # white changes nothing
    sheet.paste(layer.convert("RGB"), place, layer)
    result = ImageChops.multiply(base.convert("RGB"), sheet)
    if base.mode in {"LA", "RGBA"}:
        result.putalpha(base.getchannel("A"))
    return result


def cut_out(base: Image.Image, top: Image.Image, place: Point) -> Image.Image:
    """Make ``base`` transparent where ``top`` is opaque."""
    return with_mask(base, ImageChops.invert(spread_alpha(top, base.size, place)))


def cut_to(base: Image.Image, top: Image.Image, place: Point) -> Image.Image:
    """Make ``base`` transparent where ``top`` is not opaque, and all around it."""
    return with_mask(base, spread_alpha(top, base.size, place))


def spread_alpha(top: Image.Image, size: Point, place: Point) -> Image.Image:
    """Return the opacity of ``top`` as a mask of ``size`` px."""
    mask = Image.new("L", size)
    mask.paste(top.convert("RGBA").getchannel("A"), place)
    return mask


def with_mask(base: Image.Image, mask: Image.Image) -> Image.Image:
    """Return ``base`` with its opacity multiplied by a mask of the same size."""
    result = base.convert("RGBA")
    result.putalpha(ImageChops.multiply(result.getchannel("A"), mask))
    return result


MODES: Final[Mapping[LayerMode | None, Callable[[Image.Image, Image.Image, Point], Image.Image]]] = {
    None: cover,
    "multiply": multiply,
    "cutout": cut_out,
    "cutter": cut_to,
}
"""How a layer is mixed in, for each mode that needs no more than a place; `displace` needs two distances."""


def displace(base: Image.Image, chart: Image.Image, reach: tuple[float, float]) -> Image.Image:
    """Move the px of ``base`` as a chart says, which is stretched to its size.

    Red says how far across and green how far down, from -1 (0) over 0 (128) to 1 (255) times ``reach`` px. What would
    come from outside is the nearest edge.
    """
    width, height = base.size
    step = max(_TILE, max(base.size) // 128)
    across, down = -(-width // step) + 1, -(-height // step) + 1
    moves = chart.convert("RGB").resize((across, down), Image.Resampling.BILINEAR).tobytes()

    def source(column: int, row: int) -> tuple[float, float]:
        """Return where the px at a corner of a tile comes from."""
        at = 3 * (row * across + column)
        x = column * step - reach[0] * (moves[at] - 128) / 127
        y = row * step - reach[1] * (moves[at + 1] - 128) / 127
        return min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)

    tiles = []
    for row in range(down - 1):
        for column in range(across - 1):
            corners = (column, row), (column, row + 1), (column + 1, row + 1), (column + 1, row)
            box = column * step, row * step, (column + 1) * step, (row + 1) * step
            tiles.append((box, tuple(part for corner in corners for part in source(*corner))))
    # Tiles are whole, so that each is as large as its corners say; what is beyond the edge is cut off again.
    size = (across - 1) * step, (down - 1) * step
    mode = "RGBA" if base.mode in {"LA", "RGBA"} else "RGB"
    return (
        base.convert(mode)
        .transform(size, Image.Transform.MESH, tiles, Image.Resampling.BILINEAR)
        .crop((0, 0, *base.size))
    )


DrawnLayer: TypeAlias = "tuple[Image.Image, tuple[int, int]]"
"""A layer's picture and its place on its parent."""

MOST_BYTES: Final = 16_000_000
"""Of all pictures that are kept; one of 2,000 x 2,000 px would be all of it."""
_SHARE: Final = 4
"""No picture takes more than this part of it, so that one large layer does not put out all logos."""


class DrawnLayers:
    """The layers that were used last, in ``most`` bytes; safe to share between threads. Pictures are never changed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, DrawnLayer] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, name: Hashable) -> DrawnLayer | None:
        """Return a layer that was kept."""
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
            return found

    def keep(self, name: Hashable, layer: DrawnLayer) -> None:
        """Keep a layer, and forget those that were not used for longest."""
        size = size_in_memory(layer)
        if size > self._most // _SHARE:
            return
        with self._lock:
            if name in self._kept:  # another thread drew it as well
                return
            self._kept[name] = layer
            self._bytes += size
            while self._bytes > self._most:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= size_in_memory(oldest)


def size_in_memory(layer: DrawnLayer) -> int:
    """Return the bytes of a layer's picture: Pillow has four for a px."""
    return 4 * layer[0].width * layer[0].height


def layer_name(layer: Layer, inputs: Mapping[str, ImageSource], *rest: Hashable) -> Hashable:
    """Return what a drawn layer follows from; the digests of its inputs stand for their bytes.

    An input that is missing is left out: drawing the layer says so.
    """
    digests = []
    for key in dict.fromkeys(Step(layers=(layer,)).inputs()):
        if key in inputs:
            with opened(inputs[key]) as file:
                digests.append((key, hashlib.sha256(file.read()).digest()))
    return layer_text(layer), tuple(digests), *rest


DRAWN_LAYERS: Final = DrawnLayers(MOST_BYTES)
