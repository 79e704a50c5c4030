"""Read size, frames, alpha and orientation of an AVIF, HEIC or JPEG 2000 from its boxes.

ISO/IEC 14496-12, 23008-12 and 15444-1; AVIF 1.1.
"""

from __future__ import annotations

import os
import struct
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from s3img.errors import ImageError, UnsupportedImage
from s3img.imaging.probing.headers import info, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from s3img.imaging.image_info import ImageInfo

DESCRIBING: Final = frozenset({b"ftyp", b"meta", b"moov"})
_MAX_BOX: Final = 4 << 20  # these hold no pixels; larger ones are hostile
_MAX_BOXES: Final = 1_000
_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_KINDS: Final = {
    b"mif1": "a HEIF image", b"msf1": "a HEIF image sequence", b"jxl ": "a JPEG XL image", b"jp2 ": "a JPEG 2000 image",
    b"crx ": "a raw photograph of a camera", b"qt  ": "a QuickTime video", b"isom": "an MP4 video",
    b"mp41": "an MP4 video", b"mp42": "an MP4 video", b"M4V ": "an MP4 video",
}  # fmt: skip
_CONVERT: Final = "Convert it to JPEG, PNG, WebP or AVIF."
_ALPHA: Final = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
_HEVC_ALPHA: Final = b"urn:mpeg:hevc:2015:auxid:1"
# EXIF orientation of (quarter turns counter-clockwise, mirror axis: None, 0 = top and bottom, 1 = left and right)
_ORIENTATIONS: Final = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


HEIF_DECODER: Final = "pillow_heif"
"""What reads HEIC where its users have installed it; never a dependency, because its wheels bring GPL code."""


def heif(fp: BinaryIO) -> ImageInfo:
    """Return what the boxes say: of the primary item, or of the picture track where the major brand is ``avis``."""
    found: dict[bytes, bytes] = {}
    brands: list[bytes] = []
    kind = "avif"
    for box in top_boxes(fp):
        if box.body is not None:
            found[box.kind] = box.body
        if box.kind == b"ftyp" and box.body is not None:
            brands = [box.body[i : i + 4] for i in range(0, len(box.body), 4)]
            if b"avif" not in brands and b"avis" not in brands:
                if not (_HEIC.intersection(brands) and find_spec(HEIF_DECODER)):
                    message, fix = refusal(brands)
                    raise UnsupportedImage(message, fix=fix)
                kind = "heic"
    if brands[:1] == [b"avis"] and b"moov" in found:
        return _sequence(found[b"moov"])
    if b"meta" not in found:
        raise ImageError(f"The {kind.upper()} has no description of its picture.")
    boxes = dict(inner_boxes(found[b"meta"][4:]))
    properties = dict(inner_boxes(boxes.get(b"iprp", b"")))
    listed = list(inner_boxes(properties.get(b"ipco", b"")))
    primary = _PictureItem(primary_item(boxes.get(b"pitm", b"")))
    for index in associations(properties.get(b"ipma", b"")).get(primary.number, ()):
        if 0 < index <= len(listed):
            primary.add(*listed[index - 1])
    alpha = any(name == b"auxC" and (_ALPHA in body or _HEVC_ALPHA in body) for name, body in listed)
    size = primary.aperture if kind == "heic" and min(primary.aperture) > 0 else primary.size
    return info(kind, size, alpha=alpha, orientation=_ORIENTATIONS[primary.turns, primary.axis])


def refusal(brands: list[bytes]) -> tuple[str, str]:
    """Return what a file of these brands is, and what to do with it."""
    if _HEIC.intersection(brands):
        fix = f"{_CONVERT} Telephones can send JPEG instead, and with pillow-heif installed (pip) s3img reads HEIC."
        return "The file is a HEIC image, as telephones take them.", fix
    kind = _KINDS.get(brands[0] if brands else b"")
    if kind:
        return f"The file is {kind}.", _CONVERT
    name = brands[0].decode("latin-1") if brands else ""
    return f"The file is of the kind {name!r}, which s3img does not read.", _CONVERT


class TopBox(NamedTuple):
    """A box of a file: type, where it and its body begin, its end; only those that describe have a ``body``."""

    kind: bytes
    start: int
    content: int
    end: int
    body: bytes | None


def top_boxes(fp: BinaryIO) -> Iterator[TopBox]:
    """Yield each box of a file, up to the first that does not end inside it (ISO/IEC 14496-12, 4.2).

    The place that a 64-bit size names may be none that a file can have, so it is compared before it is used; what
    follows a whole picture need not be boxes. Raise ``ImageError`` where such a box describes the picture, and for
    more boxes than a picture needs.
    """
    end = fp.seek(0, os.SEEK_END)
    position = 0
    for _ in range(_MAX_BOXES):
        fp.seek(position)
        header = fp.read(16)
        if len(header) < 8:
            return
        size, kind, start = _box_header(header)
        size = size or end - position  # 0: up to the end of the file
        if size < start or position + size > end:
            if kind in DESCRIBING:
                raise ImageError(f"The box at {position} does not end inside the file: it is truncated or corrupt.")
            return
        fp.seek(position + start)
        body = fp.read(min(size - start, _MAX_BOX)) if kind in DESCRIBING else None
        yield TopBox(kind, position, position + start, position + size, body)
        position += size
    raise ImageError(f"The file has more than {_MAX_BOXES:,} boxes.")


