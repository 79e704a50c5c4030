"""Read a GIF's blocks: for its size, frames and transparency, and to leave some of them out (GIF89a, 18 to 26)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.errors import ImageError
from s3img.imaging.probing.headers import info

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from s3img.imaging.image_info import ImageInfo

EXTENSION: Final = 0x21
IMAGE: Final = 0x2C
GRAPHIC_CONTROL: Final = 0xF9
APPLICATION: Final = 0xFF
_HEADER: Final = 13
_FIXED: Final = {EXTENSION: 2, IMAGE: 10}
"""Bytes of each kind of block before its sub-blocks; those of a picture are followed by its colour table."""


class Block(msgspec.Struct, frozen=True):
    """Locate one block in the file: its kind, the label of an extension (0 of a picture), first byte and end."""

    kind: int
    label: int
    start: int
    end: int


def gif(fp: BinaryIO) -> ImageInfo:
    """Return what the blocks say.

    The first frame makes the screen larger where it leaves it, and later ones are cut off, as browsers do; a decoder's
    canvas grows with all of them.
    """
    fp.seek(0)
    data = fp.read()
    if len(data) < _HEADER:
        raise ImageError("The file ends inside the GIF header: it is truncated.")
    width, height = struct.unpack_from("<HH", data, 6)
    frames, alpha, canvas = 0, False, (width, height)
    for block in blocks(data):
        if block.kind == IMAGE:
            x, y, w, h = struct.unpack_from("<4H", data, block.start + 1)
            canvas, frames = (max(canvas[0], x + w), max(canvas[1], y + h)), frames + 1
            if frames == 1:
                alpha |= (x, y, w, h) != (0, 0, *canvas)  # what no frame covers is transparent
                width, height = canvas
        elif block.label == GRAPHIC_CONTROL:
            alpha |= block.end - block.start > 3 and bool(data[block.start + 3] & 1)
    if not frames:
        raise ImageError("The GIF holds no picture.")
    found = info("gif", (width, height), frames=frames, alpha=alpha)
    return found if canvas == (width, height) else msgspec.structs.replace(found, canvas=canvas)


def first_block(data: bytes) -> int:
    """Return where the blocks begin, behind the header and the global colour table."""
    return _HEADER + table_bytes(data[10])


def blocks(data: bytes) -> Iterator[Block]:
    """Yield each block up to the trailer; in a file cut short the last one ends where the file does."""
    position = first_block(data)
    # A block may be as short as its kind allows: the last one of a whole file is followed by one byte, the trailer.
    while position < len(data) and position + _FIXED.get(data[position], len(data)) <= len(data):
        kind = data[position]
        label = data[position + 1] if kind == EXTENSION else 0
        end = position + _FIXED[kind]
        if kind == IMAGE:
            end += table_bytes(data[end - 1]) + 1  # and the size of the codes
        while end < len(data) and data[end]:
            end += data[end] + 1
        end = min(end + 1, len(data))
        yield Block(kind, label, position, end)
        position = end


def table_bytes(flags: int) -> int:
    """Return the length of the colour table that a flag byte announces."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
