"""The rule of sizes, one for publish, sync and service: a newer format is used only where it takes fewer bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def worthwhile(sizes: Mapping[str, int], *, source: int | None = None) -> list[str]:
    """Return the formats worth having, in their order: each is smaller than every plainer one.

    ``sizes`` are bytes by format, the most modern first and the plainest last, all of one picture at one size.
    ``source`` are the bytes of a source of the same size that can be used in their place, None without one. So the
    first format is the smallest of all, and an empty list means that the source is.
    """
    found = []
    least = source
    for name, size in [*sizes.items()][::-1]:
        if least is None or size < least:
            found.append(name)
            least = size
    return found[::-1]