def _box_header(header: bytes) -> tuple[int, bytes, int]:
    """Return size, type and the offset of the body of the box that begins with ``header``."""
    size, kind = struct.unpack_from(">L4s", header)
    if size == 1 and len(header) >= 16:
        return int.from_bytes(header[8:16]), kind, 16
    return size, kind, 8


def inner_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and body of each box in ``data``, up to one that makes no sense."""
    position = 0
    while position + 8 <= len(data):
        size, kind, start = _box_header(data[position : position + 16])
        end = position + size if size else len(data)
        if end < position + start:
            return
        yield kind, data[position + start : end]
        position = end


def primary_item(pitm: bytes) -> int:
    """Return the number of the primary item."""
    return int.from_bytes(pitm[4:8] if pitm[:1] == b"\1" else pitm[4:6])


def associations(ipma: bytes) -> dict[int, list[int]]:
    """Return the 1-based indices of the properties of each item."""
    found: dict[int, list[int]] = {}
    if len(ipma) < 8:
        return found
    wide_item, wide_index = 4 if ipma[0] else 2, 2 if ipma[3] & 1 else 1
    mask = (1 << 8 * wide_index - 1) - 1  # the top bit says "essential"
    position = 8
    for _ in range(int.from_bytes(ipma[4:8])):
        if position + wide_item >= len(ipma):
            break
        number = int.from_bytes(ipma[position : position + wide_item])
        start = position + wide_item + 1
        position = start + ipma[start - 1] * wide_index
        indices = (int.from_bytes(ipma[i : i + wide_index]) & mask for i in range(start, position, wide_index))
        found.setdefault(number, []).extend(indices)
    return found


class _PictureItem(msgspec.Struct):
    number: int
    size: tuple[int, int] = (0, 0)
    aperture: tuple[int, int] = (0, 0)  # what is shown of HEVC's blocks; decoders of AVIF give the whole picture
    turns: int = 0
    axis: int | None = None

    def add(self, kind: bytes, body: bytes) -> None:
        """Take one property in."""
        if kind == b"ispe" and len(body) >= 12:
            self.size = struct.unpack_from(">LL", body, 4)
        elif kind == b"clap" and len(body) >= 16:
            width, by_width, height, by_height = struct.unpack_from(">4L", body)
            self.aperture = round(width / (by_width or 1)), round(height / (by_height or 1))
        elif kind == b"irot" and body:
            self.turns = body[0] & 3
        elif kind == b"imir" and body:
            self.axis = body[0] & 1


def _sequence(moov: bytes) -> ImageInfo:
    """Describe an image sequence by its first picture track; an auxiliary track is its alpha."""
    tracks = [_Track.read(body) for kind, body in inner_boxes(moov) if kind == b"trak"]
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
        media = dict(inner_boxes(dict(inner_boxes(trak)).get(b"mdia", b"")))
        table = dict(inner_boxes(dict(inner_boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
        entry = table.get(b"stsd", b"")[16:]  # version, count, then the size and type of the first sample entry
        item = _PictureItem(0, struct.unpack_from(">HH", entry, 24) if len(entry) >= 28 else (0, 0))
        for kind, body in inner_boxes(entry[78:]):
            if kind in {b"irot", b"imir"}:
                item.add(kind, body)
        samples = int.from_bytes(table.get(b"stsz", b"")[8:12])
        return cls(media.get(b"hdlr", b"")[8:12], item.size, samples, _ORIENTATIONS[item.turns, item.axis])


def jpeg2000(fp: BinaryIO) -> ImageInfo:
    """Read the size of a JPEG 2000 picture, bare or in a JP2 file (ISO/IEC 15444-1, A and I), from the SIZ segment.

    What decoders allocate follows from it, whatever the boxes around it state.
    """
    fp.seek(0)
    start = 0
    if fp.read(2) != b"\xff\x4f":
        start = next((box.content for box in top_boxes(fp) if box.kind == b"jp2c"), -1)
        if start < 0:
            raise ImageError("The JPEG 2000 file has no picture.")
    fp.seek(start)
    if take(fp, 4, "JPEG 2000 header") != b"\xff\x4f\xff\x51":
        raise ImageError("The JPEG 2000 picture does not begin with its size.")
    right, bottom, left, top = struct.unpack(">4x4L", take(fp, 20, "JPEG 2000 header"))
    (components,) = struct.unpack(">16xH", take(fp, 18, "JPEG 2000 header"))
    return info("jp2", (right - left, bottom - top), alpha=components in {2, 4})
