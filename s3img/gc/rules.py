"""What to do with each object: a pure decision from the listing, the live keys, the marks and the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Set
    from datetime import datetime

    from s3img.buckets import ObjectInfo
    from s3img.gc.marks import Mark

GRACE = timedelta(days=7)

HISTORY = timedelta(days=30)

TRASH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Rules:
    """Say how long an unreferenced object stays before and after its mark, and how long a superseded build counts.

    What is deleted stays in the trash for ``trash``; of no time at all, it is deleted at once.
    """

    grace: timedelta = GRACE
    history: timedelta = HISTORY
    trash: timedelta = TRASH
    force: bool = False


@dataclass(frozen=True, slots=True)
class GcPlan:
    """List keys, sorted: to mark, to sweep, whose marks no longer hold, and whose grace period is not over."""

    mark: tuple[str, ...] = ()
    sweep: tuple[str, ...] = ()
    unmark: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def plan(
    listing: Mapping[str, ObjectInfo],
    live: Set[str],
    marks: Mapping[str, Mark],
    *,
    now: datetime,
    grace: timedelta = GRACE,
) -> GcPlan:
    """Decide; an object younger than ``grace`` is not marked, so that one whose reference is still to come stays."""
    unmark = {key for key, mark in marks.items() if key in live or not (key in listing and mark.fits(listing[key]))}
    marked = marks.keys() - unmark
    sweep = {key for key in marked if now - marks[key].at >= grace}
    unreferenced = listing.keys() - live - marks.keys()
    mark = {key for key in unreferenced if now - listing[key].modified >= grace}
    return GcPlan(*(tuple(sorted(keys)) for keys in (mark, sweep, unmark, marked - sweep)))


def is_too_much(going: int, own: int) -> bool:
    """Tell whether more than half of our objects would go, which looks like a mistake and not like a clean-up."""
    return 2 * going > own


class GcResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report a clean-up by keys; of a dry run (``applied`` is false), ``marked`` and ``deleted`` are what would be.

    ``objects`` counts everything below the prefix, ``foreign`` what is unreferenced and not known to be ours,
    ``revived`` the marks that no longer hold, ``bytes`` what ``deleted`` takes up, ``unnamed`` the references of sites
    without a name, which never expire, ``expired`` what was deleted so long ago that it leaves the trash.
    """

    schema: str = "s3img.gc/1"
    target: str
    applied: bool = False
    objects: int = 0
    references: int = 0
    live: int = 0
    foreign: int = 0
    marked: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    revived: tuple[str, ...] = ()
    bytes: int = 0
    expired: tuple[str, ...] = ()
    requests: dict[str, int] = {}
    unnamed: int = 0
    refused: str = ""
    failed: str = ""
    exit_code: int = 0

    def __str__(self) -> str:
        head = "" if self.applied else "Nothing was changed. "
        sums = f"{self.objects} objects, {self.live} referenced, {self.foreign} not ours"
        marked, deleted = ("marked", "deleted") if self.applied else ("would be marked", "would be deleted")
        done = f"{len(self.marked)} {marked}, {len(self.waiting)} waiting, {len(self.deleted)} {deleted}"
        again = f"{len(self.revived)} in use again, {len(self.expired)} gone from the trash"
        return f"{head}{self.target}: {sums}; {done} ({self.bytes:,} bytes), {again}."
