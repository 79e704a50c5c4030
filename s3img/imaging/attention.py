"""Where a picture draws attention: the window that ``fo-auto`` keeps.

Each px of a small copy counts for its edges, for colours of skin and for saturation, the last two more where there are
edges: the measure and weights of smartcrop.js (MIT), because they are tried and need neither a model nor training.
The same picture always gives the same place: sums are exact, and ties go to the window nearest to the centre.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from math import sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL import Image

    from s3img.transform.geometry import Point

SIDE: Final = 64
"""Longest side in px of the copy that is looked at: a face of an eighth of the picture still has 8 px."""

_SKIN: Final = (0.78, 0.57, 0.44)  # as a direction in RGB, so that it holds for every brightness
_SKIN_LEAST: Final = 0.8
_UNIT: Final = 1_000_000  # scores are whole numbers, so that sums do not depend on their order


def thumbnail_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the copy to look at, for a picture of ``size`` px."""
    longest = max(size)
    return max(1, round(size[0] * SIDE / longest)), max(1, round(size[1] * SIDE / longest))


def attention_point(picture: Image.Image, window: tuple[float, float]) -> Point:
    """Return the centre of the best window, as shares of the picture's width and height.

    ``picture`` has a longest side of about ``SIDE`` px; ``window`` is the window's width and height as shares of it.
    """
    width, height = picture.size
    across = min(width, max(1, round(window[0] * width)))
    down = min(height, max(1, round(window[1] * height)))
    sums = _prefix_sums(picture)

    def total(left: int, top: int, right: int, bottom: int) -> int:
        return sums[bottom][right] - sums[top][right] - sums[bottom][left] + sums[top][left]

    def score(place: tuple[int, int]) -> tuple[int, int]:
        left, top = place
        outer = total(left, top, left + across, top + down)
        # What lies in the middle half counts twice, or a window that only touches the subject would do as well.
        inner = total(left + across // 4, top + down // 4, left + across - across // 4, top + down - down // 4)
        off_centre = abs(2 * left + across - width) + abs(2 * top + down - height)
        return outer + inner, -off_centre

    places = ((left, top) for top in range(height - down + 1) for left in range(width - across + 1))
    left, top = max(places, key=score)
    return Fraction(2 * left + across, 2 * width), Fraction(2 * top + down, 2 * height)


def _prefix_sums(picture: Image.Image) -> list[list[int]]:
    """Return the sums of scores above and left of each corner of px, for sums of any window in four steps."""
    width, height = picture.size
    colours = picture.convert("RGBA").tobytes()
    light = picture.convert("L").tobytes()
    sums = [[0] * (width + 1)]
    for y in range(height):
        row = [0]
        for x in range(width):
            at = y * width + x
            # The outermost px have no neighbours on one side: their edges are those of the frame, not of the picture.
            is_inner = 0 < x < width - 1 and 0 < y < height - 1
            beside = light[at - 1] + light[at + 1] + light[at - width] + light[at + width] if is_inner else 0
            detail = min(255, abs(4 * light[at] - beside)) / 255 if is_inner else 0.0
            row.append(_score(detail, *colours[4 * at : 4 * at + 4]))
        sums.append([above + so_far for above, so_far in zip(sums[-1], accumulate(row), strict=True)])
    return sums


def _score(detail: float, red: int, green: int, blue: int, alpha: int) -> int:
    high, low, length = max(red, green, blue), min(red, green, blue), sqrt(red * red + green * green + blue * blue)
    skin = saturation = 0.0
    if high > 51:  # nothing is told from the hue of the dark
        distance = sqrt(sum((part / length - like) ** 2 for part, like in zip((red, green, blue), _SKIN, strict=True)))
        skin = max(0.0, 1 - distance - _SKIN_LEAST) / (1 - _SKIN_LEAST)
    lightness = (high + low) / 510
    if 0.05 <= lightness <= 0.9:
        spread = (high - low) / 255 / (1 - abs(2 * lightness - 1))
        saturation = max(0.0, spread - 0.4) / 0.6
    score = 0.2 * detail + 1.8 * skin * (detail + 0.01) + 0.1 * saturation * (detail + 0.2)
    return int(score * _UNIT) * alpha // 255
