"""Read the orientation from EXIF, and the first directory of a TIFF file (TIFF 6.0, section 2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

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
