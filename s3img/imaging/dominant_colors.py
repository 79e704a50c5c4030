"""Choose six colours that stand for a picture, vibrant and muted ones of three lightnesses, as Android's Palette does.

The targets and weights are those of androidx.palette (Target.java, Apache-2.0), which imgproxy's names come from.
"""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL import Image

_LIGHT, _NORMAL, _DARK = (0.55, 0.74, 1.0), (0.3, 0.5, 0.7), (0.0, 0.26, 0.45)
_VIBRANT, _MUTED = (0.35, 1.0, 1.0), (0.0, 0.3, 0.4)
_TARGETS: Final = {
    "vibrant": (_VIBRANT, _NORMAL),
    "light_vibrant": (_VIBRANT, _LIGHT),
    "dark_vibrant": (_VIBRANT, _DARK),
    "muted": (_MUTED, _NORMAL),
    "light_muted": (_MUTED, _LIGHT),
    "dark_muted": (_MUTED, _DARK),
}
"""Least, best and largest saturation, then lightness, both from 0 to 1."""
_WEIGHTS: Final = (0.24, 0.52, 0.24)  # of saturation, lightness and how common a colour is
_COLORS: Final = 64
_OPAQUE: Final = 128

Hls = tuple[float, float, float]


def dominant_colors(picture: Image.Image, *, build_missed: bool) -> dict[str, dict[str, int]]:
    """Return the colours of a small RGBA picture that there are; ``build_missed`` derives the others from them."""
    swatches = _swatches(picture)
    most = max((count for count, _ in swatches), default=1)
    found: dict[str, Hls] = {}
    for name, (saturation, lightness) in _TARGETS.items():
        fitting = [
            (_score(color, count / most, saturation[1], lightness[1]), color)
            for count, color in swatches
            if saturation[0] <= color[2] <= saturation[2] and lightness[0] <= color[1] <= lightness[2]
            if color not in found.values()
        ]
        if fitting:
            found[name] = max(fitting)[1]
    if build_missed and found:
        for name, (saturation, lightness) in _TARGETS.items():
            kin = next((one for other, one in found.items() if other.endswith(name.rpartition("_")[2])), None)
            hue, _, strength = kin or next(iter(found.values()))
            found.setdefault(name, (hue, lightness[1], strength if kin else saturation[1] * 0.5))
    return {name: _rgb(found[name]) for name in sorted(found)}


def _swatches(picture: Image.Image) -> list[tuple[int, Hls]]:
    """Return up to 64 colours of the opaque px with their numbers, as hue, lightness and saturation."""
    reduced = picture.convert("RGB").quantize(_COLORS)
    shown = picture.getchannel("A").point([255 * (level >= _OPAQUE) for level in range(256)])
    levels = reduced.getpalette("RGB") or []
    counts = reduced.histogram(shown)
    return [
        (count, colorsys.rgb_to_hls(*(level / 255 for level in levels[3 * at : 3 * at + 3])))
        for at, count in enumerate(counts[: len(levels) // 3])
        if count
    ]


def _score(color: Hls, share: float, saturation: float, lightness: float) -> float:
    parts = 1 - abs(color[2] - saturation), 1 - abs(color[1] - lightness), share
    return sum(weight * part for weight, part in zip(_WEIGHTS, parts, strict=True))


def _rgb(color: Hls) -> dict[str, int]:
    return dict(zip("RGB", (round(255 * part) for part in colorsys.hls_to_rgb(*color)), strict=True))
