"""Detectors of faces and objects, which other packages bring: s3img has no model, and works without one.

A detector is an entry point of the group ``s3img.focus``, or a line of the setting ``focus_detectors``, with the name
of what it finds: ``face``, or an object such as ``car``. It is called with a picture (Pillow, RGB, at most `SIDE` px)
and returns boxes on it: left, top, width and height in px. One with the name ``objects`` is also called with the
object's name, and stands for all of them.

What was found becomes part of the transform before anything is made, so that sizes and keys stay functions of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from s3img.errors import ImageError
from s3img.imaging.probing import located, opened, probe
from s3img.transform.focus import FOUND, OBJECTS, DetectedFocus, FocusBox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.imaging.probing import ImageSource
    from s3img.limits import Limits
    from s3img.transform import Transform
    from s3img.transform.focus import Focus

GROUP: Final = "s3img.focus"
SIDE: Final = 512
"""Longest side in px of the copy that a detector is given."""
_NOISE: Final = 1e-6
"""Px by which an edge may lie beside a whole one because of floats."""
NAMES: Final = frozenset({*FOUND, OBJECTS})

Boxes = Iterable[tuple[float, float, float, float]]


class Detector(msgspec.Struct, frozen=True):
    """One detector to ask: what it is to find, its ``module:function``, and whether it is told what to find."""

    kind: str
    reference: str
    is_told: bool = False

    def boxes(self, picture: Any) -> list[tuple[float, float, float, float]]:  # noqa: ANN401 - a Pillow image
        """Return edges (left, top, right, bottom, px) of what it finds; raise ImageError where it fails."""
        find = load_detector(self.reference)
        try:
            found = find(picture, self.kind) if self.is_told else find(picture)
            boxes = [tuple(map(float, box)) for box in found]
            edges = [(left, top, left + width, top + height) for left, top, width, height in boxes]
        except Exception as error:
            message = f"The detector {self.reference!r} failed at fo-{self.kind}: {type(error).__name__}: {error}."
            raise ImageError(message, fix="Ask for fo-auto, or correct the detector.") from error
        return [box for box in edges if all(map(isfinite, box))]


@dataclass(frozen=True, slots=True)
class Detectors:
    """The detectors that there are: ``module:function`` by what they find."""

    references: Mapping[str, str]

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Detectors:
        """Return those that the settings name, and for what they leave out those that are installed."""
        return cls({**installed(), **settings})

    def asked(self, focus: DetectedFocus) -> tuple[Detector, ...]:
        """Return whom to ask for a focus, nobody where nothing finds any of it."""
        found = []
        for kind in focus.kinds:
            if own := self.references.get(kind):
                found.append(Detector(kind, own))
            elif kind != "face" and (own := self.references.get(OBJECTS)):
                found.append(Detector(kind, own, is_told=True))
        return tuple(found)

    def settled(self, transform: Transform) -> Transform:
        """Return a transform that looks for what draws attention where nobody can find what it asks for.

        Its result has the name of ``fo-auto``, so that another is made as soon as there is a detector.
        """

        def without(focus: Focus, _: str) -> Focus:
            return "auto" if isinstance(focus, DetectedFocus) and not self.asked(focus) else focus

        return transform.located(without)

    def located(
        self,
        transform: Transform,
        source: ImageSource,
        inputs: Mapping[str, ImageSource],
        limits: Limits,
        boxes: Mapping[str, str] | None = None,
    ) -> Transform:
        """Return the transform with what is found in a picture and in those of its layers; raise what `look` raises.

        ``boxes`` are those that the owners of the pictures name for ``fo-custom``, by key, "" for the picture itself;
        without them ``fo-custom`` stays.
        """

        def find(focus: Focus, key: str) -> Focus:
            picture = inputs.get(key) if key else source
            if not isinstance(focus, DetectedFocus):
                if boxes is None:
                    return focus
                return FocusBox.parse(boxes.get(key, "")) or ("center" if focus == "custom" else "auto")
            asked, page = self.asked(focus), 0 if key else transform.page
            return (look(picture, asked, limits=limits, page=page) if asked and picture is not None else None) or "auto"

        return transform.located(find)


@lru_cache(maxsize=1)
def installed() -> Mapping[str, str]:
    """Return ``module:function`` by name; of several, the first in order, so that it is always the same."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.value, reverse=True)
    return {point.name: point.value for point in points if point.name in NAMES}


@lru_cache(maxsize=128)
def load_detector(reference: str) -> Callable[..., Boxes]:
    """Return the function of a reference; raise ImageError for one that can't be imported."""
    try:
        return cast("Callable[..., Boxes]", EntryPoint("detector", reference, GROUP).load())
    except Exception as error:  # whatever a module of somebody else's does when it is imported
        message = f"The detector {reference!r} can't be loaded: {error}."
        raise ImageError(message, fix="Install what it needs, or remove its package.") from error


def look(source: ImageSource, asked: Iterable[Detector], *, limits: Limits, page: int = 0) -> FocusBox | None:
    """Return the box around all that detectors find in a picture, in px of the upright source; None for nothing.

    ``page`` is the frame to look at, from 1. Raise what `probe` and `decode` raise, and ImageError for a detector that
    fails or returns something else than boxes.
    """
    asked = tuple(asked)
    info = probe(source, limits=limits)
    if not asked or not info.renderable:
        return None
    from s3img.imaging.decode import decode, pillow_errors  # loads Pillow, which a run with nothing to look at spares

    size = info.width, info.height
    factor = min(1.0, SIDE / max(size))
    small = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    with opened(source) as fp, located(source):
        decoded = decode(fp, info, small, limits, page=max(0, page - 1))
        with pillow_errors(f"The {info.format.upper()} can't be decoded"):
            picture = decoded.picture((0.0, 0.0, float(size[0]), float(size[1])), small).convert("RGB")
    edges = [box for one in asked for box in one.boxes(picture)]
    if not edges:
        return None
    found = []
    for axis in (0, 1):
        scale, side = size[axis] / small[axis], size[axis]
        low = min(max(floor(min(box[axis] for box in edges) * scale + _NOISE), 0), side - 1)
        found.append((low, max(1, min(ceil(max(box[axis + 2] for box in edges) * scale - _NOISE), side) - low)))
    (left, width), (top, height) = found
    kind = "face" if {one.kind for one in asked} == {"face"} else "object"
    return FocusBox(left, top, width, height, cast("Any", kind))


def find_json(data: bytes, *, asked: tuple[Detector, ...], limits: Limits, page: int = 0) -> bytes:
    """Do what `look` does, with the answer in JSON: a box, or null."""
    return msgspec.json.encode(look(data, asked, limits=limits, page=page))
