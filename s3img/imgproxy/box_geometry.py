"""Where the pixels of an imgproxy request go: sizes and places, worked out before any px is decoded.

The rule is that of imgproxy's processing package (prepare.go, crop.go, calc_position.go, extend.go, padding.go): the
same double-precision arithmetic in the same order, because a size that ends in .5 depends on both. What libvips adds
when it resizes (1 px in 23 of 3,055 measured sizes) is not copied.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import msgspec

from s3img.imgproxy.processing_options import Gravity, Pipeline

if TYPE_CHECKING:
    from s3img.imgproxy.processing_options import GravityType, Watermark

Size: TypeAlias = tuple[int, int]
PixelBox: TypeAlias = tuple[int, int, int, int]
"""Left, top, width and height in px."""
FocusPoint: TypeAlias = tuple[float, float]
"""Shares of a picture's width and height."""

Length = TypeVar("Length", int, float)

_EXIF_TURNS: Final = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (90, True),
    6: (90, False),
    7: (270, True),
    8: (270, False),
}
"""Degrees clockwise, and whether the picture is mirrored afterwards, for each EXIF orientation."""
_ORIENTATIONS: Final = {turn: orientation for orientation, turn in _EXIF_TURNS.items()}
_CLOCKWISE: Final[tuple[GravityType, ...]] = ("no", "noea", "ea", "soea", "so", "sowe", "we", "nowe")
_ROUNDING: Final = 2
"""Px that a result may have above a limit: lengths and padding are rounded one by one, as in imgproxy."""


class BoxPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The geometry of one pipeline, in px of the picture as it is seen after all turns.

    ``source`` is its size, ``crop`` the part that is taken, ``scaled`` the size that this part would have after one
    resize, ``window`` what is kept of that, ``canvas`` the size after extending and padding, with the window's top left
    corner at ``offset``. ``orientation`` is the EXIF value that turns stored pixels. ``dpr`` is the one in force.
    """

    source: Size
    crop: PixelBox
    scaled: Size
    window: PixelBox
    canvas: Size
    offset: Size
    orientation: int
    dpr: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return the edges of the window in px of the source: left, top, right, bottom."""
        left, top, width, height = self.window
        x, y = self.crop[2] / self.scaled[0], self.crop[3] / self.scaled[1]
        start = self.crop[0] + left * x, self.crop[1] + top * y
        return (*start, start[0] + width * x, start[1] + height * y)

    @property
    def size(self) -> Size:
        """Return the size of the window."""
        return self.window[2:]

    @property
    def changes(self) -> bool:
        """Tell whether anything is cut, scaled, turned or added."""
        is_whole = self.crop == self.window == (0, 0, *self.source) == (0, 0, *self.canvas)
        return not is_whole or self.orientation != 1


class _Scales(msgspec.Struct):
    """Factors and sizes while they are worked out; the names are imgproxy's."""

    width: float
    height: float
    dpr: float
    target: Size = (0, 0)
    scaled: Size = (0, 0)
    result_crop: Size = (0, 0)
    extended_ratio: Size = (0, 0)


def rounded(value: float) -> int:
    """Round a number that is not negative, halves up, as Go's ``math.Round``; adding a half first would round twice."""
    whole = math.floor(value)
    return whole + (value - whole >= 0.5)


def scale(side: int, factor: float) -> int:
    """Scale a side, halves away from zero; 0 stays 0."""
    return rounded(side * factor)


def scale_to_even(side: int, factor: float) -> int:
    """Scale a length, halves to the even number."""
    return round(side * factor)


def smaller_of(first: int, second: int) -> int:
    """Return the smaller of two sides, of which 0 stands for any."""
    return min(first, second) if first and second else first or second


