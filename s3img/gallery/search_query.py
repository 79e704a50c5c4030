"""What a visitor searches for: read from an address or a form, written back into both, the same filter each time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from s3img.errors import InvalidPrefix
from s3img.keys import MAX_KEY
from s3img.manage.object_search import ObjectFilter
from s3img.publish.result import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping

SORTS: Final[dict[str, tuple[Any, bool]]] = {
    "name": ("name", False),
    "newest": ("date", True),
    "oldest": ("date", False),
    "largest": ("size", True),
}

TYPES: Final = ("image", "jpg", "png", "webp", "avif", "gif", "svg")

SIZES: Final[dict[str, tuple[int, int]]] = {
    "-100K": (0, 100_000),
    "100K-1M": (100_000, 1_000_000),
    "1M-10M": (1_000_000, 10_000_000),
    "10M-": (10_000_000, 0),
}
"""Ranges of sizes that a search is limited to, in bytes; 0 where there is none."""

MOST_TYPED: Final = 200  # characters of a search that are read


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A folder, and what is wanted of everything below it; the texts are as they were typed."""

    prefix: str = ""
    q: str = ""
    type: str = ""
    size: str = ""
    since: str = ""
    until: str = ""
    sort: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> SearchQuery:
        """Read the fields of an address or a form; raise InvalidPrefix for a folder that no key can have."""
        found = cls(**{name: fields.get(name, "") for name in cls.__dataclass_fields__})
        if len(found.prefix.encode()) > MAX_KEY:
            message = f"The folder's name is longer than the {MAX_KEY} bytes that a key may have."
            raise InvalidPrefix(message, code="KeyTooLong", action="list", fix="Go on from the first page.")
        return found

    @property
    def fields(self) -> dict[str, str]:
        """Return what an address or a form of this search holds; empty ones are left out."""
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def order(self) -> tuple[Any, bool]:
        """Return by what the results are ordered, and whether from the end."""
        return SORTS[self.sort_name]

    @property
    def sort_name(self) -> str:
        """Return the order's name; an unknown one is that of names."""
        return self.sort if self.sort in SORTS else "name"

    @property
    def wanted(self) -> ObjectFilter:
        """Return the filter; what has no meaning (an unknown type or date) filters nothing."""
        least, most = SIZES.get(self.size, (0, 0))
        return ObjectFilter.of(
            self.q[:MOST_TYPED],
            types=[self.type] if self.type in TYPES else [],
            min_size=least,
            max_size=most,
            since=date_of(self.since),
            until=date_of(self.until),
        )

    @property
    def is_narrowed(self) -> bool:
        """Tell whether anything but a folder and an order is wanted."""
        return self.wanted != ObjectFilter()

    @property
    def is_search(self) -> bool:
        """Tell whether this asks for more than one folder in the order of names."""
        return self.is_narrowed or self.sort_name != "name"


def date_of(text: str) -> datetime | None:
    """Read a day; None for anything else, as a filter that nobody can mean."""
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def size_range(least: int, most: int) -> str:
    """Return a range of sizes as its bounds, in no language."""
    if least and most:
        return f"{size_text(least)} \u2013 {size_text(most)}"
    return f"\u2265 {size_text(least)}" if least else f"\u2264 {size_text(most)}"
