"""Content codings (RFC 9110, section 8.4.1): bodies of responses, and the compressed copies beside files.

gzip and deflate come with Python. Brotli is read and written where ``brotli`` 1.2 or newer is installed (older ones
can't limit their output), Zstandard where ``compression.zstd`` (Python 3.14), ``backports.zstd`` or ``zstandard`` is.
"""

from __future__ import annotations

import gzip
import io
import zlib
from functools import cache
from importlib import import_module
from typing import Any

PLAIN = frozenset({"", "identity"})
_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_WRAPPER = 31  # tells zlib to expect a gzip header
_STEP = 65_536  # bytes unpacked at a time: the limit is checked before much memory is taken
_FIRST = 512  # bytes of a gzip member that are looked at first
_MEMBERS = 65_536  # of a gzip body; programs that compress in blocks write one for each 64 kB


def is_known(coding: str) -> bool:
    """Tell whether bodies in this coding can be read and written here."""
    if coding in PLAIN or coding in _GZIP or coding == "deflate":
        return True
    return (coding == "br" and _brotli() is not None) or (coding == "zstd" and _zstd() is not None)


def decoded(data: bytes, coding: str, limit: int) -> bytes | None:
    """Return the decoded body, None for one that is damaged or longer than ``limit`` bytes."""
    if coding in PLAIN:
        return data if len(data) <= limit else None
    if coding in _GZIP:
        return unpack_gzip(data, limit)
    if coding == "deflate":
        return unpack_deflate(data, limit)
    return unpack_brotli(data, limit) if coding == "br" else unpack_zstd(data, limit)


def encoded(data: bytes, coding: str, *, smallest: bool = False) -> bytes:
    """Return a body in its coding; the same body gives the same bytes. ``smallest`` is for files, and takes longer."""
    if coding in PLAIN:
        return data
    if coding in _GZIP:
        return gzip.compress(data, 9 if smallest else 6, mtime=0)
    if coding == "deflate":
        return zlib.compress(data, 9 if smallest else 6)
    if coding == "br":
        return bytes(_brotli().compress(data, quality=11 if smallest else 5))
    zstd, level = _zstd(), 19 if smallest else 3
    if hasattr(zstd, "ZstdFile"):
        return bytes(zstd.compress(data, level))
    return bytes(zstd.ZstdCompressor(level=level).compress(data))


def unpack_gzip(data: bytes, limit: int) -> bytes | None:
    """Decompress every member of a gzip body (RFC 1952, section 2.2), up to ``limit`` bytes together.

    None for more members than any program writes, too: each takes time, and may stand for nothing.
    """
    parts: list[bytes] = []
    room, position = limit, 0
    for _ in range(_MEMBERS):
        if position >= len(data):
            return b"".join(parts)
        member, step = zlib.decompressobj(_GZIP_WRAPPER), _FIRST
        while not member.eof:
            # What zlib has not used is copied. So a member is given in parts that grow with it, and never the rest.
            given = data[position : position + step]
            try:
                part = member.decompress(given, room + 1)
            except zlib.error:
                return None
            room -= len(part)
            if room < 0 or not given:
                return None
            parts.append(part)
            position += len(given) - len(member.unused_data)
            step *= 2
    return b"".join(parts) if position >= len(data) else None


def unpack_deflate(data: bytes, limit: int) -> bytes | None:
    """Decompress a zlib stream (RFC 1950), or bare deflate (RFC 1951), which some programs send under the same name."""
    for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        stream = zlib.decompressobj(window)
        try:
            text = stream.decompress(data, limit + 1)
        except zlib.error:
            continue
        return text if stream.eof and len(text) <= limit else None
    return None


def unpack_brotli(data: bytes, limit: int) -> bytes | None:
    """Decompress Brotli (RFC 7932) in steps: a few bytes of it may stand for gigabytes."""
    brotli = _brotli()
    decompressor = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    try:
        while not decompressor.is_finished():
            if decompressor.can_accept_more_data():
                if not data:
                    return None
                data, given = b"", data
            else:
                given = b""
            parts.append(decompressor.process(given, output_buffer_limit=_STEP))
            size += len(parts[-1])
            if size > limit:
                return None
        return b"".join(parts)
    except brotli.error:
        return None


def unpack_zstd(data: bytes, limit: int) -> bytes | None:
    """Decompress Zstandard (RFC 8878), with whichever library there is."""
    zstd = _zstd()
    try:
        if hasattr(zstd, "ZstdFile"):
            reader = zstd.ZstdFile(io.BytesIO(data))
        else:
            reader = zstd.ZstdDecompressor().stream_reader(data, read_across_frames=True)
        text: bytes = reader.read(limit + 1)
    except (zstd.ZstdError, EOFError):
        return None
    return text if len(text) <= limit else None


@cache
def _brotli() -> Any:  # noqa: ANN401 - an optional module without types
    module = _optional("brotli")
    return module if module and hasattr(module.Decompressor, "can_accept_more_data") else None


@cache
def _zstd() -> Any:  # noqa: ANN401 - an optional module without types
    return _optional("compression.zstd") or _optional("backports.zstd") or _optional("zstandard")


def _optional(name: str) -> Any:  # noqa: ANN401 - an optional module without types
    try:
        return import_module(name)
    except ImportError:
        return None