def plan_boxes(
    stored: Size,
    orientation: int,
    pipeline: Pipeline,
    *,
    max_dimension: int = 0,
    crop_focus: FocusPoint | None = None,
    focus: FocusPoint | None = None,
) -> BoxPlan:
    """Work out the geometry of one pipeline on stored pixels under an EXIF orientation.

    ``max_dimension`` bounds the sides of the result (0: nothing does). The gravity ``sm`` places a window around
    ``crop_focus`` (in px as they are stored) or ``focus`` (of what was cropped), or in the middle without them.
    """
    angle, is_mirrored = _EXIF_TURNS[orientation] if pipeline.auto_rotate else (0, False)
    turned = (angle + pipeline.rotate) % 180 == 90
    source = (stored[1], stored[0]) if turned else stored
    cropped = _crop_side(source[0], pipeline.crop.width), _crop_side(source[1], pipeline.crop.height)
    if pipeline.crop_aspect_ratio:
        cropped = _with_ratio(cropped, source, pipeline)
    to_scale = smaller_of(cropped[0], source[0]), smaller_of(cropped[1], source[1])
    scales = _calc_scale(to_scale, pipeline)
    _calc_sizes(scales, to_scale, pipeline)
    _limit(scales, to_scale, pipeline, max_dimension)

    # The cut is made in the px as they are stored, as in imgproxy: halves are rounded there, not in the turned picture.
    gravity = pipeline.crop.gravity or pipeline.gravity
    gravity = turned_back(gravity, pipeline.rotate, across=pipeline.flip_horizontal, down=pipeline.flip_vertical)
    gravity = turned_back(gravity, angle, across=is_mirrored, down=False)
    box = _window(stored, cropped[::-1] if turned else cropped, gravity, 1.0, crop_focus)
    size = stored
    steps = ((angle, is_mirrored, False), (pipeline.rotate, pipeline.flip_horizontal, pipeline.flip_vertical))
    for degrees, across, down in steps:
        box, size = _turn(box, size, degrees, across=across, down=down)

    scaled = scale(box[2], scales.width), scale(box[3], scales.height)
    window = _window(scaled, scales.result_crop, pipeline.gravity, scales.dpr, focus)
    canvas, offset = _canvas(window[2:], scales, pipeline)
    return BoxPlan(
        source=size,
        crop=box,
        scaled=scaled,
        window=window,
        canvas=canvas,
        offset=offset,
        orientation=_combined((angle, is_mirrored), pipeline),
        dpr=scales.dpr,
    )


def _crop_side(side: int, crop: float) -> int:
    if crop == 0 or crop >= 1:
        return int(crop)
    return max(1, scale(side, crop))


def _with_ratio(cropped: Size, source: Size, pipeline: Pipeline) -> Size:
    """Return the area of a crop at the ratio asked for: smaller on one side, or larger as far as the picture goes."""
    width, height = smaller_of(cropped[0], source[0]), smaller_of(cropped[1], source[1])
    ratio = pipeline.crop_aspect_ratio
    is_wide = width > height * ratio
    if pipeline.crop_enlarge:
        width, height = (width, scale(width, 1 / ratio)) if is_wide else (scale(height, ratio), height)
        factor = min(1.0, source[0] / width, source[1] / height)
        return max(1, scale(width, factor)), max(1, scale(height, factor))
    return (max(1, scale(height, ratio)), height) if is_wide else (width, max(1, scale(width, 1 / ratio)))


def _calc_scale(size: Size, pipeline: Pipeline) -> _Scales:
    width, height = size
    to_width, to_height = pipeline.width or width, pipeline.height or height
    across = width / to_width if to_width != width else 1.0
    down = height / to_height if to_height != height else 1.0
    if across != 1 or down != 1:
        across, down = _shrinks(across, down, (width - height, to_width - to_height), pipeline)
    across /= pipeline.zoom_width
    down /= pipeline.zoom_height

    dpr = pipeline.dpr
    if not pipeline.enlarge:
        least = min(across, down)
        if least < 1:
            across /= least
            down /= least
            # The size can't be reached. A density below 1 would take the result still further away from it, so that is
            # made up for; with a canvas around the picture, the composition has to stay the same at every density.
            if not pipeline.extend.enabled:
                dpr /= least
        dpr = min(dpr, across, down)  # more would enlarge the picture

    if pipeline.min_width and width / pipeline.min_width < across:
        least = width / pipeline.min_width
        down /= across / least
        across = least
    if pipeline.min_height and height / pipeline.min_height < down:
        least = height / pipeline.min_height
        across /= down / least
        down = least

    across, down = min(across / dpr, width), min(down / dpr, height)  # at least 1 px
    return _Scales(1 / across, 1 / down, dpr)


