"""Read the size of raster images from their headers: JPEG, PNG, GIF, WebP, TIFF, BMP and ICO; AVIF is in ``bmff``.

Each function takes an open binary file whose first bytes it recognises, reads what it needs and no pixels, and
raises ``ImageError`` where the header is cut short or contradicts itself. Sizes are those of the stored pixels
turned upright.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Final

from s3img.errors import ImageError
from s3img.imaging.image_info import ImageInfo, upright

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

ORIENTATION: Final = 0x0112

_MAX_ENTRIES: Final = 4096

_INTEGERS: Final = {1: "B", 3: "H", 4: "L"}  # BYTE, SHORT, LONG: the only types whose value matters here


def first_directory(fp: BinaryIO, start: int = 0) -> Mapping[int, int]:
    """Return tag -> first integer value of the directory that the TIFF header at ``start`` points to."""
    fp.seek(start)
    header = fp.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(header[:4])
    if order is None or len(header) < 8:
        return {}
    fp.seek(start + struct.unpack(order + "L", header[4:])[0])
    count = int.from_bytes(fp.read(2), "little" if order == "<" else "big")
    entries = fp.read(12 * min(count, _MAX_ENTRIES))
    return dict(_entry(entries[i : i + 12], order) for i in range(0, len(entries) - 11, 12))


def _entry(entry: bytes, order: str) -> tuple[int, int]:
    """Return tag and value of one entry; a value that is no inline integer counts as 0."""
    tag, kind, count = struct.unpack_from(order + "HHL", entry)
    letter = _INTEGERS.get(kind)
    if letter is None or count * struct.calcsize(order + letter) > 4 or not count:
        return tag, 0
    return tag, struct.unpack_from(order + letter, entry, 8)[0]


def orientation_of(directory: Mapping[int, int]) -> int:
    """Return the orientation a directory states, 1 (upright) if it states none or a wrong one."""
    value = directory.get(ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


_NOT_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})  # DHT, JPG, DAC: in the range of SOFn without being one

_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})

_SOS: Final = 0xDA

_EXIF: Final = b"Exif\0\0"


def info(kind: str, size: tuple[int, int], *, frames: int = 1, alpha: bool = False, orientation: int = 1) -> ImageInfo:
    """Return an ``ImageInfo`` from the size of the stored pixels; a side of 0 px is an ``ImageError``."""
    if min(size) < 1:
        raise ImageError(f"The {kind.upper()} header states a size of {size[0]}x{size[1]} px.")
    return ImageInfo(kind, *upright(size, orientation), frames=frames, alpha=alpha, orientation=orientation)


def take(fp: BinaryIO, count: int, what: str) -> bytes:
    """Read exactly ``count`` bytes or raise ``ImageError``."""
    data = fp.read(count)
    if len(data) < count:
        raise ImageError(f"The file ends inside the {what}: it is truncated.")
    return data


def jpeg(fp: BinaryIO) -> ImageInfo:
    """Read the SOFn segment and the EXIF orientation (ITU-T T.81, B.1.1; EXIF 2.32, 4.7.2)."""
    fp.seek(2)
    size, orientation = None, 0
    while (marker := _jpeg_marker(fp)) != _SOS:
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(take(fp, 2, "JPEG header")) - 2
        segment = fp.tell()
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES:
            height, width = struct.unpack(">xHH", take(fp, 5, "JPEG header"))
            size = width, height
        elif marker == 0xE1 and not orientation:
            orientation = _exif(fp.read(max(length, 0)))
        fp.seek(segment + max(length, 0))
    if size is None:
        raise ImageError("The JPEG has no frame header.")
    return info("jpeg", size, orientation=orientation or 1)


def _jpeg_marker(fp: BinaryIO) -> int:
    """Return the code of the next marker, past its fill bytes."""
    byte = take(fp, 1, "JPEG header")[0]
    if byte != 0xFF:
        raise ImageError("The JPEG header is corrupt: a marker is missing.")
    while byte == 0xFF:
        byte = take(fp, 1, "JPEG header")[0]
    return byte


def _exif(data: bytes) -> int:
    """Return the orientation that an EXIF payload states, 0 if it is no EXIF."""
    start = len(_EXIF) if data.startswith(_EXIF) else 0
    directory = first_directory(BytesIO(data), start)
    return orientation_of(directory) if directory else 0


def png(fp: BinaryIO) -> ImageInfo:
    """Read IHDR and the chunks before the pixels: tRNS, acTL, eXIf (PNG third edition, 5.3 and 11)."""
    fp.seek(8)
    length, kind = struct.unpack(">L4s", take(fp, 8, "PNG header"))
    width, height, _, colour = struct.unpack(">LLBB", take(fp, 10, "PNG header"))
    if kind != b"IHDR" or length != 13:
        raise ImageError("The PNG does not begin with its header.")
    fp.seek(8 + 12 + length)
    frames, alpha, orientation = 1, bool(colour & 4), 1
    while True:
        length, kind = struct.unpack(">L4s", take(fp, 8, "PNG header"))
        body = fp.tell()
        if kind in {b"IDAT", b"IEND"}:
            return info("png", (width, height), frames=frames, alpha=alpha, orientation=orientation)
        if kind == b"tRNS":
            alpha = True
        elif kind == b"acTL":
            frames = max(1, int.from_bytes(take(fp, 4, "PNG header")))
        elif kind == b"eXIf":
            orientation = _exif(fp.read(min(length, 1 << 16))) or 1
        fp.seek(body + length + 4)


def webp(fp: BinaryIO) -> ImageInfo:
    """Read the first chunk and, in the extended format, count frames and find EXIF (RFC 9649, 2)."""
    fp.seek(12)
    kind, length = struct.unpack("<4sL", take(fp, 8, "WebP header"))
    start = fp.tell()
    head = take(fp, 10 if kind != b"VP8L" else 5, "WebP header")
    if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[6:])
        return info("webp", (width & 0x3FFF, height & 0x3FFF))
    if kind == b"VP8L" and head[0] == 0x2F:
        bits = int.from_bytes(head[1:], "little")
        return info("webp", (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)), alpha=bool(bits >> 28 & 1))
    if kind != b"VP8X":
        raise ImageError("The WebP does not begin with a picture.")
    size = _uint24(head, 4), _uint24(head, 7)
    frames, orientation, bare = _webp_chunks(fp, start + length + (length & 1), size)
    return info("webp", size, frames=max(1, frames), alpha=bool(head[0] & 0x10) or bare, orientation=orientation)


def _webp_chunks(fp: BinaryIO, position: int, size: tuple[int, int]) -> tuple[int, int, bool]:
    """Return how many frames follow ``position``, the orientation, and whether the first frame leaves px bare.

    Those are transparent, and encoders do not set the flag for transparency on their account.
    """
    frames, orientation, bare = 0, 1, False
    fp.seek(position)
    while len(header := fp.read(8)) == 8:
        kind, length = struct.unpack("<4sL", header)
        position += 8 + length + (length & 1)
        if kind == b"ANMF":
            bare = bare or (not frames and _frame_size(fp.read(12)) != size)
            frames += 1
        elif kind == b"EXIF":
            orientation = _exif(fp.read(min(length, 1 << 20))) or 1
        fp.seek(position)
    return frames, orientation, bare


def _frame_size(anmf: bytes) -> tuple[int, int]:
    return _uint24(anmf, 6), _uint24(anmf, 9)


def _uint24(data: bytes, position: int) -> int:
    """Return a side: 24 bits that hold one less."""
    return 1 + int.from_bytes(data[position : position + 3], "little")


def tiff(fp: BinaryIO) -> ImageInfo:
    """Read the first directory (TIFF 6.0): ImageWidth 256, ImageLength 257, ExtraSamples 338."""
    tags = first_directory(fp)
    size = tags.get(256, 0), tags.get(257, 0)
    return info("tiff", size, alpha=tags.get(338, 0) in {1, 2}, orientation=orientation_of(tags))


def bmp(fp: BinaryIO) -> ImageInfo:
    """Read BITMAPINFOHEADER, or OS/2's BITMAPCOREHEADER; a negative height means rows from top to bottom."""
    fp.seek(14)
    header = take(fp, 20, "BMP header")
    if header[0] == 12:
        return info("bmp", struct.unpack_from("<HH", header, 4))
    width, height, _, bits, compression = struct.unpack_from("<llHHL", header, 4)
    return info("bmp", (width, abs(height)), alpha=bits == 32 and compression == 3)


def ico(fp: BinaryIO) -> ImageInfo:
    """Read the directory and return the largest of its pictures (a side of 0 stands for 256)."""
    fp.seek(4)
    entries = fp.read(16 * int.from_bytes(take(fp, 2, "ICO header"), "little"))
    sizes = [(entries[i] or 256, entries[i + 1] or 256) for i in range(0, len(entries) - 15, 16)]
    return info("ico", max(sizes, default=(0, 0)), alpha=True)
