"""Decode PNG from the rows that the package s3img-native reads, scaled down band by band.

Pillow keeps every px of a PNG before one can be scaled, and takes twice as long for the rows. Here, s3img-native
(Rust, the crate ``png``) inflates and unfilters rows, and Pillow unpacks them as it does those that it reads itself, so
the pixels are the same. Where the package is not installed, or disagrees with Pillow, Pillow decodes.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from PIL import Image, PngImagePlugin

from s3img.imaging.resize import REDUCING_GAP

if TYPE_CHECKING:
    from collections.abc import Callable

Size: TypeAlias = tuple[int, int]

_MODES: Final = ("1", "L", "P", "LA", "RGB", "RGBA", "I;16")
_BAND: Final = 1 << 18  # bytes of rows at a time: they stay in the processor's cache
_CHUNKS: Final = 1 << 26  # bytes that one chunk beside the pixels may take


class PngRows(Protocol):
    """The rows of a picture as they are stored, from top to bottom; ``stride`` are the bytes of one."""

    size: Size
    stride: int

    def read(self, count: int) -> bytes:
        """Return the next rows, fewer at the end; raise ValueError for damaged data."""


def decode_rows(
    data: bytes, image: PngImagePlugin.PngImageFile, wanted: Size, resizable: Callable[[Image.Image], Image.Image]
) -> tuple[Image.Image, tuple[float, float]] | None:
    """Return what ``resizable`` makes of a picture that Pillow has opened, and its extent in px of the result.

    It is reduced by whole numbers, to twice what is ``wanted`` at least: Pillow's own `Image.reduce` of the whole
    picture has the same pixels. None where Pillow has to decode, such as damaged files, which it shows or refuses.
    """
    reader = row_reader()
    if reader is None or not image.tile or (image.mode == "P" and image.palette is None):
        return None
    if exif_follows(data, image.tile[0].offset):  # Pillow takes it only when it has read the pixels
        return None
    width, height = image.size
    across = max(1, width // (REDUCING_GAP * wanted[0]))
    down = max(1, height // (REDUCING_GAP * wanted[1]))
    try:
        rows = reader(data, _CHUNKS + 8 * width * height)
        if rows.size != image.size:
            return None
        picture = _joined(rows, image, (across, down), resizable)
    except ValueError:
        return None
    return picture, (width / across, height / down)


def exif_follows(data: bytes, pixels: int) -> bool:
    """Tell whether there is EXIF behind the first bytes of ``pixels``."""
    at = pixels - 8 if data.find(b"eXIf", pixels) >= 0 else len(data)  # most often there are no such bytes at all
    while at < len(data):
        if data[at + 4 : at + 8] == b"eXIf":
            return True
        at += 12 + int.from_bytes(data[at : at + 4])
    return False


def _joined(
    rows: PngRows, image: PngImagePlugin.PngImageFile, factors: Size, resizable: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Return the picture of bands whose heights are multiples of the factor: each is reduced as in the whole."""
    width, down = image.size[0], factors[1]
    count = max(1, _BAND // (rows.stride * down)) * down
    result, top = Image.new("L", (1, 1)), 0
    while data := rows.read(count):
        size = width, len(data) // rows.stride
        band = Image.frombytes(image.mode, size, data, "raw", image.tile[0].args)
        if image.palette:
            band.palette = image.palette.copy()
        band.info = {key: image.info[key] for key in ("transparency",) if key in image.info}
        piece = resizable(band)
        if factors != (1, 1):
            piece = piece.reduce(factors)
        if not top:
            result = Image.new(piece.mode, (-(-width // factors[0]), -(-image.size[1] // down)), None)
        result.paste(piece, (0, top))
        top += piece.height
    return result


@cache
def row_reader() -> Callable[[bytes, int], PngRows] | None:
    """Return s3img-native's reader of rows if it is installed and agrees with Pillow, else None."""
    try:
        import s3img_native

        reader: Callable[[bytes, int], PngRows] = s3img_native.PngRows
        agrees = all(agrees_with_pillow(reader, mode) for mode in _MODES)
    except Exception:
        return None
    return reader if agrees else None


def agrees_with_pillow(reader: Callable[[bytes, int], PngRows], mode: str) -> bool:
    """Compare a reader with Pillow on a small picture; its rows are filtered in all ways."""
    ramp = Image.linear_gradient("L").resize((67, 48))
    picture = Image.merge("RGBA", (ramp, ramp.rotate(180), Image.radial_gradient("L").resize((67, 48)), ramp))
    file = BytesIO()
    (picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)).save(file, "PNG")
    file.seek(0)
    with PngImagePlugin.PngImageFile(file) as image:
        joined = _joined(reader(file.getvalue(), _CHUNKS), image, (1, 1), lambda band: band)
        return joined.tobytes() == image.tobytes()