def _shrinks(across: float, down: float, differences: tuple[int, int], pipeline: Pipeline) -> tuple[float, float]:
    """Return how much each side shrinks; ``differences`` of width and height of the picture and of what it becomes."""
    kind = pipeline.resizing_type
    if kind == "auto":  # fill where both are wide or both are high
        kind = "fill" if (differences[0] >= 0) == (differences[1] >= 0) else "fit"
    if kind == "force":
        return across, down
    if not pipeline.width:
        return down, down
    if not pipeline.height:
        return across, across
    both = max(across, down) if kind == "fit" else min(across, down)
    return both, both


def _calc_sizes(scales: _Scales, size: Size, pipeline: Pipeline) -> None:
    # 0 means that no length is given: one that rounds to 0 would leave that side of a long picture without any limit.
    target = (
        max(scale(pipeline.width, scales.dpr * pipeline.zoom_width), min(pipeline.width, 1)),
        max(scale(pipeline.height, scales.dpr * pipeline.zoom_height), min(pipeline.height, 1)),
    )
    scaled = scale(size[0], scales.width), scale(size[1], scales.height)
    scales.target, scales.scaled, scales.result_crop = target, scaled, target
    if pipeline.resizing_type == "fill-down" and not pipeline.enlarge:
        across, down = target[0] / scaled[0], target[1] / scaled[1]
        if across > down and across > 1:
            scales.result_crop = scaled[0], max(scale(scaled[0], target[1] / target[0]), min(target[1], 1))
        elif down > across and down > 1:
            scales.result_crop = max(scale(scaled[1], target[0] / target[1]), min(target[0], 1)), scaled[1]
    scales.extended_ratio = 0, 0
    if pipeline.extend_aspect_ratio.enabled and all(target):
        width = smaller_of(scaled[0], scales.result_crop[0])
        height = smaller_of(scaled[1], scales.result_crop[1])
        across, down = target[0] / width, target[1] / height
        if down > across:
            scales.extended_ratio = width, scale(width, target[1] / target[0])
        elif across > down:
            scales.extended_ratio = scale(height, target[0] / target[1]), height


def _limit(scales: _Scales, size: Size, pipeline: Pipeline, most: int) -> None:
    """Scale everything down, padding included, where the result would have a side above ``most``."""
    if not most:
        return
    width = smaller_of(scales.scaled[0], scales.result_crop[0])
    height = smaller_of(scales.scaled[1], scales.result_crop[1])
    extended = (0, 0)
    if pipeline.extend.enabled:
        extended = scales.target
    elif pipeline.extend_aspect_ratio.enabled:
        extended = scales.extended_ratio
    left, top, right, bottom = _padding(pipeline, scales.dpr)
    longest = max(max(width, extended[0]) + left + right, max(height, extended[1]) + top + bottom)
    if longest > most:
        factor = most / longest
        scales.width = max(scales.width * factor, 1 / size[0])
        scales.height = max(scales.height * factor, 1 / size[1])
        scales.dpr *= factor
        _calc_sizes(scales, size, pipeline)
        # No side gets less than 1 px, and a ratio to such a side can come out at twice the limit: that is cut.
        left, top, right, bottom = _padding(pipeline, scales.dpr)
        room = _room(scales.scaled[0], most - left - right), _room(scales.scaled[1], most - top - bottom)
        scales.target = _cut(scales.target, room)
        scales.extended_ratio = _cut(scales.extended_ratio, room)
        scales.result_crop = _cut(scales.result_crop, room)
        width, height = scales.result_crop
        scales.result_crop = (
            width if width or scales.scaled[0] <= room[0] + _ROUNDING else room[0],
            height if height or scales.scaled[1] <= room[1] + _ROUNDING else room[1],
        )


