"""Detectors of faces, which other packages bring: s3img has no model, and works without one.

A detector is an entry point of the group ``s3img.focus`` with the name of what it finds (``face``). It is called with a
picture (Pillow, RGB, at most `SIDE` px) and returns boxes on it: left, top, width and height in px.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import lru_cache
from importlib.metadata import entry_points
from math import isfinite
from typing import TYPE_CHECKING, Final, cast

from s3img.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

    from s3img.transform import Transform
    from s3img.transform.geometry import Point, Size

GROUP: Final = "s3img.focus"
SIDE: Final = 512
"""Longest side in px of the copy that a detector is given."""

Boxes = Iterable[tuple[float, float, float, float]]


def has_detector(kind: str) -> bool:
    """Tell whether anything is installed that finds this."""
    return bool(entry_points(group=GROUP, name=kind))


def without_detector(transform: Transform) -> Transform:
    """Return a transform that looks for what draws attention where nothing is installed that finds faces.

    Its result has the name of ``fo-auto``, so that one with faces is made as soon as there is a detector.
    """
    if not transform.has_focus("face") or has_detector("face"):
        return transform
    return transform.with_focus(lambda focus: "auto" if focus == "face" else focus)


@lru_cache(maxsize=8)
def load_detector(kind: str) -> Callable[[Image.Image], Boxes] | None:
    """Return the detector for a kind, None without one; of several, the first by name, so that it is always the same.

    Raise ImageError for one that can't be imported.
    """
    found = sorted(entry_points(group=GROUP, name=kind), key=lambda point: point.value)
    if not found:
        return None
    try:
        return cast("Callable[[Image.Image], Boxes]", found[0].load())
    except Exception as error:  # whatever a module of somebody else's does when it is imported
        message = f"The detector {found[0].value!r} of {GROUP} can't be loaded: {error}."
        raise ImageError(message, fix="Install what it needs, or remove its package.") from error


def detected_point(small: Callable[[Size], Image.Image], size: Size, kind: str) -> Point | None:
    """Return the centre of all that a detector finds in a picture of ``size`` px, as shares of its sides.

    None without a detector, and where it finds nothing. ``small`` returns a copy of the picture at a size. Raise
    ImageError for a detector that fails or returns something else than boxes.
    """
    detector = load_detector(kind)
    if detector is None:
        return None
    factor = min(1.0, SIDE / max(size))
    picture = small((max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))).convert("RGB")
    try:
        boxes = [tuple(map(float, box)) for box in detector(picture)]
        edges = [(left, top, left + width, top + height) for left, top, width, height in boxes]
    except Exception as error:
        message = f"The detector of {kind}s failed: {type(error).__name__}: {error}."
        raise ImageError(message, fix="Ask for fo-auto, or correct the detector.") from error
    if not edges or not all(isfinite(edge) for box in edges for edge in box):
        return None
    lefts, tops, rights, bottoms = zip(*edges, strict=True)
    across = Fraction(min(lefts) + max(rights)) / (2 * picture.width)
    down = Fraction(min(tops) + max(bottoms)) / (2 * picture.height)
    return min(max(across, Fraction(0)), Fraction(1)), min(max(down, Fraction(0)), Fraction(1))
