"""Read size, frames, alpha and orientation of an AVIF from its boxes (ISO/IEC 14496-12, 23008-12; AVIF 1.1)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.errors import ImageError, UnsupportedImage
from s3img.imaging.probing.headers import info

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from s3img.imaging.image_info import ImageInfo

_MAX_BOX: Final = 4 << 20  # meta and moov hold no pixels; larger ones are hostile
_ALPHA: Final = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
# EXIF orientation of (quarter turns counter-clockwise, mirror axis: None, 0 = top and bottom, 1 = left and right)
_ORIENTATIONS: Final = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


def avif(fp: BinaryIO) -> ImageInfo:
    """Return what the boxes say: of the primary item, or of the picture track where the major brand is ``avis``."""
    boxes = describing_boxes(fp)
    brands = boxes.get(b"ftyp", b"")
    if not {b"avif", b"avis"} & {brands[i : i + 4] for i in range(0, len(brands), 4)}:
        name = brands[:4].decode("latin-1")
        raise UnsupportedImage(f"This is a file of the {name!r} kind.", fix="Convert it to JPEG, PNG, WebP or AVIF.")
    if brands[:4] == b"avis" and b"moov" in boxes:
        return _sequence(boxes[b"moov"])
    if b"meta" not in boxes:
        raise ImageError("The AVIF has no description of its picture.")
    return _still(boxes[b"meta"][4:])


def describing_boxes(fp: BinaryIO) -> dict[bytes, bytes]:
    """Return the bodies of the boxes that describe the file, stepping over the pixels."""
    found: dict[bytes, bytes] = {}
    position = 0
    while True:
        fp.seek(position)
        header = fp.read(16)
        if len(header) < 8:
            return found
        size, kind, start = _box_header(header)
        if kind in {b"ftyp", b"meta", b"moov"}:
            fp.seek(position + start)
            found[kind] = fp.read(min(size - start, _MAX_BOX) if size else _MAX_BOX)
        if size < start:  # 0: up to the end of the file; anything else is nonsense
            return found
        position += size


def _box_header(header: bytes) -> tuple[int, bytes, int]:
    """Return size, type and the offset of the body of the box that begins with ``header``."""
    size, kind = struct.unpack_from(">L4s", header)
    if size == 1 and len(header) >= 16:
        return int.from_bytes(header[8:16]), kind, 16
    return size, kind, 8


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and body of each box in ``data``."""
    position = 0
    while position + 8 <= len(data):
        size, kind, start = _box_header(data[position : position + 16])
        end = position + size if size else len(data)
        if end < position + start:
            return
        yield kind, data[position + start : end]
        position = end


def _still(meta: bytes) -> ImageInfo:
    """Describe the primary item by the properties associated with it."""
    boxes = dict(_boxes(meta))
    properties = dict(_boxes(boxes.get(b"iprp", b"")))
    listed = list(_boxes(properties.get(b"ipco", b"")))
    primary = _Item(_primary(boxes.get(b"pitm", b"")))
    for index in _associations(properties.get(b"ipma", b""), primary.number):
        if 0 < index <= len(listed):
            primary.add(*listed[index - 1])
    alpha = any(kind == b"auxC" and _ALPHA in body for kind, body in listed)
    return info("avif", primary.size, alpha=alpha, orientation=_ORIENTATIONS[primary.turns, primary.axis])


class _Item(msgspec.Struct):
    number: int
    size: tuple[int, int] = (0, 0)
    turns: int = 0
    axis: int | None = None

    def add(self, kind: bytes, body: bytes) -> None:
        """Take one property in."""
        if kind == b"ispe" and len(body) >= 12:
            self.size = struct.unpack_from(">LL", body, 4)
        elif kind == b"irot" and body:
            self.turns = body[0] & 3
        elif kind == b"imir" and body:
            self.axis = body[0] & 1


def _primary(pitm: bytes) -> int:
    """Return the number of the primary item."""
    return int.from_bytes(pitm[4:8] if pitm[:1] == b"\1" else pitm[4:6])


def _associations(ipma: bytes, item: int) -> Iterator[int]:
    """Yield the 1-based indices of the properties of ``item``."""
    if len(ipma) < 8:
        return
    wide_item, wide_index = 4 if ipma[0] else 2, 2 if ipma[3] & 1 else 1
    position = 8
    for _ in range(int.from_bytes(ipma[4:8])):
        if position + wide_item >= len(ipma):
            return
        number = int.from_bytes(ipma[position : position + wide_item])
        start = position + wide_item + 1
        position = start + ipma[start - 1] * wide_index
        if number == item:
            mask = (1 << 8 * wide_index - 1) - 1  # the top bit says "essential"
            yield from (int.from_bytes(ipma[i : i + wide_index]) & mask for i in range(start, position, wide_index))


def _sequence(moov: bytes) -> ImageInfo:
    """Describe an image sequence by its first picture track; an auxiliary track is its alpha."""
    tracks = [_Track.read(body) for kind, body in _boxes(moov) if kind == b"trak"]
    pictures = [track for track in tracks if track.handler == b"pict"]
    if not pictures:
        raise ImageError("The AVIF sequence has no picture track.")
    first = pictures[0]
    alpha = any(track.handler == b"auxv" for track in tracks)
    return info("avif", first.size, frames=max(1, first.samples), alpha=alpha, orientation=first.orientation)


class _Track(msgspec.Struct, frozen=True):
    handler: bytes
    size: tuple[int, int]
    samples: int
    orientation: int

    @classmethod
    def read(cls, trak: bytes) -> _Track:
        """Read handler, size of the coded pictures and number of samples."""
        media = dict(_boxes(dict(_boxes(trak)).get(b"mdia", b"")))
        table = dict(_boxes(dict(_boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
        entry = table.get(b"stsd", b"")[16:]  # version, count, then the size and type of the first sample entry
        item = _Item(0, struct.unpack_from(">HH", entry, 24) if len(entry) >= 28 else (0, 0))
        for kind, body in _boxes(entry[78:]):
            if kind in {b"irot", b"imir"}:
                item.add(kind, body)
        samples = int.from_bytes(table.get(b"stsz", b"")[8:12])
        return cls(media.get(b"hdlr", b"")[8:12], item.size, samples, _ORIENTATIONS[item.turns, item.axis])
