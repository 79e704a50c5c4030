"""Bodies: what an app returned, and what a server is given in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Source:
    """Iterate over what the app returned, once, and close it once."""

    def __init__(self, iterable: Iterable[bytes]) -> None:
        self._iterable: Iterable[bytes] | None = iterable
        self._iterator: Iterator[bytes] | None = None
        self.is_complete = isinstance(iterable, list | tuple)

    def __iter__(self) -> Iterator[bytes]:
        if self._iterator is None:
            self._iterator = iter(self._iterable or ())
        return self._iterator

    def close(self) -> None:
        """Close the app's object where it can be closed."""
        iterable, self._iterable = self._iterable, None
        close: Callable[[], None] | None = getattr(iterable, "close", None)
        if close is not None:
            close()


class Body:
    """Iterate over a response; closing it closes what the app returned."""

    def __init__(self, chunks: Iterable[bytes], source: Source) -> None:
        self._chunks = iter(chunks)
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Close the app's object, whatever was read of it."""
        self._source.close()
