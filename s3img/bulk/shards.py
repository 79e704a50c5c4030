"""Cut a listing into shards: small values that travel to a worker, each with a name that follows from what is in it."""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

import msgspec

from s3img.errors import ConfigError
from s3img.keys import is_reserved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LEAST: Final = 250
"""Pictures of a shard before a boundary is looked for."""

SPREAD: Final = 250
"""A boundary follows one key in so many, so that shards have about ``LEAST + SPREAD`` pictures."""

MOST: Final = 1_000
"""Pictures of a shard, at most."""

MOST_BYTES: Final = 1_000_000_000
"""Bytes of the sources of a shard, at most, unless a single picture has more."""

MOST_TEXT: Final = 48_000
"""Bytes of the items of a shard: what travels to a worker stays below 64 KB with the settings."""

_ITEM_TEXT: Final = 24
"""Bytes that an item takes beside its texts."""

_PICTURE: Final = re.compile(r"\.(jpe?g|jpe|jfif|png|gif|webp|avif|heic|heif|tiff?|bmp|jp2|j2k)\Z", re.IGNORECASE)

_RENDERED: Final = re.compile(r"\.[0-9a-f]{8,64}\.(?:o|[a-z]{1,4}-[^./]*)\.(?:jpg|png|gif|webp|avif)\Z")
"""How the names of renderings end under the usual ``key_template``: ``.77aa0011.w-640.webp``."""


class ShardItem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One picture as a listing tells of it: key, ETag (no quotes; "" if unknown) and bytes.

    ``line`` is its line of the lock, "" for a picture that no lock names.
    """

    key: str
    etag: str
    size: int
    line: str = ""


class BulkJob(msgspec.Struct, frozen=True):
    """What is made of every picture of a run, and by which program.

    ``origin`` names where the pictures are. ``transforms`` are canonical texts, each rendered for every class of
    ``accepts`` where it leaves the format open; without any, the variants are made that a published page shows.
    ``settings`` is the configuration as JSON, without secrets; ``engine`` names the versions that results depend on.
    """

    run: str
    origin: str
    settings: bytes
    engine: str
    transforms: tuple[str, ...] = ()
    accepts: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Shard:
    """Pictures that one task renders; pickled, it has at most 64 KB. ``is_piece`` where it is a part of another one."""

    job: BulkJob
    items: tuple[ShardItem, ...]
    is_piece: bool = False

    @cached_property
    def id(self) -> str:
        """Return its name (hex): the same for the same pictures and the same work, on every machine."""
        digest = hashlib.sha256(msgspec.msgpack.encode((self.job, self.items)))
        return digest.hexdigest()[:24]

    @property
    def bytes(self) -> int:
        """Return the bytes of its sources."""
        return sum(item.size for item in self.items)

    def halves(self) -> tuple[Self, Self]:
        """Cut a shard of two pictures or more into two pieces."""
        middle = len(self.items) // 2
        kind = type(self)
        return kind(self.job, self.items[:middle], is_piece=True), kind(self.job, self.items[middle:], is_piece=True)


class ShardPart(msgspec.Struct, frozen=True):
    """The shards that one of ``count`` machines works on, without any of them knowing the others; from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``I/N``; raise ConfigError for anything else."""
        match = re.fullmatch(r"(?a)(\d{1,6})/(\d{1,6})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError([f"--shard: {text!r} is not one part of several: write 1/8 to 8/8"])
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def has(self, shard: Shard) -> bool:
        """Tell whether a shard belongs to this part: each belongs to just one of the ``count``."""
        return int(shard.id, 16) % self.count == self.number - 1


def is_picture(key: str) -> bool:
    """Tell whether a key may be that of a picture to render: by its ending, and not a rendering itself."""
    return bool(_PICTURE.search(key)) and not is_reserved(key) and not _RENDERED.search(key)


def cut(items: Iterable[ShardItem], job: BulkJob) -> Iterator[Shard]:
    """Cut a stream of pictures into shards while it arrives, in flat memory.

    Where a shard ends depends on the keys in it: after a new picture, only the shard that it falls into is another
    one, and the later ones keep their names. (The idea is that of content-defined chunking, as in FastCDC.)
    """
    found: list[ShardItem] = []
    size = text = 0
    for item in items:
        length = _ITEM_TEXT + len(item.key.encode()) + len(item.etag) + len(item.line.encode())
        if found and (size + item.size > MOST_BYTES or text + length > MOST_TEXT):
            yield Shard(job, tuple(found))
            found, size, text = [], 0, 0
        found.append(item)
        size, text = size + item.size, text + length
        is_boundary = len(found) >= LEAST and zlib.crc32(item.key.encode()) % SPREAD == 0
        if is_boundary or len(found) >= MOST:
            yield Shard(job, tuple(found))
            found, size, text = [], 0, 0
    if found:
        yield Shard(job, tuple(found))


def with_lines(items: Iterable[ShardItem], lines: Mapping[str, str]) -> Iterator[ShardItem]:
    """Add to each picture its line of the lock, by its key."""
    for item in items:
        line = lines.get(item.key)
        yield msgspec.structs.replace(item, line=line) if line else item
