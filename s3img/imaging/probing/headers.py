"""Read the size of raster images from their headers: JPEG, PNG, GIF, WebP, TIFF, BMP and ICO; AVIF is in ``bmff``.

Each function takes an open binary file whose first bytes it recognises, reads what it needs and no pixels, and
raises ``ImageError`` where the header is cut short or contradicts itself. Sizes are those of the stored pixels
turned upright.
"""

from __future__ import annotations

import re
import struct
from io import BytesIO
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.errors import ImageError, ImageTooLarge
from s3img.imaging.image_info import ImageInfo, upright

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
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
    found = {}
    for tag, kind, values, value in struct.iter_unpack(order + "HHL4s", entries[: len(entries) // 12 * 12]):
        letter = _INTEGERS.get(kind)
        # What is not an inline integer counts as 0: no offset is followed, so directories can't form a loop.
        is_inline = letter is not None and 0 < values * struct.calcsize(order + letter) <= 4
        found[tag] = struct.unpack_from(order + letter, value)[0] if letter is not None and is_inline else 0
    return found


def orientation_of(directory: Mapping[int, int]) -> int:
    """Return the orientation a directory states, 1 (upright) if it states none or a wrong one."""
    value = directory.get(ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


_NOT_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})  # DHT, JPG, DAC: in the range of SOFn without being one

_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})

_SOS: Final = 0xDA

_EXIF: Final = b"Exif\0\0"

_MAX_SEGMENTS: Final = 65_536
"""Of a JPEG, chunks of a PNG or WebP: more are an attack on the reader."""

_MAX_STRAY_BYTES: Final = 65_536

_SCAN: Final = re.compile(b"\xff\xda")
_FEWEST_SCANS, _MOST_SCANS, _MAX_SCANNED = 20, 256, 4_000_000_000
"""Scans that are always allowed, that are never exceeded, and px times scans between: about 3 s of decoding."""


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
    size, orientation, components, samples, is_progressive = None, 0, 0, 0.0, False
    strays_left = _MAX_STRAY_BYTES
    for _ in range(_MAX_SEGMENTS):
        marker, skipped = _next_marker(fp, strays_left)
        strays_left -= skipped
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(take(fp, 2, "JPEG header")) - 2
        segment = fp.tell()
        if marker == _SOS:
            break
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES:
            height, width, components = struct.unpack(">xHHB", take(fp, 6, "JPEG header"))
            size, is_progressive = (width, height), marker & 3 == 2
            samples = _samples(fp.read(3 * components))
        elif marker == 0xE1 and not orientation:
            orientation = _exif(fp.read(max(length, 0)))
        fp.seek(segment + max(length, 0))
    else:
        raise ImageError(f"The JPEG has more than {_MAX_SEGMENTS:,} segments before its picture.")
    if size is None:
        raise ImageError("The JPEG has no frame header.")
    found = info("jpeg", size, orientation=orientation or 1)
    # Decoders look for further scans only in these two cases; all other files are not read to their end.
    if is_progressive or fp.read(1) < bytes([components]):
        _check_scans(fp, size)
        # Until the last scan is read, libjpeg keeps two bytes for each coefficient, and there is one for each sample.
        return msgspec.structs.replace(found, buffered=round(2 * samples * size[0] * size[1]))
    return found


def _samples(components: bytes) -> float:
    """Return how many samples a px has by the sampling factors of a frame header: 3 for 4:4:4, 1.5 for 4:2:0."""
    factors = [(value >> 4, value & 15) for value in components[1::3]]
    most = max((x for x, _ in factors), default=0) * max((y for _, y in factors), default=0)
    return sum(x * y for x, y in factors) / most if most else float(len(factors))


def _next_marker(fp: BinaryIO, most: int) -> tuple[int, int]:
    """Return the code of the next marker, and how many fill and stray bytes stood before it: decoders skip those too.

    Raise ``ImageError`` for more than ``most`` of them.
    """
    code = 0
    for skipped in range(-1, most + 1):
        before, code = code, take(fp, 1, "JPEG header")[0]
        if before == 0xFF and code not in {0xFF, 0}:  # FF00 is a stray FF
            return code, skipped
    raise ImageError("The JPEG header is corrupt: a marker is missing.")


