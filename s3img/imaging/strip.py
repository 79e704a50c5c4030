"""Write an encoded image anew with nothing but what decides how it looks; no pixel is decoded or encoded.

EXIF with its GPS, XMP, comments and thumbnails go, and so do all bytes that no decoder looks at: behind the end of the
picture, between its segments, behind the fields of a segment. What is kept is known by name *and* by length, because
a field that is longer than its specification has room for something else. Profiles, gamma, transparency and timing
stay. Each function returns None where it meets something that it does not understand: the caller then encodes anew.
"""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Final

from s3img.imaging.avif_items import stripped_avif
from s3img.imaging.probing import gif
from s3img.imaging.probing.headers import webp_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SCAN_END: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # a marker that is neither stuffing nor a restart
_SOS, _EOI, _APP0, _APP2, _APP14 = 0xDA, 0xD9, 0xE0, 0xE2, 0xEE
_JPEG_KEPT: Final = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDD} - {0xC8})  # tables, frames, scans
_ICC_MARK: Final = b"ICC_PROFILE\0"
_ICC_PART: Final = 65_519  # bytes of a profile that fit into one segment
_ADOBE_BYTES: Final = 12  # name, version, two flags and the colour transform (Adobe Technical Note 5116, 18)
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_PNG_BYTES: Final = {
    b"IHDR": {13}, b"PLTE": range(3, 769, 3), b"tRNS": range(1, 257), b"gAMA": {4}, b"cHRM": {32}, b"sRGB": {1},
    b"cICP": {4}, b"mDCV": {24}, b"cLLI": {8}, b"sBIT": range(1, 5), b"bKGD": {1, 2, 6}, b"pHYs": {9}, b"acTL": {8},
    b"fcTL": {26}, b"iCCP": range(1, 1 << 24), b"IDAT": range(1 << 31), b"fdAT": range(4, 1 << 31),
}  # fmt: skip
"""Chunks that decide about pixels, and the lengths that they may have (PNG third edition, 11)."""
_ADAM7: Final = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))
"""First column, step, first row and step of each pass of an interlaced PNG."""
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_WEBP_PICTURES: Final = frozenset({b"VP8 ", b"VP8L"})
_WEBP_FLAGS: Final = 0x32  # of VP8X: animation, alpha and profile; those of EXIF and XMP and the reserved ones go
_WEBP_ICC: Final = 0x20
_GIF_LOOPS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def stripped(data: bytes, name: str) -> bytes | None:
    """Return the image of the format ``name`` without metadata, None where that can't be done.

    ``data`` is one that decodes; the result decodes to the same pixels.
    """
    try:
        return _STRIPPERS[name](data) if name in _STRIPPERS else None
    except (struct.error, IndexError, KeyError, ValueError, StopIteration, zlib.error):
        return None


def coded_parts(clean: bytes, name: str) -> int:
    """Return how many parts with coded pixels a stripped still picture has: a WebP may have an alpha channel."""
    return 2 if name == "webp" and any(kind == b"ALPH" for kind, _ in _webp_parts(clean, 12)) else 1


def shortened(clean: bytes, name: str, count: int, *, part: int = 0) -> bytes | None:
    """Return a stripped still picture without the last ``count`` bytes of its coded pixels, None if it has fewer.

    Where a decoder shows the same picture all the same, those bytes were none of its pixels. ``part`` counts from the
    end of the file, where there are several.
    """
    if name == "jpeg":
        start = clean.rindex(b"\xff\xda")
        return clean[: -2 - count] + b"\xff\xd9" if len(clean) - start > count + 64 else None
    if name == "webp":
        chunks = list(_webp_parts(clean, 12))
        kind, body = chunks[-1 - part]
        chunks[-1 - part] = kind, body[: len(body) - count]
        return _riff(b"".join(_chunk(*one) for one in chunks)) if len(body) > count else None
    if name == "gif":
        block = next(block for block in gif.blocks(clean) if block.kind == gif.IMAGE)
        position = block.start + 11 + gif.table_bytes(clean[block.start + 9])
        codes, at = b"", position
        while clean[at]:
            codes += clean[at + 1 : at + 1 + clean[at]]
            at += clean[at] + 1
        codes = codes[: len(codes) - count] if len(codes) > count else b""
        packed = b"".join(bytes([len(part)]) + part for part in (codes[i : i + 255] for i in range(0, len(codes), 255)))
        return clean[:position] + packed + b"\0;" if codes else None
    return None


def frame_stills(clean: bytes, name: str) -> list[bytes]:
    """Return each frame of a stripped animation (WebP, GIF) as a still picture of its own: its pixels alone."""
    if name == "webp":
        frames = [body for kind, body in _webp_parts(clean, 12) if kind == b"ANMF"]
        # The flag of alpha, which is passed over where the frame has none, and the frame's own size.
        heads = [_chunk(b"VP8X", b"\x10\0\0\0" + frame[6:12]) for frame in frames]
        return [_riff(head + frame[16:]) for head, frame in zip(heads, frames, strict=True)]
    head = gif.first_block(clean)
    stills = []
    for block in gif.blocks(clean):
        if block.kind == gif.IMAGE:
            size = clean[block.start + 5 : block.start + 9]
            body = b"\x2c\0\0\0\0" + clean[block.start + 5 : block.end]
            stills.append(clean[:6] + size + clean[10:head] + body + b";")
    return stills


