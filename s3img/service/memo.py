"""Remember what follows from a text that many requests have in common, within a bound of memory."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_ENTRIES: Final = 2_048
_LONGEST: Final = 1_024
"""Characters: pages have shorter addresses, and whoever makes up long ones shall not fill the memory with them."""


def remember_short(function: Callable[..., T]) -> Callable[..., T]:
    """Keep the latest results of a pure function of texts, of those only that are short; errors are never kept."""
    known = lru_cache(_ENTRIES)(function)

    def call(*texts: str) -> T:
        return known(*texts) if sum(map(len, texts)) <= _LONGEST else function(*texts)

    return call
