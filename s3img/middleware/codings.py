"""Content codings (RFC 9110, section 8.4.1) that a body can be taken out of and put back into."""

from __future__ import annotations

import gzip
import zlib
from importlib import import_module
from importlib.util import find_spec
from typing import Any

PLAIN = frozenset({"", "identity"})
_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_WRAPPER = 31  # zlib's word for: with a gzip header


def is_known(coding: str) -> bool:
    """Tell whether bodies in this coding can be read and written; Brotli where its module is installed."""
    return coding in PLAIN or coding in _GZIP or (coding == "br" and find_spec("brotli") is not None)


def decoded(data: bytes, coding: str, limit: int) -> bytes | None:
    """Return a body taken out of its coding, None for one that is damaged or longer than ``limit`` bytes."""
    if coding in PLAIN:
        return data if len(data) <= limit else None
    return _gunzipped(data, limit) if coding in _GZIP else _from_brotli(data, limit)


def encoded(data: bytes, coding: str) -> bytes:
    """Return a body in its coding; the same body gives the same bytes."""
    if coding in PLAIN:
        return data
    if coding in _GZIP:
        return gzip.compress(data, 6, mtime=0)
    compressed: bytes = _brotli().compress(data, quality=5)
    return compressed


def _gunzipped(data: bytes, limit: int) -> bytes | None:
    """Read every member (RFC 1952, section 2.2), and never more than ``limit`` bytes of any."""
    parts: list[bytes] = []
    room = limit
    while data:
        member = zlib.decompressobj(_GZIP_WRAPPER)
        try:
            part = member.decompress(data, room + 1)
        except zlib.error:
            return None
        room -= len(part)
        if room < 0 or not member.eof:
            return None
        parts.append(part)
        data = member.unused_data
    return b"".join(parts)


def _from_brotli(data: bytes, limit: int) -> bytes | None:
    """Read in steps, so that a small body can't grow beyond all bounds."""
    brotli = _brotli()
    decompressor = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    try:
        for start in range(0, len(data), 1024):
            parts.append(decompressor.process(data[start : start + 1024]))
            size += len(parts[-1])
            if size > limit:
                return None
        return b"".join(parts) if decompressor.is_finished() else None
    except brotli.error:
        return None


def _brotli() -> Any:  # noqa: ANN401 - an optional module without types
    return import_module("brotli")
