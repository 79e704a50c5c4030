"""Small results in memory, for sites that ask for the same few all the time; off unless it is given room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from s3img.service.engine.cache_entry import Entry

T = TypeVar("T")

_SHARE: Final = 16
"""A result larger than this part of the room would push out too many others."""


class MemoryCache:
    """Keep the entries used last in at most ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._size = 0

    def get(self, name: str) -> Entry | None:
        """Return what is kept under a name."""
        if not self._limit:
            return None
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None:
                self._entries.move_to_end(name)
            return entry

    def put(self, name: str, entry: Entry) -> None:
        """Keep an entry of bytes, if it is small enough, in place of those used longest ago."""
        if entry.size > self._limit // _SHARE or not isinstance(entry.body, bytes):
            return
        with self._lock:
            known = self._entries.pop(name, None)
            self._size += entry.size - (known.size if known else 0)
            self._entries[name] = entry
            while self._size > self._limit:
                self._size -= self._entries.popitem(last=False)[1].size


class Recent(Generic[T]):
    """Remember the values of the names that were set last, ``limit`` of them at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._values: dict[object, T] = {}

    def get(self, name: object) -> T | None:
        """Return a value, None without one."""
        return self._values.get(name)

    def set(self, name: object, value: T) -> None:
        """Remember a value in place of the one that was set longest ago."""
        with self._lock:
            self._values.pop(name, None)
            self._values[name] = value
            if len(self._values) > self._limit:
                del self._values[next(iter(self._values))]

    def drop(self, name: object) -> None:
        """Forget a value."""
        with self._lock:
            self._values.pop(name, None)
