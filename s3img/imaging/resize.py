"""The resize seam: Lanczos over an exact box, by cykooz.resizer where it works and by Pillow where it does not.

cykooz.resizer (Rust, SIMD, releases the GIL) is about six times as fast. It reads Pillow's memory through private
names, so a self-test against Pillow at its first use decides whether it is trusted.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Final, Protocol, TypeAlias

from PIL import Image, ImageChops

Box: TypeAlias = tuple[float, float, float, float]

_MODES: Final = ("RGB", "RGBA", "L", "CMYK")
_TOLERANCE: Final = 3  # of 255: rounding differs, geometry and premultiplication must not


class _Resizer(Protocol):
    def __call__(self, image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image: ...


def resize(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Scale the part ``box`` (left, top, right, bottom, fractions of a px allowed) of ``image`` to ``size``.

    ``image`` is L, LA, RGB, RGBA or CMYK; colours are weighted by alpha, so that transparent px leave no fringe.
    """
    box = box or (0.0, 0.0, float(image.width), float(image.height))
    if image.size == size and box == (0, 0, *size):
        return image
    fast = _fast() if image.mode in _MODES else None
    return (fast or _pillow)(image, size, box)


def backend() -> str:
    """Return which resizer is in use: ``cykooz`` or ``pillow``."""
    return "cykooz" if _fast() else "pillow"


def _pillow(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)


@cache
def _fast() -> _Resizer | None:
    """Return cykooz.resizer's resize if it is installed and agrees with Pillow, else None."""
    try:
        candidate = _cykooz()
        agrees = all(_agrees(candidate, mode) for mode in _MODES)
    except Exception:
        return None
    return candidate if agrees else None


def _cykooz() -> _Resizer:
    """Return the resizer of cykooz.resizer; each thread has an instance of its own."""
    from cykooz_resizer import CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer

    algorithm = ResizeAlg.convolution(FilterType.lanczos3)
    local = threading.local()

    def run(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
        if not hasattr(local, "resizer"):
            local.resizer = Resizer()
        result = Image.new(image.mode, size, None)  # every px is about to be written
        crop = CropBox(box[0], box[1], box[2] - box[0], box[3] - box[1])
        local.resizer.resize_pil(image, result, ResizeOptions(algorithm, crop_box=crop))
        return result

    return run


def _agrees(candidate: _Resizer, mode: str) -> bool:
    """Compare a candidate with Pillow on a small picture of strong edges."""
    ramp = Image.linear_gradient("L").resize((64, 48))
    bands = (ramp, ramp.transpose(Image.Transpose.ROTATE_180), Image.radial_gradient("L").resize((64, 48)), ramp)
    picture = Image.merge(mode, bands[: len(mode)])
    box = (3.25, 2.5, 60.0, 41.75)
    result, expected = candidate(picture, (23, 17), box), picture.resize((23, 17), Image.Resampling.LANCZOS, box=box)
    difference = ImageChops.difference(_visible(result), _visible(expected)).getextrema()
    extrema = difference if isinstance(difference[0], tuple) else (difference,)
    return all(high <= _TOLERANCE for _, high in extrema)


def _visible(image: Image.Image) -> Image.Image:
    """Return what can be compared: colour under low alpha carries no meaning."""
    return image.convert("RGBa") if image.mode == "RGBA" else image
