"""Take an AVIF apart and put it together again without what is not a picture (ISO/IEC 23008-12; AVIF 1.1).

An AVIF names its items (coded pictures, EXIF, XMP) in ``meta`` and says there where in the file their bytes lie. The
file is written anew: coded pictures byte for byte, their properties, and nothing else, with places that fit.
"""

from __future__ import annotations

import struct
from io import BytesIO
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.errors import ImageError
from s3img.imaging.probing.bmff import TopBox, associations, inner_boxes, primary_item, top_boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

_PICTURES: Final = frozenset({b"av01", b"grid", b"iovl", b"tmap"})
"""Types of items that are pictures, or are put together from pictures."""
_PROPERTIES: Final = frozenset(
    b"ispe pixi av1C colr pasp clap irot imir auxC a1op a1lx lsel clli mdcv cclv amve ndwt".split()
)
_ESSENTIAL: Final = frozenset({b"av1C", b"irot", b"imir", b"clap", b"lsel", b"a1op"})
_BRANDS: Final = frozenset(
    b"avif avis avio mif1 mif2 msf1 miaf MA1A MA1B tmap iso2 iso4 iso6 iso8 isom mp41 mp42".split()
)
_UNITS: Final = frozenset({1, 2, 3, 4, 6, 7})  # sequence header, temporal delimiter, frame and tile units
_METADATA: Final = 5
_HDR: Final = frozenset({1, 2})  # light levels and mastering display: they decide how the picture looks
_DROPPED: Final = frozenset({_METADATA, 8, 15})
_REFERENCES: Final = frozenset({b"auxl", b"dimg", b"prem", b"base"})  # not thmb and cdsc: thumbnails and metadata
_SEQUENCE: Final = frozenset(
    b"moov mvhd trak tkhd mdia mdhd hdlr minf vmhd nmhd dinf dref url  stbl stsd stts stss stsc stsz stco co64 ctts "
    b"edts elst tref auxl av01 av1C colr pasp ccst auxi pixi clap irot imir".split()
)
_CONTAINERS: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"})
_NO_PICTURES: Final = frozenset({b"meta", b"udta", b"uuid", b"free", b"skip"})  # inside of a movie
_TOP: Final = frozenset({b"ftyp", b"meta", b"moov", b"mdat", b"free", b"skip"})


class AvifItem(msgspec.Struct):
    """One item: its type, the ranges of its bytes in the file (or in ``idat``), and the numbers of its properties."""

    number: int
    kind: bytes
    in_idat: bool = False
    extents: tuple[tuple[int, int], ...] = ()
    properties: tuple[int, ...] = ()


def stripped_avif(data: bytes) -> bytes | None:
    """Return an AVIF without metadata, None where it has something that is not understood."""
    try:
        tops = list(top_boxes(BytesIO(data)))
    except ImageError:
        return None
    kinds = [box.kind for box in tops if box.body is not None]
    if len(set(kinds)) < len(kinds):  # readers differ in which of two descriptions they take
        return None
    boxes = {box.kind: box.body for box in tops if box.body is not None}
    brands = [boxes[b"ftyp"][start : start + 4] for start in range(8, len(boxes[b"ftyp"]), 4)]
    if b"moov" in boxes:
        return _sequence(data, tops, boxes) if _BRANDS.issuperset(brands) else None
    ftyp = boxes[b"ftyp"][:4] + bytes(4) + b"".join(brand for brand in brands if brand in _BRANDS)
    return _rebuilt(data, boxes, ftyp)


