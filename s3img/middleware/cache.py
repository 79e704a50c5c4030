"""Rewritten bodies by the digest of what they were made of, the least recently used ones go first."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

_OVERHEAD = 300
"""Bytes that an entry takes beside its body."""


class BodyCache:
    """Hold at most ``limit`` bytes; None stands for a body that stays as it is. Safe for threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bodies: OrderedDict[tuple[object, ...], bytes | None] = OrderedDict()
        self._size = 0
        self._guard = Lock()

    def get(self, key: tuple[object, ...]) -> tuple[bool, bytes | None]:
        """Return (whether it is known, the body)."""
        with self._guard:
            if key not in self._bodies:
                return False, None
            self._bodies.move_to_end(key)
            return True, self._bodies[key]

    def put(self, key: tuple[object, ...], body: bytes | None) -> None:
        """Keep a body; one that would take more than a quarter of the room is not kept."""
        size = _cost(body)
        if size > self._limit // 4:
            return
        with self._guard:
            if key in self._bodies:
                return
            self._bodies[key] = body
            self._size += size
            while self._size > self._limit:
                self._size -= _cost(self._bodies.popitem(last=False)[1])

    @property
    def size(self) -> int:
        """Return the bytes that are taken."""
        return self._size


def _cost(body: bytes | None) -> int:
    return _OVERHEAD + len(body or b"")
