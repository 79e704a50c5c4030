"""An upper bound on the bytes that bringing a picture into memory takes, from its header: nothing is decoded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from s3img.imaging.chain import Chain
from s3img.imaging.decode import OVERSAMPLING, RenderDeadline
from s3img.imaging.image_info import upright
from s3img.limits import Limits
from s3img.transform.geometry import Hints

if TYPE_CHECKING:
    from s3img.imaging.image_info import ImageInfo
    from s3img.transform import Transform

BYTES_A_PIXEL: Final = {
    "jpeg": 8,
    "png": 12,
    "gif": 8,
    "tiff": 10,
    "bmp": 8,
    "webp": 17,
    "avif": 17,
    "heic": 17,
    "jp2": 17,
}
"""Bytes for a px that is decoded, measured as the growth of a process at its peak: 4 are Pillow's, 4 a copy in another
mode (turned, with a transparency key, in sRGB), the rest is what the codec keeps of the whole picture."""

_OTHER: Final = 17
_PIXEL: Final = 4
_RESULTS: Final = 3
"""Copies of a result that may be there at a time: scaled, finished by an effect, and as its encoder wants it."""
_DRAFTS: Final = (8, 4, 2)
"""How many times smaller a JPEG can be decoded (libjpeg's scaled IDCT)."""


def decoding_bytes(
    info: ImageInfo, size: int, transform: Transform | None, *, limits: Limits | None = None, hints: Hints | None = None
) -> int:
    """Return the most bytes that a source of ``size`` bytes takes until it is drawn as ``transform`` says.

    None stands for what needs no size, such as a description. What is never rendered takes no more than itself. Raise
    what `Chain` raises for a transform that does not fit the picture.
    """
    if not info.renderable:
        return size
    whole = info.width, info.height
    wanted, result = (1, 1), (0, 0)
    if transform is not None:
        limits = limits or Limits()
        chain = Chain(transform.steps, whole, hints or Hints(), limits, RenderDeadline(limits.seconds))
        wanted = chain.decoded_size(OVERSAMPLING["request"])
        result = chain.plan(whole, 0).scaled if transform.steps and not transform.steps[0].trim else whole
    pixels = max(math.prod(whole), math.prod(info.canvas))
    if info.format == "jpeg":  # of several scans, the decoder keeps coefficients of the whole picture
        asked = upright(wanted, info.orientation)
        stored = upright(whole, info.orientation)
        draft = min(stored[0] // asked[0], stored[1] // asked[1])
        pixels //= next((scale for scale in _DRAFTS if scale <= draft), 1) ** 2
    decoding = pixels * BYTES_A_PIXEL.get(info.format, _OTHER) + info.buffered
    frames = info.frames if info.animated else 1
    return size + decoding + math.prod(result) * _PIXEL * max(frames, _RESULTS)
