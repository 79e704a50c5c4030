"""Write an ICO anew with its pictures alone: no text of a PNG in it, no byte between or behind them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from s3img.errors import ImageError
from s3img.imaging.probing import check_pixels, probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.limits import Limits

_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_HEADER: Final = 40  # bytes of BITMAPINFOHEADER, the one that icons have
_DEPTHS: Final = frozenset({1, 4, 8, 16, 24, 32})


def clean_icon(data: bytes, clean_png: Callable[[bytes], bytes], limits: Limits) -> bytes:
    """Return an ICO with the pictures that its directory names, each PNG as ``clean_png`` returns it.

    Raise ``ImageError`` for one whose pictures are not whole, overlap or are of another kind, ``ImageTooLarge`` where
    they have more px than one picture may have.
    """
    count = int.from_bytes(data[4:6], "little")
    entries = [data[place : place + 16] for place in range(6, 6 + 16 * count, 16)]
    if len(entries[-1]) < 16:
        raise _damaged("ends in its directory")
    places = [struct.unpack("<LL", entry[8:]) for entry in entries]
    # Many entries can name the same bytes: a small file would become a large one, and take long.
    if sum(size for size, _ in places) > len(data) or any(start + size > len(data) for size, start in places):
        raise _damaged("names pictures that overlap or lie outside of it")
    bodies = [data[start : start + size] for size, start in places]
    pngs = [probe(body, limits=limits) for body in bodies if body.startswith(_PNG_START)]
    if pngs:
        total = sum(one.width * one.height for one in pngs)
        check_pixels(type(pngs[0])("png", total, 1), limits)
    clean = [clean_png(body) if body.startswith(_PNG_START) else _bitmap(body) for body in bodies]
    directory, position = [data[:6]], 6 + 16 * count
    for entry, body in zip(entries, clean, strict=True):
        directory.append(entry[:8] + struct.pack("<LL", len(body), position))
        position += len(body)
    return b"".join([*directory, *clean])


def _bitmap(body: bytes) -> bytes:
    """Return a bitmap without what follows its pixels and its mask; the fields that no icon needs are 0."""
    if len(body) < _HEADER or int.from_bytes(body[:4], "little") != _HEADER:
        raise _damaged("holds a picture that is neither a PNG nor a bitmap")
    width, height, planes, depth, compression = struct.unpack_from("<llHHL", body, 4)
    (colors,) = struct.unpack_from("<L", body, 32)
    rows = height // 2  # pixels, then as many rows of the mask
    if depth not in _DEPTHS or compression or not 0 < width <= 0xFFFF or not 0 < rows <= 0xFFFF or colors > 1 << depth:
        raise _damaged("holds a bitmap of a kind that icons do not have")
    palette = 4 * (colors or (1 << depth if depth <= 8 else 0))
    pixels = _HEADER + palette + (width * depth + 31) // 32 * 4 * rows
    end = pixels + (width + 31) // 32 * 4 * rows
    if depth == 32 and len(body) < end:  # such a bitmap has its own alpha, and encoders leave the mask out
        end = pixels
    if len(body) < end:
        raise _damaged("ends inside a picture")
    return struct.pack("<LllHHLLllLL", _HEADER, width, height, planes, depth, 0, 0, 0, 0, colors, 0) + body[_HEADER:end]


def _damaged(how: str) -> ImageError:
    return ImageError(f"The ICO {how}.", fix="Export it again, or send a PNG.")