def _room(scaled: int, most: int) -> int:
    """Return what a side may have: ``most``, or a px or two more where rounding alone makes the picture larger."""
    return scaled if most < scaled <= most + _ROUNDING else max(1, most)


def _cut(size: Size, room: Size) -> Size:
    width, height = (side if side <= most + _ROUNDING else most for side, most in zip(size, room, strict=True))
    return width, height


def _padding(pipeline: Pipeline, dpr: float) -> tuple[int, int, int, int]:
    pad = pipeline.padding
    left, top, right, bottom = (scale_to_even(side, dpr) for side in (pad.left, pad.top, pad.right, pad.bottom))
    return left, top, right, bottom


def turned_back(gravity: Gravity, angle: int, *, across: bool, down: bool) -> Gravity:
    """Return the gravity that means in a picture what ``gravity`` means after it was turned and mirrored."""
    kind, x, y = gravity.type, gravity.x, gravity.y
    if angle >= 180:  # half a turn is both mirrors
        across, down, angle = not across, not down, angle - 180
    if kind == "fp":
        x, y = 1 - x if across else x, 1 - y if down else y
        return Gravity(kind, y, 1 - x) if angle else Gravity(kind, x, y)
    if across and kind in {"ce", "no", "so"}:
        x = -x
    if down and kind in {"ce", "ea", "we"}:
        y = -y
    if kind in _CLOCKWISE:
        place = _CLOCKWISE.index(kind)
        place = -place if across else place
        place = 4 - place if down else place
        kind = _CLOCKWISE[(place - angle // 45) % 8]
    if angle:
        x, y = y, -x if kind in {"ce", "ea", "we"} else x
    return Gravity(kind, x, y)


def _window(size: Size, wanted: Size, gravity: Gravity, dpr: float, focus: FocusPoint | None) -> PixelBox:
    """Return the part of a picture that a crop keeps."""
    width, height = smaller_of(wanted[0], size[0]), smaller_of(wanted[1], size[1])
    if gravity.type == "sm":
        x, y = focus or (0.5, 0.5)
        left = min(max(round(x * size[0] - width / 2), 0), size[0] - width)
        top = min(max(round(y * size[1] - height / 2), 0), size[1] - height)
        return left, top, width, height
    return (*position(size, (width, height), gravity, dpr), width, height)


def position(outer: Size, inner: Size, gravity: Gravity, dpr: float, *, overflow: bool = False) -> Size:
    """Return where the top left corner of ``inner`` lies on ``outer``; with ``overflow`` it may lie outside in part."""
    kind = gravity.type
    if kind == "fp":
        left = scale_to_even(outer[0], gravity.x) - inner[0] // 2
        top = scale_to_even(outer[1], gravity.y) - inner[1] // 2
    else:
        x, y = offset_of(gravity.x, outer[0], dpr), offset_of(gravity.y, outer[1], dpr)
        free = outer[0] - inner[0], outer[1] - inner[1]
        # Half of one px more than what is free, as imgproxy has it: 200 px in which 50 are centred begin at 76.
        left, top = round((free[0] + 1) / 2) + x, round((free[1] + 1) / 2) + y
        left = x if kind.endswith("we") else free[0] - x if kind.endswith("ea") else left
        top = y if kind.startswith("no") else free[1] - y if kind.startswith("so") else top
    least = (1 - inner[0], 1 - inner[1]) if overflow else (0, 0)
    most = (outer[0] - 1, outer[1] - 1) if overflow else (outer[0] - inner[0], outer[1] - inner[1])
    return max(least[0], min(left, most[0])), max(least[1], min(top, most[1]))


def offset_of(offset: float, side: int, dpr: float) -> int:
    """Return an offset in px: shares of a side below 1, px of density 1 from there on."""
    return round(offset * dpr) if abs(offset) >= 1 else scale_to_even(side, offset)


def area_box(area: tuple[float, float, float, float], pipeline: Pipeline, planned: BoxPlan) -> PixelBox:
    """Return the edges in px of the window of an area: left, top, right, bottom; they may lie outside of it.

    ``area`` is left, top, width and height in shares of the source, upright by its EXIF; it turns with the picture.
    """
    (left, top, width, height), _ = _turn(
        area, (1, 1), pipeline.rotate, across=pipeline.flip_horizontal, down=pipeline.flip_vertical
    )
    edges = (left, left + width), (top, top + height)
    (x, right), (y, bottom) = (
        tuple(
            round((edge * planned.source[axis] - planned.crop[axis]) * planned.scaled[axis] / planned.crop[axis + 2])
            - planned.window[axis]
            for edge in pair
        )
        for axis, pair in enumerate(edges)
    )
    return x, y, right, bottom


def watermark_size(canvas: Size, mark: Size, watermark: Watermark) -> Size:
    """Return the size of a watermark of ``mark`` px on a picture: its own, or inside of a size or a share of it."""
    if watermark.scale:
        width, height = (max(1, scale_to_even(side, watermark.scale)) for side in canvas)
    elif watermark.width or watermark.height:
        width, height = watermark.width, watermark.height
    else:
        return mark
    return plan_boxes(mark, 1, Pipeline(width=width, height=height, enlarge=True)).canvas


def tile_grid(canvas: Size, mark: Size, watermark: Watermark, dpr: float) -> tuple[Size, Size, Size]:
    """Return the size of a tile, where the mark lies in it, and where the first tile lies, for ``re`` and ``ch``.

    Tiles are centred: an odd number of them in each direction covers the picture.
    """
    space = offset_of(watermark.x, canvas[0], dpr), offset_of(watermark.y, canvas[1], dpr)
    space = max(0, space[0]), max(0, space[1])
    tile = mark[0] + space[0], mark[1] + space[1]
    counts = (math.ceil(whole / part) | 1 for whole, part in zip(canvas, tile, strict=True))
    left, top = (-((count * part - whole) // 2) for count, part, whole in zip(counts, tile, canvas, strict=True))
    return tile, (space[0] // 2, space[1] // 2), (left, top)


def _canvas(size: Size, scales: _Scales, pipeline: Pipeline) -> tuple[Size, Size]:
    """Return the size after extending and padding, and where on it the picture lies."""
    canvas, offset = size, (0, 0)
    extends = []
    if pipeline.extend.enabled:
        extends.append((scales.target, pipeline.extend.gravity))
    if pipeline.extend_aspect_ratio.enabled and all(scales.extended_ratio):
        extends.append((scales.extended_ratio, pipeline.extend_aspect_ratio.gravity))
    for (width, height), gravity in extends:
        if width <= canvas[0] and height <= canvas[1]:
            continue
        wanted = width or canvas[0], height or canvas[1]
        left, top = position(wanted, canvas, gravity, scales.dpr)
        canvas, offset = wanted, (offset[0] + left, offset[1] + top)
    left, top, right, bottom = _padding(pipeline, scales.dpr)
    return (canvas[0] + left + right, canvas[1] + top + bottom), (offset[0] + left, offset[1] + top)


def _turn(
    box: tuple[Length, Length, Length, Length], size: Size, angle: int, *, across: bool, down: bool
) -> tuple[tuple[Length, Length, Length, Length], Size]:
    """Turn a box and the picture around it clockwise, then mirror both."""
    left, top, width, height = box
    if angle % 180:
        left, top, width, height, size = size[1] - top - height, left, height, width, size[::-1]
    if across != (angle >= 180):  # half a turn is both mirrors
        left = size[0] - left - width
    if down != (angle >= 180):
        top = size[1] - top - height
    return (left, top, width, height), size


def _combined(turn: tuple[int, bool], pipeline: Pipeline) -> int:
    """Return the EXIF orientation that does all turns at once.

    A turn after mirroring is the opposite turn before it, and top to bottom is left to right after half a turn.
    """
    angle, is_mirrored = turn
    angle += -pipeline.rotate if is_mirrored else pipeline.rotate
    is_mirrored ^= pipeline.flip_horizontal
    if pipeline.flip_vertical:
        angle += 180
        is_mirrored = not is_mirrored
    return _ORIENTATIONS[angle % 360, is_mirrored]