def with_frame_stills(clean: bytes, name: str, stills: list[bytes]) -> bytes:
    """Return a stripped animation with the pixels of other stills, which `frame_stills` gave, in its frames."""
    pictures = iter(stills)
    if name == "webp":
        parts = [
            (kind, body[:16] + next(pictures)[30:] if kind == b"ANMF" else body)
            for kind, body in _webp_parts(clean, 12)
        ]
        return _riff(b"".join(_chunk(*part) for part in parts))
    head = gif.first_block(clean)
    kept = [clean[:head]]
    for block in gif.blocks(clean):
        body = clean[block.start : block.end]
        kept.append(body[:5] + next(pictures)[head + 5 : -1] if block.kind == gif.IMAGE else body)
    return b"".join([*kept, b";"])


def canonical_profile(profile: bytes) -> bytes:
    """Return an ICC profile with zeros wherever no tag lies, "" for anything else (ICC.1:2022, 7)."""
    if len(profile) < 132 or profile[36:40] != b"acsp":
        return b""
    size, count = int.from_bytes(profile[:4]), int.from_bytes(profile[128:132])
    table_end = 132 + 12 * count
    if not table_end <= size <= len(profile):
        return b""
    clean = bytearray(size)
    clean[:table_end] = profile[:table_end]
    for _, offset, length in struct.iter_unpack(">4sLL", profile[132:table_end]):
        if not table_end <= offset <= offset + length <= size:
            return b""
        clean[offset : offset + length] = profile[offset : offset + length]
    clean[100:128] = bytes(28)  # reserved (7.2.19)
    return bytes(clean)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield marker, body and the coded pixels that follow, up to the end marker.

    A picture whose end marker is missing is whole when it decodes. Raise ``ValueError`` for a segment cut short.
    """
    position = 2
    while True:
        position = data.find(b"\xff", position)  # past stray bytes, as decoders do
        while position >= 0 and data[position + 1 : position + 2] in {b"\xff", b"\0"}:
            position = data.find(b"\xff", position + 1)
        if position < 0 or position + 1 >= len(data) or data[position + 1] == _EOI:
            return
        marker = data[position + 1]
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # stand alone, and mean nothing between segments
            position += 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if not position + 4 <= end <= len(data):
            raise ValueError(position)
        body, scan_end = data[position + 4 : end], end
        if marker == _SOS:
            following = _SCAN_END.search(data, end)
            scan_end = following.start() if following else len(data)
        yield marker, body, data[end:scan_end]
        position = scan_end


def _jpeg(data: bytes) -> bytes:
    """Keep tables, frames, scans, and the application segments that decide about colour (ITU-T T.81, B.1)."""
    kept: list[bytes] = []
    profile: dict[int, bytes] = {}
    colour: dict[int, bytes] = {}
    for marker, body, scan in _jpeg_segments(data):
        if marker == _APP2 and body.startswith(_ICC_MARK):
            profile[body[12]] = body[14:]
        elif marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 14:
            # Version, unit and density; then the width and height of a thumbnail: none.
            colour.setdefault(marker, body[:12] + b"\0\0")
        elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= _ADOBE_BYTES:
            colour.setdefault(marker, body[:_ADOBE_BYTES])
        elif marker in _JPEG_KEPT:
            kept += [struct.pack(">BBH", 0xFF, marker, len(body) + 2), body, scan]
    icc = canonical_profile(b"".join(profile[number] for number in sorted(profile)))
    parts = [icc[start : start + _ICC_PART] for start in range(0, len(icc), _ICC_PART)]
    segments = [(_APP2, _ICC_MARK + bytes([n, len(parts)]) + part) for n, part in enumerate(parts, 1)]
    # JFIF requires its segment to be the first one: APP0 sorts before all others.
    segments = sorted([*segments, *colour.items()], key=lambda segment: segment[0])
    start = [struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments]
    return b"".join([b"\xff\xd8", *start, *kept, b"\xff\xd9"])


def _png(data: bytes) -> bytes | None:
    """Keep the chunks that decide about pixels, and of the compressed ones no byte behind the pixels' end."""
    chunks: list[tuple[bytes, bytes]] = []
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">L4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if len(body) < length:
            return None
        position += 12 + length
        if kind not in _PNG_BYTES or length not in _PNG_BYTES[kind]:
            continue
        if kind == b"iCCP":
            profile = canonical_profile(_inflate(body[body.index(b"\0") + 2 :], 1 << 24) or b"")
            if profile:
                chunks.append((kind, b"icc\0\0" + zlib.compress(profile)))
        else:
            chunks.append((kind, body))
    header = chunks[0][1] if chunks and chunks[0][0] == b"IHDR" else b""
    if not header or not _holds_only_pixels(chunks, header):
        return None
    return _PNG_START + b"".join(
        struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
        for kind, body in [*chunks, (b"IEND", b"")]
    )