class PictureItems(msgspec.Struct):
    """The primary picture of a ``meta`` box and all that it is made of, with properties and references of any item."""

    primary: int
    items: list[AvifItem]
    properties: list[tuple[bytes, bytes]]
    references: list[tuple[bytes, int, tuple[int, ...]]]

    @classmethod
    def read(cls, body: bytes) -> PictureItems | None:
        """Read them without metadata and thumbnails; None where there is something that is not understood."""
        meta = dict(inner_boxes(body[4:]))
        iprp = dict(inner_boxes(meta[b"iprp"]))
        listed = list(inner_boxes(iprp[b"ipco"]))
        used = associations(iprp[b"ipma"])
        items = {item.number: item for item in _items(meta)}
        primary = primary_item(meta[b"pitm"])
        references = [
            reference
            for reference in _references(meta.get(b"iref", b""))
            if reference[0] in _REFERENCES and reference[1] in items and items.keys() >= {*reference[2]}
        ]
        wanted = _reachable(primary, references)
        kept = [item for number, item in items.items() if number in wanted and item.kind in _PICTURES]
        if primary not in {item.number for item in kept} or len(kept) < len(wanted):
            return None
        for item in kept:
            item.properties = tuple(used.get(item.number, ()))
            if any(not 0 < one <= len(listed) or listed[one - 1][0] not in _PROPERTIES for one in item.properties):
                return None
        if max(wanted) > 0xFFFF or len(listed) > 0x7F:  # more than the short forms can say, and than encoders write
            return None
        return cls(primary, kept, listed, references)

    def meta(self, places: list[tuple[int, int]]) -> bytes:
        """Return the ``meta`` box, in its one canonical form, of items that lie there (start, size) in the file."""
        numbers = {item.number for item in self.items}
        used = sorted({number for item in self.items for number in item.properties})
        renumbered = {number: place for place, number in enumerate(used, 1)}
        ipma = b"".join(
            struct.pack(">HB", item.number, len(item.properties))
            # The top bit says "essential": a reader that does not know the property must not show the picture.
            + bytes(renumbered[n] | (0x80 if self.properties[n - 1][0] in _ESSENTIAL else 0) for n in item.properties)
            for item in self.items
        )
        iref = b"".join(
            _box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))
            for kind, source, targets in self.references
            if source in numbers and numbers.issuperset(targets)
        )
        infe = b"".join(_box(b"infe", struct.pack(">BxxBHH4sx", 2, 0, one.number, 0, one.kind)) for one in self.items)
        iloc = (
            struct.pack(">HHHLL", item.number, 0, 1, *place) for item, place in zip(self.items, places, strict=True)
        )
        return _box(
            b"meta",
            bytes(4),
            _box(b"hdlr", bytes(8), b"pict", bytes(13)),
            _box(b"pitm", bytes(4), struct.pack(">H", self.primary)),
            _box(b"iloc", struct.pack(">LBBH", 0, 0x44, 0, len(self.items)), *iloc),
            _box(b"iinf", bytes(4), struct.pack(">H", len(self.items)), infe),
            *([_box(b"iref", bytes(4), iref)] if iref else []),
            _box(
                b"iprp",
                _box(b"ipco", *(_box(*_clean_property(*self.properties[number - 1])) for number in used)),
                _box(b"ipma", struct.pack(">LL", 0, len(self.items)), ipma),
            ),
        )


def _rebuilt(data: bytes, boxes: dict[bytes, bytes], ftyp: bytes) -> bytes | None:
    """Write a still picture anew."""
    pictures = PictureItems.read(boxes[b"meta"])
    if pictures is None:
        return None
    idat = dict(inner_boxes(boxes[b"meta"][4:])).get(b"idat", b"")
    if sum(end - start for item in pictures.items for start, end in item.extents) > len(data):
        return None  # many extents may name the same bytes: a small file would become a very large one
    contents = []
    for item in pictures.items:
        where = idat if item.in_idat else data
        if any(end > len(where) for _, end in item.extents):
            return None
        content = b"".join(where[start:end] for start, end in item.extents)
        contents.append(_coded_picture(content) if item.kind == b"av01" else content)
    sizes = [len(content) for content in contents]
    head = _box(b"ftyp", ftyp)
    start = len(head) + len(pictures.meta([(0, 0)] * len(sizes))) + 8  # its length does not depend on the places in it
    places = [(start + sum(sizes[:number]), size) for number, size in enumerate(sizes)]
    return head + pictures.meta(places) + _box(b"mdat", *contents)


