"""What to do with each object: a pure decision from the listing, the live keys, the marks and the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from s3img.buckets import ObjectInfo
    from s3img.gc.marks import Mark

GRACE = timedelta(days=7)

HISTORY = timedelta(days=30)

TRASH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Rules:
    """How long an unreferenced object stays before and after its mark, and how long a superseded build counts.

    What is deleted stays in the trash for ``trash``; of no time at all, it is deleted at once.
    """

    grace: timedelta = GRACE
    history: timedelta = HISTORY
    trash: timedelta = TRASH
    force: bool = False


@dataclass(frozen=True, slots=True)
class GcPlan:
    """Keys, sorted: to mark, to sweep, whose marks hold no longer, marked not long ago, too young to be marked."""

    mark: tuple[str, ...] = ()
    sweep: tuple[str, ...] = ()
    unmark: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    young: tuple[str, ...] = ()


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
    return GcPlan(*(tuple(sorted(keys)) for keys in (mark, sweep, unmark, marked - sweep, unreferenced - mark)))


def is_too_much(going: int, own: int) -> bool:
    """Tell whether more than half of our objects would go, which looks like a mistake and not like a clean-up."""
    return 2 * going > own


class GcResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report a clean-up by keys; of a dry run (``applied`` is false), ``marked`` and ``deleted`` are what would be.

    ``objects`` counts everything below the prefix, ``foreign`` what is unreferenced and not known to be ours; ``young``
    is too young to be marked, the last of it until ``young_until``; ``waiting`` was marked before, and is deleted when
    its grace period is over, the first of it at ``waiting_until``. ``revived`` are the marks that no longer hold,
    ``bytes`` what ``deleted`` takes up, ``unnamed`` the references of sites without a name, which never expire,
    ``expired`` what was deleted so long ago that it leaves the trash, ``left`` the keys of uploads and claims that
    killed processes have left behind.
    """

    schema: str = "s3img.gc/1"
    target: str
    applied: bool = False
    objects: int = 0
    references: int = 0
    live: int = 0
    foreign: int = 0
    marked: tuple[str, ...] = ()
    young: tuple[str, ...] = ()
    young_until: datetime | None = None
    waiting: tuple[str, ...] = ()
    waiting_until: datetime | None = None
    deleted: tuple[str, ...] = ()
    revived: tuple[str, ...] = ()
    bytes: int = 0
    expired: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    requests: dict[str, int] = {}
    unnamed: int = 0
    refused: str = ""
    failed: str = ""
    exit_code: int = 0

    def __str__(self) -> str:
        """Account for every object: why it stays, or what becomes of it."""
        verb = "" if self.applied else "would be "
        parts = [
            f"{self.live} in use",
            f"{len(self.young)} not in use, but too new to be marked before {self.young_until:%Y-%m-%d}"
            if self.young
            else "",
            f"{self.foreign} not in use, but not put by s3img, which never deletes them" if self.foreign else "",
            f"{len(self.marked)} not in use, {verb}marked for deletion",
            f"{len(self.waiting)} marked before, to be deleted from {self.waiting_until:%Y-%m-%d} on"
            if self.waiting
            else "",
            f"{len(self.deleted)} {verb}deleted ({self.bytes:,} bytes)",
            f"{len(self.revived)} marked before, but in use again or put again" if self.revived else "",
            f"{len(self.expired)} {verb}deleted from the trash" if self.expired else "",
            f"{len(self.left)} unfinished uploads and claims of killed runs {verb}deleted" if self.left else "",
        ]
        head = "" if self.applied else "Nothing was changed. "
        objects = "1 object" if self.objects == 1 else f"{self.objects} objects"
        return f"{head}{self.target}, {objects}: {'; '.join(filter(None, parts))}."
