"""Find objects by the words of their keys, by age, size and type; a listing is streamed and never kept."""

from __future__ import annotations

import heapq
import posixpath
import re
import unicodedata
from datetime import datetime  # msgspec reads the types of fields while the program runs
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from s3img.errors import ConfigError
from s3img.keys import EXTENSIONS, OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from s3img.buckets import ObjectInfo

SortKey: TypeAlias = Literal["name", "date", "size"]

OTHER_SPELLINGS: Final = {"jpeg": "jpg", "jpe": "jpg", "jfif": "jpg", "tiff": "tif", "apng": "png", "svgz": "svg"}
"""Endings of names that mean the same type as a more usual one."""

IMAGE_TYPES: Final = frozenset(EXTENSIONS.values()) | {"heic", "heif", "jxl"}
"""What ``image`` stands for as a type: the endings of names that browsers or cameras use for pictures."""

ORDERS: Final[dict[SortKey, Callable[[ObjectInfo], Any]]] = {
    "name": lambda info: info.key,
    # The key comes last, so that a listing that is asked for twice has one order.
    "date": lambda info: (info.modified, info.key),
    "size": lambda info: (info.size, info.key),
}


class ObjectFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Say which objects are wanted; an empty filter wants all.

    Every one of ``words`` has to be in the key, anywhere, without regard to case, accents and Unicode form. ``since``
    is inclusive and ``until`` is not; ``types`` are endings of names (``jpg``, ``png``, ``image`` for all pictures), as
    listings tell no media type; sizes in bytes, 0 for no bound.
    """

    words: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    types: tuple[str, ...] = ()
    min_size: int = 0
    max_size: int = 0

    @classmethod
    def of(cls, text: str = "", **fields: Any) -> ObjectFilter:  # noqa: ANN401 - the other fields, checked by msgspec
        """Make a filter of what a person typed: its words are those between blanks."""
        types = tuple(dict.fromkeys(type_named(name) for name in fields.pop("types", ())))
        return cls(words=tuple(map(folded, text.split())), types=types, **fields)

    def matches(self, info: ObjectInfo) -> bool:
        """Tell whether an object is wanted."""
        if self.words:
            key = folded(info.key)
            if not all(word in key for word in self.words):
                return False
        return (
            (self.since is None or info.modified >= self.since)
            and (self.until is None or info.modified < self.until)
            and (not self.types or self.has_type(info.key))
            and info.size >= self.min_size
            and (not self.max_size or info.size <= self.max_size)
        )

    def has_type(self, key: str) -> bool:
        """Tell whether a key ends like one of the types."""
        found = type_of(key)
        return found in self.types or ("image" in self.types and found in IMAGE_TYPES)


def type_of(key: str) -> str:
    """Return the type that a key's ending names (``jpg`` for ``.JPEG``), "" for a key without one."""
    ending = posixpath.splitext(key)[1][1:].lower()
    return OTHER_SPELLINGS.get(ending, ending)


def type_named(name: str) -> str:
    """Read a type as people write it (``JPEG``, ``.png``, ``image/webp``); raise ConfigError for anything else."""
    text = name.strip().lower()
    plain = EXTENSIONS.get(text) or text.removeprefix(".")
    plain = OTHER_SPELLINGS.get(plain, plain)
    if not plain.isalnum():
        raise ConfigError(
            [f"type: {name!r} is not a type: write jpg, png, webp, avif, gif, svg, or image for all of them"]
        )
    return plain


def parse_size(text: str) -> int:
    """Read a size as people write it (``500K``, ``1.5 MB``; thousands, as listings show them) as bytes, 0 for no text.

    Raise ConfigError for anything else.
    """
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?)\s*([kmgt]?)b?", text.strip().lower(), re.ASCII)
    if match:
        thousands = " kmgt".index(match[2] or " ")
        return round(float(match[1]) * 10.0 ** (3 * thousands))
    if not text.strip():
        return 0
    raise ConfigError([f"size: {text!r} is not a size: write a number of bytes, or 500K, 2M, 1G"])


def folded(text: str) -> str:
    """Return text as searches compare it: without case, accents and differences of Unicode forms."""
    if text.isascii():  # nearly every key, and 20 times as fast
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFKC", "".join(char for char in plain if not unicodedata.combining(char)))


def is_own(key: str) -> bool:
    """Tell whether a key is one of s3img's own records, results or of its trash, and so no picture of the user."""
    return key.startswith(f"{OWN_FOLDER}/")


def search(infos: Iterable[ObjectInfo], wanted: ObjectFilter) -> Iterator[ObjectInfo]:
    """Yield what is wanted of a listing, in its order, while it arrives."""
    return (info for info in infos if wanted.matches(info))


def sort_objects(
    infos: Iterable[ObjectInfo], by: SortKey = "name", *, reverse: bool = False, limit: int = 0
) -> list[ObjectInfo]:
    """Return objects in order; with ``limit`` only the first ones, and then no more than these are ever kept."""
    if limit:
        return (heapq.nlargest if reverse else heapq.nsmallest)(limit, infos, key=ORDERS[by])
    return sorted(infos, key=ORDERS[by], reverse=reverse)