def _coded_picture(data: bytes) -> bytes:
    """Return the units of a coded picture without padding, private metadata and what follows (AV1, 5.3 and 6.2.2)."""
    kept, position = [], 0
    while position < len(data):
        header, start = data[position], position + (2 if data[position] & 4 else 1)
        kind = header >> 3 & 15
        if header & 0x81 or kind not in _UNITS | _DROPPED:  # forbidden or reserved bits: what follows is not a unit
            break
        size, end = 0, len(data)
        if header & 2:
            for place in range(8):  # leb128 (AV1, 4.10.5)
                byte = data[start]
                size, start = size | (byte & 0x7F) << 7 * place, start + 1
                if not byte & 0x80:
                    break
            end = start + size
        if end > len(data):
            break
        if kind in _UNITS or (kind == _METADATA and data[start] in _HDR):
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def _reachable(primary: int, references: list[tuple[bytes, int, tuple[int, ...]]]) -> set[int]:
    """Return the items that the primary one is made of or that belong to one of these, such as its alpha."""
    found, open_ = {primary}, [primary]
    outgoing: dict[int, set[int]] = {}
    for kind, source, targets in references:
        if kind == b"dimg":
            outgoing.setdefault(source, set()).update(targets)
        else:  # auxl: from the auxiliary picture to the one that it belongs to
            for target in targets:
                outgoing.setdefault(target, set()).add(source)
    while open_:
        new = outgoing.get(open_.pop(), set()) - found
        found |= new
        open_ += new
    return found


def _items(meta: dict[bytes, bytes]) -> Iterator[AvifItem]:
    """Yield the items that ``iinf`` names and ``iloc`` places (ISO/IEC 14496-12, 8.11.3 and 8.11.6)."""
    iinf, iloc = meta[b"iinf"], meta[b"iloc"]
    kinds = {}
    for kind, body in inner_boxes(iinf[8 if iinf[0] else 6 :]):
        if kind == b"infe" and body[0] in {2, 3}:
            wide = 4 if body[0] == 3 else 2
            kinds[int.from_bytes(body[4 : 4 + wide])] = body[6 + wide : 10 + wide]
    version = iloc[0]
    offset_size, length_size, base_size = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4
    index_size = iloc[5] & 15 if version else 0
    wide = 4 if version == 2 else 2
    position = 6

    def take(count: int) -> int:
        nonlocal position
        if position + count > len(iloc):
            raise IndexError
        position += count
        return int.from_bytes(iloc[position - count : position])

    for _ in range(take(wide)):
        number, method = take(wide), take(2) & 15 if version else 0
        take(2)
        base = take(base_size)
        extents = []
        count = take(2)
        if count > 1 and not offset_size + length_size + index_size:
            raise ValueError(count)  # they would take no bytes of the file, only time
        for _ in range(count):
            take(index_size)
            start = base + take(offset_size)
            extents.append((start, start + take(length_size)))
        if number in kinds and method in {0, 1}:
            yield AvifItem(number, kinds[number], method == 1, tuple(extents))


def _references(iref: bytes) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """Yield kind, source and targets of each reference (ISO/IEC 14496-12, 8.11.12)."""
    letter = "L" if iref[:1] == b"\1" else "H"
    for kind, body in inner_boxes(iref[4:]):
        source, count = struct.unpack_from(f">{letter}H", body)
        yield kind, source, struct.unpack_from(f">{count}{letter}", body, struct.calcsize(f">{letter}H"))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">L4s", len(body) + 8, kind) + body


