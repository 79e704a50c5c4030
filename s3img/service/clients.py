"""How much of the service one client may use at a time."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from s3img.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Iterator

_FREE = nullcontext()


class Places:
    """Give each client so many places (0: any number); a request holds one until its answer is ready."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def one(self, client: str) -> AbstractContextManager[None]:
        """Hold a place; raise TooManyRequests when the client has all of its own."""
        return self._held(client) if self._each else _FREE

    @contextmanager
    def _held(self, client: str) -> Iterator[None]:
        with self._lock:
            if self._taken[client] >= self._each:
                raise TooManyRequests("This client has too many requests under way.", fix="Wait for their answers.")
            self._taken[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[client] -= 1
                if not self._taken[client]:
                    del self._taken[client]