def _holds_only_pixels(chunks: list[tuple[bytes, bytes]], header: bytes) -> bool:
    """Tell whether each frame's data inflates to exactly its pixels, with nothing behind the compressed stream."""
    streams: list[tuple[tuple[int, int], list[bytes]]] = []
    size = struct.unpack_from(">LL", header)
    default: list[bytes] = []
    for kind, body in chunks:
        if kind == b"IDAT":
            default.append(body)
        elif kind == b"fcTL":
            streams.append((struct.unpack_from(">LL", body, 4), []))
        elif kind == b"fdAT":
            streams[-1][1].append(body[4:])
    # The first frame of an animation may be the default picture itself: then its own list is empty.
    frames = [(size, default), *((other, parts) for other, parts in streams if parts)]
    return all(_inflates_to(b"".join(parts), _png_bytes(frame, header)) for frame, parts in frames)


def _png_bytes(size: tuple[int, int], header: bytes) -> int:
    """Return how many bytes the filtered rows of a picture of ``size`` px have (PNG third edition, 7 and 9)."""
    bits = header[8] * _CHANNELS[header[9]]
    passes = _ADAM7 if header[12] else ((0, 1, 0, 1),)
    total = 0
    for left, step_x, top, step_y in passes:
        width, height = -((left - size[0]) // step_x), -((top - size[1]) // step_y)
        if width > 0 and height > 0:
            total += height * (1 + (width * bits + 7) // 8)
    return total


def _inflates_to(data: bytes, count: int) -> bool:
    inflating = zlib.decompressobj()
    found = 0
    while not inflating.eof:
        part = inflating.decompress(data, 1 << 20)  # never more in memory, whatever the data promise
        found += len(part)
        if found > count or not (part or inflating.eof):
            return False
        data = inflating.unconsumed_tail
    return found == count and not inflating.unused_data and not data


def _inflate(data: bytes, limit: int) -> bytes | None:
    inflating = zlib.decompressobj()
    found = inflating.decompress(data, limit)
    return found if inflating.eof else None


def _webp(data: bytes) -> bytes | None:
    """Keep pictures, animation and profile in the order of RFC 9649, 2.7, and the flags that fit them."""
    # What follows the RIFF is not of the picture. A file that is shorter than it states has lost its end.
    data = data[: 8 + int.from_bytes(data[4:8], "little")]
    chunks = list(_webp_parts(data, 12))
    if chunks[0][0] != b"VP8X":
        kind, body = chunks[0]
        return _riff(_chunk(kind, body)) if kind in _WEBP_PICTURES else None
    flags = chunks[0][1][0] & _WEBP_FLAGS
    profile = canonical_profile(next((body for kind, body in chunks if kind == b"ICCP"), b""))
    kept = [_chunk(b"ICCP", profile)] if profile else []
    if flags & 2:
        kept.append(_chunk(b"ANIM", next(body[:6] for kind, body in chunks if kind == b"ANIM")))
        frames = [body for kind, body in chunks if kind == b"ANMF"]
        kept += [_chunk(b"ANMF", frame[:16] + b"".join(_webp_picture(_webp_parts(frame, 16)))) for frame in frames]
    else:
        kept += _webp_picture(chunks)
    flags &= 0xFF if profile else ~_WEBP_ICC
    return _riff(_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + chunks[0][1][4:10]) + b"".join(kept))


def _webp_parts(data: bytes, position: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and body of each chunk that is whole."""
    for kind, start, length in webp_chunks(BytesIO(data), position):
        if start + length <= len(data):
            yield kind, data[start : start + length]


def _webp_picture(chunks: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Return the first picture and the alpha before it; raise ``IndexError`` where there is none."""
    alpha: list[bytes] = []
    for kind, body in chunks:
        if kind == b"ALPH" and not alpha:
            alpha = [_chunk(kind, body)]
        elif kind in _WEBP_PICTURES:
            return [*alpha, _chunk(kind, body)]
    raise IndexError


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sL", kind, len(body)) + body + bytes(len(body) & 1)


def _riff(body: bytes) -> bytes:
    return struct.pack("<4sL4s", b"RIFF", len(body) + 4, b"WEBP") + body


def _gif(data: bytes) -> bytes:
    """Keep pictures, their timing, and how often they play (GIF89a)."""
    kept = [data[: gif.first_block(data)]]
    has_loop = False
    for block in gif.blocks(data):
        body = data[block.start : block.end]
        if block.kind == gif.IMAGE:
            kept.append(body)
        elif block.label == gif.GRAPHIC_CONTROL and body[2:3] == b"\4" and len(body) >= 8:
            kept.append(body[:7] + b"\0")
        elif block.label == gif.APPLICATION and body.startswith(_GIF_LOOPS, 3) and body[14:16] == b"\3\1":
            loops = [body[:18] + b"\0"]  # the count of loops alone; the first such block counts
            kept += loops if not has_loop else []
            has_loop = True
    return b"".join([*kept, b";"])


_STRIPPERS: Final[dict[str, Callable[[bytes], bytes | None]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "gif": _gif,
    "avif": stripped_avif,
}