def _clean_property(kind: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Return a property without room for anything else: a profile that is one, the name of an auxiliary picture."""
    from s3img.imaging.strip import canonical_profile  # which needs this module

    if kind == b"colr" and body[:4] in {b"prof", b"rICC"}:
        return kind, body[:4] + canonical_profile(body[4:])
    if kind == b"auxC":
        return kind, body[:4] + body[4:].split(b"\0")[0] + b"\0"
    return kind, body


def _sequence(data: bytes, tops: list[TopBox], boxes: dict[bytes, bytes]) -> bytes | None:
    """Return a sequence with zeros wherever no sample and no picture lies; None where it describes more than pictures.

    Its tables name places in the file in many ways, so nothing is moved.
    """
    moov = _without_metadata(boxes[b"moov"])
    if moov is None:
        return None
    ranges = list(_samples(boxes[b"moov"]))
    written = {b"moov": _box(b"moov", moov)}
    if b"meta" in boxes:
        found = _sequence_meta(boxes[b"meta"])
        if found is None:
            return None
        written[b"meta"], places = found
        ranges += places
    clean = bytearray(len(data))
    for box in tops:
        end = box.end if box.body is not None else box.content
        clean[box.start : end] = data[box.start : end]
        if box.kind in written:
            if len(written[box.kind]) != end - box.start:  # a length in 64 bits
                return None
            clean[box.start : end] = written[box.kind]
        elif box.kind not in _TOP:
            clean[box.start + 4 : box.start + 8] = b"free"
    copied = 0
    for start, end in sorted(ranges):  # each byte once, however many samples say that they have it
        if end > copied:
            clean[max(start, copied) : end] = data[max(start, copied) : end]
            copied = end
    return bytes(clean[: tops[-1].end])


def _sequence_meta(body: bytes) -> tuple[bytes, list[tuple[int, int]]] | None:
    """Return a ``meta`` box without metadata, as long as it was, and where its pictures lie (start, end)."""
    pictures = PictureItems.read(body)
    if pictures is None or any(one.in_idat or len(one.extents) != 1 for one in pictures.items):
        return None
    places = [item.extents[0] for item in pictures.items]
    is_plain = len(pictures.items) == len(list(_items(dict(inner_boxes(body[4:])))))
    if is_plain and {kind for kind, _ in pictures.properties} <= _PROPERTIES:
        return _box(b"meta", body), places
    meta = pictures.meta([(start, end - start) for start, end in places])
    room = len(body) + 8 - len(meta)
    return (meta + _box(b"free", bytes(room - 8)), places) if room >= 8 else None  # a box takes eight bytes


def _without_metadata(boxes: bytes, depth: int = 0) -> bytes | None:
    """Return boxes of a movie, as many bytes, with zeros for metadata; None where one is of another kind."""
    if depth > len(_CONTAINERS):  # no container has its like inside
        return None
    parts = []
    for kind, body in inner_boxes(boxes):
        if kind in _NO_PICTURES:
            parts.append(_box(b"free", bytes(len(body))))
        elif kind in _CONTAINERS and (inner := _without_metadata(body, depth + 1)) is not None:
            parts.append(_box(kind, inner))
        elif kind in _SEQUENCE - _CONTAINERS:
            parts.append(_box(kind, body))
        else:
            return None
    found = b"".join(parts)
    return found if len(found) == len(boxes) else None  # else a length has 64 bits


def _samples(moov: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each sample of each track lies (ISO/IEC 14496-12, 8.7)."""
    for kind, trak in inner_boxes(moov):
        if kind != b"trak":
            continue
        media = dict(inner_boxes(dict(inner_boxes(trak))[b"mdia"]))
        table = dict(inner_boxes(dict(inner_boxes(media[b"minf"]))[b"stbl"]))
        size, count = struct.unpack_from(">LL", table[b"stsz"], 4)
        # Samples of one size are counted and never listed: the number stands in four bytes, whatever it says.
        ends = [] if size else [0, *accumulate(struct.unpack_from(f">{count}L", table[b"stsz"], 12))]
        wide, places = ("Q", table[b"co64"]) if b"co64" in table else ("L", table[b"stco"])
        offsets = struct.unpack_from(f">{int.from_bytes(places[4:8])}{wide}", places, 8)
        runs = list(struct.iter_unpack(">LLL", table[b"stsc"][8:]))
        sample = run = 0
        for number, offset in enumerate(offsets, 1):
            while run + 1 < len(runs) and runs[run + 1][0] <= number:
                run += 1
            after = min(sample + runs[run][1], count)
            yield offset, offset + (size * (after - sample) if size else ends[after] - ends[sample])
            sample = after
