"""The object that is put and taken away again: a small true PNG under a name that breaks careless software."""

from __future__ import annotations

import os
import re
import struct
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from s3img.buckets import Bucket

FOLDER = "s3img-doctor"
"""Where probe objects live below the prefix; not hidden, because many hosts never serve names that start with a dot."""

MARK = {"s3img": "doctor"}
MEDIA_TYPE = "image/png"
CACHE_CONTROL = "public, max-age=60"
_HOSTILE = "caf\u00e9 +%20&#'.png"
_PLAIN = "plain.png"


class Sample:
    """Name the probe object, know its bytes, and remember what may have been put."""

    def __init__(self) -> None:
        token = os.urandom(8).hex()
        self.folder = f"{FOLDER}/{token}/"
        self.key = self.folder + _HOSTILE
        self.plain_key = self.folder + _PLAIN
        self.data = png(token)
        self._put: list[str] = []

    @property
    def is_there(self) -> bool:
        """Whether an object may have been put and not been taken away."""
        return bool(self._put)

    def put(self, bucket: Bucket, key: str) -> None:
        """Put the object under ``key``; a put that fails may have arrived all the same."""
        self._put.append(key)
        bucket.put(key, self.data, media_type=MEDIA_TYPE, cache_control=CACHE_CONTROL, metadata=MARK)

    def remove(self, bucket: Bucket) -> None:
        """Delete what may have been put; raise BucketError when it can't be."""
        if self._put:
            bucket.delete(self._put)
            self._put.clear()

    def remove_quietly(self, bucket: Bucket) -> None:
        """Delete what can be deleted."""
        with suppress(S3ImgError):
            self.remove(bucket)

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that a file bucket makes for the object, the innermost first."""
        return self.folder, FOLDER


def is_sample(key: str) -> bool:
    """Tell whether a key is one that an examination gives to its objects."""
    name = key.rpartition("/")[2]
    return name in {_HOSTILE, _PLAIN} and re.fullmatch(FOLDER + "/[0-9a-f]{16}/", key.removesuffix(name)) is not None


def png(text: str) -> bytes:
    """Return a PNG of one transparent px that holds ``text`` (ASCII): https://www.w3.org/TR/png-3/."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)
    pixels = zlib.compress(bytes(5))
    chunks = ((b"IHDR", header), (b"tEXt", b"s3img\0" + text.encode()), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
