"""One page of what a bucket holds: a folder's own entries, or what a search finds, each in bounded time and memory."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import msgspec

from s3img.buckets import ObjectInfo
from s3img.errors import BucketError
from s3img.manage.object_search import ORDERS, ObjectFilter, SortKey, is_own, sort_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from s3img.buckets import Bucket

PAGE: Final = 60  # entries of a page: few enough for a phone, and divisible by 2, 3, 4, 5 and 6 columns
MOST_SEARCHED: Final = 100_000  # keys that one request looks at
SEARCH_SECONDS: Final = 3.0  # for which one request searches before it shows what it has
MOST_COUNTED: Final = 1000  # keys that are counted below one folder
COUNTERS: Final = 8  # folders that are counted at a time


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


def folder_page(
    bucket: Bucket, prefix: str, after: str = "", *, allowed: Callable[[str], bool], limit: int = PAGE
) -> FolderPage:
    """Return a page of one folder in the order of names; what is not ``allowed`` and s3img's own is left out.

    Raise BucketError.
    """
    if isinstance(bucket, ListsFolders):
        folders: Sequence[str]
        objects: Sequence[ObjectInfo]
        folders, objects, more = bucket.list_folder(prefix, after=after, limit=limit)
        names = sorted([*folders, *(info.key for info in objects)])
        after = names[-1] if more and names else ""
    else:
        entries: dict[str, ObjectInfo | None] = {}
        for info in bucket.list(prefix):
            head, slash, _ = info.key.removeprefix(prefix).partition("/")
            entries[f"{prefix}{head}{slash}"] = None if slash else info
        following = sorted(name for name in entries if name > after)
        page = following[:limit]
        folders = [name for name in page if entries[name] is None]
        objects = [found for name in page if (found := entries[name])]
        after = page[-1] if len(following) > limit else ""
    return FolderPage(
        folders=tuple(name for name in folders if not is_own(name) and allowed(name)),
        # The object of the folder's own name, which some programs make, is not a picture.
        objects=tuple(info for info in objects if info.key != prefix and not is_own(info.key) and allowed(info.key)),
        after=after,
    )


class MatchSearch:
    """Go through all below a folder in the order of keys and yield what is wanted and ``allowed``, within bounds.

    ``searched`` counts the keys that were looked at, ``last`` is the last one of them, from where another search goes
    on; ``is_whole`` is false where the bounds (keys, seconds) ended it. Iterating raises BucketError.
    """

    def __init__(
        self,
        bucket: Bucket,
        prefix: str,
        wanted: ObjectFilter,
        after: str = "",
        *,
        allowed: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
        seconds: float = SEARCH_SECONDS,
    ) -> None:
        self.searched = 0
        self.last = after
        self.is_whole = True
        self._listing = list_after(bucket, prefix, after)
        self._wanted = wanted
        self._allowed = allowed
        self._clock = clock
        self._until = clock() + seconds

    def __iter__(self) -> Iterator[ObjectInfo]:
        for info in self._listing:
            # The clock is asked once for many keys: a search looks at 70,000 a second (docs/benchmarks.md).
            if self.searched >= MOST_SEARCHED or (self.searched % 500 == 499 and self._clock() > self._until):
                self.is_whole = False
                return
            self.searched, self.last = self.searched + 1, info.key
            if is_own(info.key) or info.key.endswith("/"):
                continue
            if self._wanted.matches(info) and self._allowed(info.key):
                yield info


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
    search = MatchSearch(bucket, prefix, wanted, after, allowed=allowed, clock=clock)
    is_whole = True
    if by == "name" and not reverse:
        objects = [*islice(search, PAGE)]
        found = len(objects)
        is_whole = found < PAGE
    else:
        counted = itertools.count()
        # zip asks the search before the counter, and so counts what passes through it and keeps none of it.
        numbered = (info for info, _ in zip(search, counted, strict=False))
        objects = sort_objects(numbered, by, reverse=reverse, limit=PAGE)
        found = next(counted)
    is_whole = is_whole and search.is_whole
    return FolderPage(
        objects=tuple(objects),
        after="" if is_whole else search.last,
        searched=search.searched,
        found=found,
        is_whole=is_whole,
    )


def count_folders(
    bucket: Bucket, folders: Iterable[str], *, allowed: Callable[[str], bool], seconds: float = SEARCH_SECONDS
) -> dict[str, tuple[int, bool]]:
    """Return by folder how many objects lie below it, and whether these are all: at most `MOST_COUNTED` are looked at.

    Folders that there is no time for, and those that the store does not list, are left out.
    """
    until = time.monotonic() + seconds
    names = [*folders]

    def listed(folder: str) -> list[ObjectInfo] | None:
        # The page of a listing has a thousand keys: one request for each folder, however much lies in it.
        with suppress(BucketError):
            return [*islice(bucket.list(folder), MOST_COUNTED)] if time.monotonic() <= until else None
        return None

    counts = {}
    with ThreadPoolExecutor(COUNTERS, thread_name_prefix="s3img-count") as pool:
        # ``allowed`` is asked in this thread: it may look at the request, which other threads don't have.
        for name, found in zip(names, pool.map(listed, names), strict=True):
            if found is not None:
                fits = sum(not is_own(one.key) and not one.key.endswith("/") and allowed(one.key) for one in found)
                counts[name] = fits, len(found) < MOST_COUNTED
    return counts
