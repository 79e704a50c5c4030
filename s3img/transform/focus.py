"""What a crop keeps: a place, what draws attention, what a detector finds, or a box that somebody names."""

from __future__ import annotations

import re
from typing import Final, Literal, Self, TypeAlias, cast, get_args

import msgspec

from s3img.transform.overlays import Place

NamedFocus = Literal[Place, "auto", "custom", "auto-custom_override"]
"""``auto`` is where the picture draws attention (``s3img.imaging.attention``), ``custom`` the `FocusBox` that the
picture's owner gave, the centre without one; ``auto-custom_override`` is that box, and ``auto`` without one."""
DetectedKind = Literal[
    "face",
    # The classes of COCO (Lin et al. 2014), as ImageKit spells them.
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "trafficLight",
    "fireHydrant", "stopSign", "parkingMeter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sportsBall", "kite", "baseballBat", "baseballGlove", "skateboard", "surfboard", "tennisRacket", "bottle",
    "wineGlass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hotDog", "pizza", "donut", "cake", "chair", "couch", "pottedPlant", "bed", "diningTable", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cellPhone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddyBear", "hairDrier", "toothbrush",
]  # fmt: skip
FOUND: Final = get_args(DetectedKind)
"""What a detector may find."""

OBJECTS: Final = "objects"
"""Name of a detector that finds objects of every kind."""

_BOX: Final = re.compile(r"([0-9]{1,6})[_,] ?([0-9]{1,6})[_,] ?([0-9]{1,6})[_,] ?([0-9]{1,6})")
_BOX_KINDS: Final = ("custom", "face", "object")
_MOST_KINDS: Final = 8


class DetectedFocus(msgspec.Struct, frozen=True):
    """What a detector has to find before the picture is made: ``face``, ``car``, or several as ``cat_dog``."""

    kinds: tuple[DetectedKind, ...]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read names joined by ``_``; None for anything else."""
        words = text.split("_", _MOST_KINDS)
        if len(words) > _MOST_KINDS or not {*words} <= {*FOUND}:
            return None
        return cls(tuple(cast("DetectedKind", word) for word in dict.fromkeys(words)))

    def __str__(self) -> str:
        return "_".join(self.kinds)


class FocusBox(msgspec.Struct, frozen=True):
    """What a crop keeps: a box in px of the upright source, also in a step after others.

    Its ``kind`` stands in front of it in texts (``custom_10_20_300_200``), so that what metadata, an attribute or a
    detector says becomes part of the transform, and with it of every key. A crop lies around the centre of a
    ``custom`` box; it is cut close to a ``face``; without a size, a ``face`` or an ``object`` is all that is kept.
    """

    left: int
    top: int
    width: int
    height: int
    kind: Literal["custom", "face", "object"] = "custom"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read four whole numbers between ``_`` or ``,``, perhaps with a kind in front; None for a box of no px."""
        kind, _, rest = text.partition("_")
        match = _BOX.fullmatch(rest if kind in _BOX_KINDS else text)
        if match is None:
            return None
        left, top, width, height = map(int, match.groups())
        box = cls(left, top, width, height, cast("Literal['custom']", kind) if kind in _BOX_KINDS else "custom")
        return box if box.width and box.height else None

    def __str__(self) -> str:
        return f"{self.kind}_{self.left}_{self.top}_{self.width}_{self.height}"


Focus: TypeAlias = NamedFocus | DetectedFocus | FocusBox
"""What a crop keeps of a picture."""


def is_sought(focus: Focus) -> bool:
    """Tell whether a focus has to be looked up: in what the picture's owner says, or by a detector."""
    return isinstance(focus, DetectedFocus) or focus in {"custom", "auto-custom_override"}


def is_detected(focus: Focus) -> bool:
    """Tell whether a crop keeps what a detector finds, or has found."""
    return isinstance(focus, DetectedFocus) or (isinstance(focus, FocusBox) and focus.kind != "custom")
