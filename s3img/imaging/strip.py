"""Take the metadata out of encoded images without touching a pixel: EXIF with its GPS, XMP, comments, thumbnails.

What decides how pixels look stays: ICC profiles, gamma, transparency, timing. Everything that is not known to be
needed goes, and whatever follows the end of the image.
"""

from __future__ import annotations

import re
import struct
from io import BytesIO
from typing import TYPE_CHECKING, Final

from s3img.imaging.probing import gif
from s3img.imaging.probing.bmff import describing_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SCAN_END: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # a marker that is neither stuffing nor a restart
_SOS, _EOI, _COM = 0xDA, 0xD9, 0xFE
_JPEG_APPS: Final = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_PNG_KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP mDCV cLLI sBIT bKGD pHYs acTL fcTL fdAT".split()
)
_WEBP_KEPT: Final = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"ANIM", b"ANMF"})
_WEBP_METADATA: Final = 0x0C  # the EXIF and XMP flags of VP8X
_GIF_LOOPS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def stripped(data: bytes, name: str) -> bytes | None:
    """Return the image of the format ``name`` without metadata, None where that can't be done.

    ``data`` is one that decodes; the result decodes to the same pixels.
    """
    try:
        return _STRIPPERS[name](data) if name in _STRIPPERS else None
    except (struct.error, IndexError):
        return None


def _jpeg(data: bytes) -> bytes | None:
    """Keep tables, frames, scans, and the application segments that decide about colour (ITU-T T.81, B.1)."""
    kept, position = [data[:2]], 2
    while True:
        while data[position + 1] == 0xFF:
            position += 1
        marker = data[position + 1]
        if data[position] != 0xFF:
            return None
        if marker == _EOI:
            return b"".join([*kept, b"\xff\xd9"])
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if _jpeg_keeps(marker, data[position + 4 : end]):
            kept.append(data[position:end])
        if marker == _SOS:
            following = _SCAN_END.search(data, end)
            if following is None:
                return None
            kept.append(data[end : following.start()])
            end = following.start()
        position = end


def _jpeg_keeps(marker: int, payload: bytes) -> bool:
    if 0xE0 <= marker <= 0xEF:
        return marker in _JPEG_APPS and payload.startswith(_JPEG_APPS[marker])
    return marker != _COM


def _png(data: bytes) -> bytes:
    """Keep the chunks that decide about pixels (PNG third edition, 11)."""
    kept, position, kind = [data[:8]], 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">L4s", data, position)
        end = position + 12 + length
        if kind in _PNG_KEPT:
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def _webp(data: bytes) -> bytes:
    """Keep pictures, animation and profile, and clear the flags of the rest (RFC 9649, 2.7)."""
    body = b"".join(_webp_chunks(data))
    return struct.pack("<4sL4s", b"RIFF", len(body) + 4, b"WEBP") + body


def _webp_chunks(data: bytes) -> Iterator[bytes]:
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sL", data, position)
        end = position + 8 + length + (length & 1)
        chunk = data[position:end]
        if kind == b"VP8X":
            yield chunk[:8] + bytes([chunk[8] & ~_WEBP_METADATA]) + chunk[9:]
        elif kind in _WEBP_KEPT:
            yield chunk
        position = end


def _gif(data: bytes) -> bytes:
    """Keep pictures, their timing, and how often they play."""
    kept = [data[block.start : block.end] for block in gif.blocks(data) if _gif_keeps(data, block)]
    return b"".join([data[: gif.first_block(data)], *kept, b";"])


def _gif_keeps(data: bytes, block: gif.Block) -> bool:
    if block.label == gif.APPLICATION:
        return data.startswith(_GIF_LOOPS, block.start + 3)
    return block.kind == gif.IMAGE or block.label == gif.GRAPHIC_CONTROL


def _avif(data: bytes) -> bytes | None:
    """Return an AVIF that has no metadata: taking an item out would mean to rewrite all offsets."""
    described = b"".join(describing_boxes(BytesIO(data)).values())
    return None if b"Exif" in described or b"mime" in described or b"uuid" in data else data


_STRIPPERS: Final[dict[str, Callable[[bytes], bytes | None]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "gif": _gif,
    "avif": _avif,
}
