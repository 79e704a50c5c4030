"""PNG and GIF files written byte by byte, for what Pillow does not write: depths, colour keys, colour chunks."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png(size: tuple[int, int], depth: int, colour: int, rows: Sequence[bytes], extra: bytes = b"") -> bytes:
    """Return a PNG of ``rows`` without filters; ``extra`` are chunks between IHDR and IDAT."""
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", *size, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + extra + body + chunk(b"IEND", b"")


def packed(values: Sequence[int], depth: int) -> bytes:
    """Return one row of grey values in ``depth`` bits each."""
    if depth == 16:
        return struct.pack(f">{len(values)}H", *values)
    bits = "".join(format(value, f"0{depth}b") for value in values)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def gamma(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">L", value))


def chromaticities(*values: int) -> bytes:
    return chunk(b"cHRM", struct.pack(">8L", *values))


SRGB = chromaticities(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3 = chromaticities(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def gif(screen: int, *frames: tuple[Image.Image, int, int]) -> bytes:
    """Return a GIF with a square screen, of frames (a P picture, left, top) that may reach beyond it."""
    out = b""
    for picture, left, top in frames:
        buffer = io.BytesIO()
        picture.save(buffer, "GIF")
        data = buffer.getvalue()
        bits = data[10] & 7
        at = 13 + (6 << bits)
        colours = data[13:at]
        while data[at] == 0x21:
            at += 2
            while data[at]:
                at += data[at] + 1
            at += 1
        place = struct.pack("<HH", left, top)
        out += b"\x21\xf9\x04\x04\x28\0\0\0" * (len(frames) > 1)
        out += b"\x2c" + place + data[at + 5 : at + 9] + bytes([0x80 | bits]) + colours + data[at + 10 : -1]
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0" * (len(frames) > 1)
    return b"GIF89a" + struct.pack("<HH", screen, screen) + b"\0\0\0" + loop + out + b";"
