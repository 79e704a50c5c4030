"""One page of what a bucket holds: a folder's own entries, or what a search finds, each in bounded time and memory."""

from __future__ import annotations

import heapq
import time
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import msgspec

from s3img.buckets import ObjectInfo
from s3img.manage.object_search import ORDERS, ObjectFilter, SortKey, is_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from s3img.buckets import Bucket

PAGE: Final = 60
"""Entries of a page: few enough for a phone, and divisible by 2, 3, 4, 5 and 6 columns."""

MOST_SEARCHED: Final = 100_000
"""Keys that one request looks at."""

SEARCH_SECONDS: Final = 3.0
"""For which one request searches before it shows what it has."""


class FolderPage(msgspec.Struct, frozen=True, kw_only=True):
    """What to show: folders (with their slash), objects, and where to go on.

    ``after`` continues the listing, "" at its end. ``searched`` counts the keys that were looked at where a search
    was made, ``found`` those that fit; ``is_whole`` tells whether that was all there is.
    """

    folders: tuple[str, ...] = ()
    objects: tuple[ObjectInfo, ...] = ()
    after: str = ""
    searched: int = 0
    found: int = 0
    is_whole: bool = True


@runtime_checkable
class ListsFolders(Protocol):
    """A store that answers for one folder at a time, in the order of keys."""

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects that come after a key."""

    def list_folder(
        self, prefix: str, *, after: str = "", limit: int = 1000
    ) -> tuple[Sequence[str], Sequence[ObjectInfo], bool]:
        """Return folders, objects, and whether more follow."""


def list_after(bucket: Bucket, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """Yield objects in the order of keys, those after a key; a folder on disk is sorted first."""
    if isinstance(bucket, ListsFolders):
        return bucket.list(prefix, after=after)
    found = sorted(bucket.list(prefix), key=ORDERS["name"])
    return (info for info in found if info.key > after)


def folder_page(bucket: Bucket, prefix: str, after: str = "", *, allowed: Callable[[str], bool]) -> FolderPage:
    """Return a page of one folder in the order of names; what is not ``allowed`` and s3img's own is left out.

    Raise BucketError.
    """
    if isinstance(bucket, ListsFolders):
        folders: Sequence[str]
        objects: Sequence[ObjectInfo]
        folders, objects, more = bucket.list_folder(prefix, after=after, limit=PAGE)
        names = sorted([*folders, *(info.key for info in objects)])
        after = names[-1] if more and names else ""
    else:
        entries = entries_of(list_after(bucket, prefix, ""), prefix)
        following = [entry for entry in entries if entry[0] > after]
        page = following[:PAGE]
        folders = [name for name, info in page if info is None]
        objects = [info for _, info in page if info is not None]
        after = page[-1][0] if len(following) > PAGE else ""
    return FolderPage(
        folders=tuple(name for name in folders if not is_own(name) and allowed(name)),
        # The object of the folder's own name, which some programs make, is not a picture.
        objects=tuple(info for info in objects if info.key != prefix and not is_own(info.key) and allowed(info.key)),
        after=after,
    )


def entries_of(infos: Iterable[ObjectInfo], prefix: str) -> list[tuple[str, ObjectInfo | None]]:
    """Return (name, object) of what lies directly below a prefix; a folder has no object."""
    found: dict[str, ObjectInfo | None] = {}
    for info in infos:
        head, slash, _ = info.key.removeprefix(prefix).partition("/")
        found[f"{prefix}{head}{slash}"] = None if slash else info
    return sorted(found.items())


def search_page(
    bucket: Bucket,
    prefix: str,
    wanted: ObjectFilter,
    after: str = "",
    *,
    by: SortKey = "name",
    reverse: bool = False,
    allowed: Callable[[str], bool],
    clock: Callable[[], float] = time.monotonic,
) -> FolderPage:
    """Return what fits below a prefix, searched for at most `SEARCH_SECONDS`; the page says how far that came.

    In the order of names the search ends with a full page; in another order it goes as far as it may, and the first of
    what it saw are shown. Raise BucketError.
    """
    until = clock() + SEARCH_SECONDS
    searched, last, is_whole = 0, "", True
    is_by_name = by == "name" and not reverse

    def matches() -> Iterator[ObjectInfo]:
        nonlocal searched, last, is_whole
        for info in list_after(bucket, prefix, after):
            # The clock is asked once for many keys: a search looks at more than 20,000 a second.
            if searched >= MOST_SEARCHED or (searched % 500 == 499 and clock() > until):
                is_whole = False
                return
            searched, last = searched + 1, info.key
            if not is_own(info.key) and not info.key.endswith("/") and wanted.matches(info) and allowed(info.key):
                yield info

    if is_by_name:
        objects = [*islice(matches(), PAGE)]
        is_whole = is_whole and len(objects) < PAGE
        return FolderPage(
            objects=tuple(objects),
            after="" if is_whole else last,
            searched=searched,
            found=len(objects),
            is_whole=is_whole,
        )
    found = 0

    def counted() -> Iterator[ObjectInfo]:
        nonlocal found
        for info in matches():
            found += 1
            yield info

    objects = (heapq.nlargest if reverse else heapq.nsmallest)(PAGE, counted(), key=ORDERS[by])
    return FolderPage(
        objects=tuple(objects), after="" if is_whole else last, searched=searched, found=found, is_whole=is_whole
    )
