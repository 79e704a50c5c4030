"""One file of the disk cache: a few words about a result, then the result, with a checksum over both."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

if TYPE_CHECKING:
    from typing import TypeAlias

_MAGIC: Final = b"s3i1"
_PREFIX: Final = struct.Struct(">4sHQI")  # magic, bytes of the words, bytes of the body, CRC-32 of both
_WHOLE: Final = 1 << 20
"""Bytes up to which a body is read at once; of a longer one the file is handed on."""
_CHUNK: Final = 1 << 18

Body: TypeAlias = "bytes | BinaryIO"


class EntryHeader(msgspec.Struct, frozen=True, array_like=True):
    """Hold what a result's bytes don't say by themselves: media type, and px (0 where it has none)."""

    media_type: str
    width: int = 0
    height: int = 0


class Damaged(Exception):
    """A file of the cache is not what was written; the cache itself deals with it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold a result as it is kept: its bytes, or a file open at the first of ``size`` of them."""

    words: EntryHeader
    body: Body
    size: int


def pack(words: EntryHeader, body: bytes) -> list[bytes]:
    """Return the parts of a file, in order."""
    head = msgspec.msgpack.encode(words)
    return [_PREFIX.pack(_MAGIC, len(head), len(body), zlib.crc32(body, zlib.crc32(head))), head, body]


def unpack(file: int, size: int) -> Entry:
    """Read a file of ``size`` bytes by its descriptor, which stays the caller's; raise `Damaged` and OSError."""
    start = os.read(file, min(size, _WHOLE))
    if len(start) < _PREFIX.size:
        raise Damaged
    magic, head_size, body_size, checksum = _PREFIX.unpack_from(start)
    first = _PREFIX.size + head_size
    if magic != _MAGIC or size != first + body_size or len(start) < first:
        raise Damaged
    head = start[_PREFIX.size : first]
    if len(start) < size:
        return Entry(_words(head), _handed_on(file, first, start, zlib.crc32(head), checksum), body_size)
    body = start[first:]
    if zlib.crc32(body, zlib.crc32(head)) != checksum:
        raise Damaged
    return Entry(_words(head), body, body_size)


def _words(head: bytes) -> EntryHeader:
    try:
        return msgspec.msgpack.decode(head, type=EntryHeader)
    except msgspec.MsgspecError as error:
        raise Damaged from error


def _handed_on(file: int, first: int, start: bytes, seen: int, checksum: int) -> BinaryIO:
    """Check the rest of a long file, then return it open at its body."""
    seen = zlib.crc32(start[first:], seen)
    while chunk := os.read(file, _CHUNK):
        seen = zlib.crc32(chunk, seen)
    if seen != checksum:
        raise Damaged
    body = os.fdopen(os.dup(file), "rb")
    body.seek(first)
    return body
