"""ThumbHash: a picture of a few px in some 25 bytes (Evan Wallace's format, https://evanw.github.io/thumbhash/)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class _Channel:
    """Hold a channel's cosine coefficients: the mean, and the others scaled to 0 to 1."""

    mean: float
    others: list[float]
    scale: float


def thumbhash(width: int, height: int, rgba: Sequence[int]) -> bytes:
    """Return the hash of a small picture (at most 100 px a side): 4 bytes a px, alpha not multiplied in."""
    pixels = [tuple(part / 255 for part in rgba[i : i + 4]) for i in range(0, len(rgba), 4)]
    covered = sum(alpha for *_, alpha in pixels)
    has_alpha = covered < width * height
    mean = [sum(px[band] * px[3] for px in pixels) / covered if covered else 0.0 for band in range(3)]
    mixed = [[mean[band] * (1 - px[3]) + px[band] * px[3] for px in pixels] for band in range(3)]
    bands = list(zip(*mixed, strict=True))
    size = width, height
    across, down = _luminance_terms(size, 5 if has_alpha else 7)
    light = _encode([(r + g + b) / 3 for r, g, b in bands], size, max(3, across), max(3, down))
    yellow = _encode([(r + g) / 2 - b for r, g, b in bands], size, 3, 3)
    red = _encode([r - g for r, g, _ in bands], size, 3, 3)
    alpha = [_encode([px[3] for px in pixels], size, 5, 5)] if has_alpha else []
    is_wide = width > height
    header = _round(63 * light.mean) | _round(31.5 + 31.5 * yellow.mean) << 6 | _round(31.5 + 31.5 * red.mean) << 12
    header |= _round(31 * light.scale) << 18 | has_alpha << 23
    second = (
        (down if is_wide else across) | _round(63 * yellow.scale) << 3 | _round(63 * red.scale) << 9 | is_wide << 15
    )
    head = header.to_bytes(3, "little") + second.to_bytes(2, "little")
    head += b"".join(bytes([_round(15 * one.mean) | _round(15 * one.scale) << 4]) for one in alpha)
    return head + _nibbles(value for channel in (light, yellow, red, *alpha) for value in channel.others)


def _luminance_terms(size: tuple[int, int], limit: int) -> tuple[int, int]:
    longest = max(size)
    return max(1, _round(limit * size[0] / longest)), max(1, _round(limit * size[1] / longest))


def _encode(channel: list[float], size: tuple[int, int], across: int, down: int) -> _Channel:
    """Return the lowest terms of a cosine transform, a triangle of ``across`` by ``down``."""
    width, height = size
    rows = [channel[y * width : (y + 1) * width] for y in range(height)]
    sums = [[_dot(row, cosines) for row in rows] for cosines in (_cosines(width, cx) for cx in range(across))]
    mean, *others = (
        _dot(sums[cx], _cosines(height, cy)) / (width * height)
        for cy in range(down)
        for cx in range(across)
        if cx * down < across * (down - cy)
    )
    scale = max(map(abs, others), default=0.0)
    return _Channel(mean, [0.5 + 0.5 / scale * term for term in others] if scale else others, scale)


def _cosines(length: int, frequency: int) -> list[float]:
    return [math.cos(math.pi / length * frequency * (x + 0.5)) for x in range(length)]


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _nibbles(values: Iterator[float]) -> bytes:
    halves = [_round(15 * value) for value in values]
    halves += [0] * (len(halves) % 2)
    return bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=True))


def _round(value: float) -> int:
    """Round as JavaScript does, halves up."""
    return math.floor(value + 0.5)