def _check_scans(fp: BinaryIO, size: tuple[int, int]) -> None:
    """Raise ``ImageTooLarge`` where decoding would take long by the number of scans.

    Each scan goes over the whole picture, however few bytes it has. Inside a scan FF is always followed by 00, so that
    FFDA begins one and counting it needs no parsing; one inside a later segment counts too, which is rare and harmless.
    """
    most = max(_FEWEST_SCANS, min(_MOST_SCANS, _MAX_SCANNED // (size[0] * size[1] or 1)))
    scans, last = 1, b""
    while scans <= most and (chunk := fp.read(1 << 20)):
        scans += sum(1 for _ in _SCAN.finditer(last + chunk))  # in half of the time of bytes.count
        last = b"\xff" if chunk.endswith(b"\xff") else b""
    if scans > most:
        raise ImageTooLarge(
            f"The JPEG has {scans:,} scans or more of {size[0]} x {size[1]} px; {most} are allowed for this size.",
            limit="scans",
            fix="Save it again: usual pictures have 1 to 12.",
        )


def _exif(data: bytes) -> int:
    """Return the orientation that an EXIF payload states, 0 if it is not an EXIF."""
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
    for _ in range(_MAX_SEGMENTS):
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
    raise ImageError(f"The PNG has more than {_MAX_SEGMENTS:,} chunks before its picture.")


def webp(fp: BinaryIO) -> ImageInfo:
    """Read the first chunk and, in the extended format, count frames and find EXIF (RFC 9649, 2)."""
    fp.seek(4)
    end = 8 + int.from_bytes(take(fp, 4, "WebP header"), "little")
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
    frames, orientation, bare = 0, 1, False
    for kind, body, count in webp_chunks(fp, start + length + (length & 1)):
        if body > end:  # behind the RIFF, where decoders do not look
            break
        fp.seek(body)
        if kind == b"ANMF":
            # Px that the first frame leaves bare are transparent, and encoders do not set the flag on their account.
            frame = b"" if frames else fp.read(12)
            bare = bare or (not frames and (_uint24(frame, 6), _uint24(frame, 9)) != size)
            frames += 1
        elif kind == b"EXIF":
            orientation = _exif(fp.read(min(count, 1 << 20))) or 1
    return info("webp", size, frames=max(1, frames), alpha=bool(head[0] & 0x10) or bare, orientation=orientation)


def webp_chunks(fp: BinaryIO, position: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place of the body and its length of each chunk from ``position`` on.

    A frame ends where its picture does, whatever length it states: libwebp reads on from there as well, and a reader
    that believed the length would see other frames than it.
    """
    for _ in range(_MAX_SEGMENTS):
        fp.seek(position)
        header = fp.read(8)
        if len(header) < 8:
            return
        kind, length = struct.unpack("<4sL", header)
        body = position + 8
        if kind == b"ANMF":
            end = body + 16
            fp.seek(end)
            while len(header := fp.read(8)) == 8:
                part, size = struct.unpack("<4sL", header)
                if part not in {b"ALPH", b"VP8 ", b"VP8L"}:
                    break
                end += 8 + size + (size & 1)
                if part != b"ALPH":
                    break
                fp.seek(end)
            length = end - body
        yield kind, body, length
        position = body + length + (length & 1)
    raise ImageError(f"The WebP has more than {_MAX_SEGMENTS:,} chunks.")


def _uint24(data: bytes, position: int) -> int:
    """Return a side: 24 bits that hold one less."""
    return 1 + int.from_bytes(data[position : position + 3], "little")


def tiff(fp: BinaryIO) -> ImageInfo:
    """Read the first directory (TIFF 6.0): ImageWidth 256, ImageLength 257, ExtraSamples 338.

    A scan has one BitsPerSample (258), a palette PhotometricInterpretation 3 (262).
    """
    tags = first_directory(fp)
    size = tags.get(256, 0), tags.get(257, 0)
    found = info("tiff", size, alpha=tags.get(338, 0) in {1, 2}, orientation=orientation_of(tags))
    return msgspec.structs.replace(found, few_colors=tags.get(258, 1) == 1 or tags.get(262) == 3)


def bmp(fp: BinaryIO) -> ImageInfo:
    """Read BITMAPINFOHEADER, or OS/2's BITMAPCOREHEADER; a negative height means rows from top to bottom."""
    fp.seek(14)
    header = take(fp, 20, "BMP header")
    if header[0] == 12:
        return info("bmp", struct.unpack_from("<HH", header, 4))
    width, height, _, bits, compression = struct.unpack_from("<llHHL", header, 4)
    found = info("bmp", (width, abs(height)), alpha=bits == 32 and compression == 3)
    return msgspec.structs.replace(found, few_colors=0 < bits <= 8)


def ico(fp: BinaryIO) -> ImageInfo:
    """Read the directory and return the largest of its pictures (a side of 0 stands for 256)."""
    fp.seek(4)
    entries = fp.read(16 * int.from_bytes(take(fp, 2, "ICO header"), "little"))
    sizes = [(entries[i] or 256, entries[i + 1] or 256) for i in range(0, len(entries) - 15, 16)]
    return info("ico", max(sizes, default=(0, 0)), alpha=True)
