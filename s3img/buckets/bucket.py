"""What every store offers: a flat map of keys to bytes, and the count of requests it took."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

IMMUTABLE = "public, max-age=31536000, immutable"
"""``Cache-Control`` of an object whose key changes with its bytes (RFC 8246)."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Describe one stored object; ``size`` in bytes, ``etag`` opaque and without quotes, ``modified`` with a zone.

    ``metadata`` is what its ``put`` gave, names in lower case; None in listings and in stores that keep none.
    """

    key: str
    size: int
    etag: str
    modified: datetime
    metadata: Mapping[str, str] | None = field(default=None, compare=False)


class Bucket(Protocol):
    """Hold objects under keys relative to what the bucket's address names; safe to share between threads.

    Every method raises only `BucketError` and its kinds, and `AssetError` for the local file of a ``put``.
    """

    @property
    def name(self) -> str:
        """The address to show to people; never holds a secret."""

    @property
    def requests(self) -> Mapping[str, int]:
        """Requests sent so far, retries included, by ``put``, ``list``, ``get``, ``head``, ``delete``."""

    def has_credentials(self) -> bool:
        """Tell whether requests could be signed, without asking the store."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with ``prefix``, in no promised order."""

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        media_type: str,
        cache_control: str = IMMUTABLE,
        metadata: Mapping[str, str] | None = None,
        sha256: str = "",
    ) -> None:
        """Store all of ``source`` or nothing; refuse bytes whose SHA-256 (hex) is not the one given."""

    def get(self, key: str) -> bytes:
        """Return the object's bytes; `ObjectNotFound` without one."""

    def head(self, key: str) -> ObjectInfo | None:
        """Describe the object, or return None without one."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove these objects; a key without one is no error."""


class RequestCounter:
    """Count requests by operation from many threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, operation: str) -> None:
        """Count one request."""
        with self._lock:
            self._counts[operation] += 1

    def totals(self) -> Counter[str]:
        """Return a copy that no later request changes."""
        with self._lock:
            return self._counts.copy()
