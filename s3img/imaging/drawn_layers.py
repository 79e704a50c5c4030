"""Layers as they were drawn last, in this process: most pictures of a site get the same logo, and that is decoded once.

What a layer looks like follows from its text, the bytes of its pictures and fonts, the size of its parent, and limits.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

from s3img.imaging.probing import opened
from s3img.transform.canonical import layer_text
from s3img.transform.steps import Step

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from PIL import Image

    from s3img.imaging.probing import ImageSource
    from s3img.transform.steps import Layer

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
