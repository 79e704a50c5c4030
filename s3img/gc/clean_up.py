"""Carry out a clean-up: mark what nothing refers to, sweep what was marked long ago."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from s3img.buckets.key_claims import CLAIMS
from s3img.buckets.protocol import UnfinishedUpload
from s3img.errors import BucketError
from s3img.gc import trash
from s3img.gc.marks import OWN, Mark, read_marks, write_marks
from s3img.gc.references import LiveKeys, SiteReference, is_marked_as_own
from s3img.gc.rules import GcPlan, GcResult, Rules, is_too_much, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from s3img.buckets import Bucket, ObjectInfo

_ABANDONED = timedelta(days=1)
"""Age of an upload in parts, or of a claim, whose process lives no longer: every put ends within hours."""

BATCH = 32
"""Keys deleted at once: few, so that little time passes between the last look and the deletion."""

HEADS = 1000
"""Objects looked at before more are."""


@dataclass(slots=True)
class Swept:
    """The keys that were deleted, those that had to stay, and the failure that ended the sweep."""

    deleted: list[str] = field(default_factory=list)
    spared: list[str] = field(default_factory=list)
    failure: BucketError | None = None


def sweep(
    bucket: Bucket,
    keys: Iterable[str],
    marks: Mapping[str, Mark],
    *,
    live: Callable[[], frozenset[str]],
    pool: Executor,
    to_trash: bool = True,
) -> Swept:
    """Delete objects that are as they were when marked, and that nothing refers to as ``live`` tells now.

    The references are read between the look at the objects and the deletion: a build that puts an object again has
    named it before. A failure ends the sweep; its batch stays marked. With ``to_trash``, copies are made before that;
    those of objects that stay do no harm.
    """
    done = Swept()
    waiting = iter(keys)
    try:
        while batch := list(islice(waiting, BATCH)):
            same = pool.map(lambda key: _is_as_marked(bucket, key, marks[key]), batch)
            unchanged = [key for key, is_same in zip(batch, same, strict=True) if is_same]
            if to_trash:
                trash.keep(bucket, unchanged, pool)
            doomed = sorted({*unchanged} - live())
            bucket.delete(doomed)
            done.deleted += doomed
            done.spared += sorted({*batch} - {*doomed})
    except BucketError as error:
        done.failure = error
    return done


def _is_as_marked(bucket: Bucket, key: str, mark: Mark) -> bool:
    info = bucket.head(key)
    if info is None or not mark.fits(info):
        return False
    return info.metadata is None or is_marked_as_own(info, bucket)


def collect(
    bucket: Bucket,
    *,
    kept: Iterable[str] = (),
    spared: Iterable[str] = (),
    rules: Rules | None = None,
    apply: bool = False,
    workers: int = 32,
    now: datetime | None = None,
) -> GcResult:
    """Clean up a bucket, or with ``apply`` false only say what there is to do.

    ``kept`` are keys that count as referenced. Those of ``spared`` stay, too, but prove no site that uses the bucket:
    without another reference, nothing is deleted. Raise BucketError when the bucket or one of its records can't be
    read; a failure while deleting is in the result.
    """
    rules, now, kept = rules or Rules(), now or datetime.now(UTC), frozenset(kept)
    live = LiveKeys(bucket, kept.union(spared), before=now - max(rules.history, rules.grace), workers=workers)
    with ThreadPoolExecutor(workers, thread_name_prefix="s3img-gc") as pool:
        return _Collector(bucket, kept, live, rules, now, pool).run(apply=apply)


@dataclass(frozen=True, slots=True)
class _Findings:
    """What a bucket looked like, and what follows: ``own`` are the unreferenced, unmarked keys whose objects are ours.

    ``objects`` are those that nothing referred to when the listing began, and those with a mark; ``listed`` is how many
    there are of all, ``in_use`` how many something refers to. ``superseded`` are references that had lost their say
    before the listing, so what only they name was looked at.
    ``expired`` are keys that were deleted so long ago that they leave the trash, too. ``left`` is what killed processes
    have left behind: uploads in parts, and claims of keys.
    """

    objects: Mapping[str, ObjectInfo]
    listed: int
    in_use: int
    expired: tuple[str, ...]
    marks: dict[str, Mark]
    live: frozenset[str]
    superseded: Sequence[SiteReference]
    plan: GcPlan
    own: frozenset[str]
    left: tuple[UnfinishedUpload | ObjectInfo, ...]

    @property
    def marked(self) -> tuple[str, ...]:
        """The keys to mark: what is not ours is never marked, and so never deleted."""
        return tuple(key for key in self.plan.mark if key in self.own)

    @property
    def young(self) -> tuple[str, ...]:
        """Our keys that are unreferenced and too young to be marked."""
        return tuple(key for key in self.plan.young if key in self.own)


@dataclass(frozen=True, slots=True)
class _Collector:
    bucket: Bucket
    kept: frozenset[str]
    live: LiveKeys
    rules: Rules
    now: datetime
    pool: Executor

    def run(self, *, apply: bool) -> GcResult:
        found = self._look()
        # Before anything is written: a refused clean-up leaves no marks, whose time would go on counting.
        refused = "" if self.rules.force else self._refusal(found)
        if refused or not apply:
            planned = Swept(deleted=list(found.plan.sweep))
            return self._result(found, planned, applied=False, refused=refused)
        swept = sweep(
            self.bucket,
            found.plan.sweep,
            found.marks,
            live=self.live.read,
            pool=self.pool,
            to_trash=bool(self.rules.trash),
        )
        self._write(found, swept)
        self._delete_old(found, swept)
        return self._result(found, swept, applied=True)

    def _look(self) -> _Findings:
        """Read everything, the references once more at the end: those of a build that has only just begun count too.

        They are read at the beginning as well, so that of a million objects those in use need not be remembered.
        """
        in_use, marks = self.live.read(), read_marks(self.bucket)
        superseded = self.live.superseded
        listed, others = 0, set[str]()
        objects: dict[str, ObjectInfo] = {}
        records: list[ObjectInfo] = []
        for info in self.bucket.list():
            if info.key.startswith(OWN):
                records += [info] if info.key.startswith((CLAIMS, trash.FOLDER)) else []
            elif f"/{OWN}" in info.key:  # another project's folder: only its own clean-up knows what it uses
                others.add(info.key.partition(f"/{OWN}")[0] + "/")
            else:
                listed += 1
                if info.key not in in_use or info.key in marks:
                    objects[info.key] = info
        foreign = tuple(others)
        for key in [key for key in objects if key.startswith(foreign)]:
            listed -= 1
            del objects[key]
        # After the listing: a build names its keys before it relies on what it sees.
        live = self.live.read()
        live = live if live is in_use else live | in_use
        decision = plan(objects, live, marks, now=self.now, grace=self.rules.grace)
        # The young ones too, so that what is not ours is known as such at once, not only when it is old enough.
        own: set[str] = set()
        waiting = iter(decision.mark + decision.young)
        while batch := list(islice(waiting, HEADS)):  # a million waiting tasks take a gigabyte
            own |= {info.key for info in self.pool.map(self.bucket.head, batch) if info and self.live.is_own(info)}
        unreferenced = objects.keys() - live
        expired = trash.expired(records, self.now, self.rules.trash)
        return _Findings(
            objects=objects,
            listed=listed,
            in_use=listed - len(unreferenced),
            expired=expired,
            marks=marks,
            live=live,
            superseded=superseded,
            plan=decision,
            own=frozenset(own),
            left=self._left(records, foreign),
        )

    def _left(
        self, records: Iterable[ObjectInfo], others: tuple[str, ...]
    ) -> tuple[UnfinishedUpload | ObjectInfo, ...]:
        """Return what processes that live no longer have begun; other projects' folders are theirs to clean up."""
        uploads = (one for one in self.bucket.unfinished() if not one.key.startswith(others))
        claims = (info for info in records if info.key.startswith(CLAIMS))
        before = self.now - _ABANDONED
        return (*(one for one in uploads if one.begun < before), *(one for one in claims if one.modified < before))

    def _delete_old(self, found: _Findings, swept: Swept) -> None:
        """Delete for good what killed runs have left and, unless something failed before, what was deleted long ago."""
        try:
            if not swept.failure:
                self.bucket.delete([trash.FOLDER + key for key in found.expired])
            for one in found.left:
                if isinstance(one, UnfinishedUpload):
                    self.bucket.give_up(one)
            if claims := [one.key for one in found.left if not isinstance(one, UnfinishedUpload)]:
                self.bucket.delete(claims)
        except BucketError as error:
            swept.failure = swept.failure or error

    def _refusal(self, found: _Findings) -> str:
        if not self.kept and not self.live.counting:
            return "nothing refers to this bucket. Publish a site to it, or name a lock with --keep."
        going = len(found.marked) + len(found.plan.sweep)
        own = going + len(found.plan.waiting) + len(found.young) + found.in_use
        if is_too_much(going, own):
            return f"{going} of {own} objects would go, more than half. Check the list; --force does it."
        empty = [reference.info.key for reference in self.live.counting if not reference.keys]
        if going and empty:
            return (
                f"a site was published without a single image, says {empty[0]!r}, which looks like a build that went "
                "wrong. Build and publish it again; if it is right, --force goes on."
            )
        return ""

    def _write(self, found: _Findings, swept: Swept) -> None:
        """Keep the marks, then drop superseded references, unless only they know that an object is ours."""
        over = {*found.plan.unmark, *swept.deleted, *swept.spared}
        marks = {key: mark for key, mark in found.marks.items() if key not in over}
        marks |= {key: Mark(self.now, found.objects[key].modified) for key in found.marked}
        if marks != found.marks:
            write_marks(self.bucket, marks)
        needed = found.objects.keys() - {*swept.deleted} - found.live - marks.keys()
        old = [reference.info.key for reference in found.superseded if needed.isdisjoint(reference.keys)]
        if old:
            self.bucket.delete(old)

    def _result(self, found: _Findings, swept: Swept, *, applied: bool, refused: str = "") -> GcResult:
        failure, grace = swept.failure, self.rules.grace
        return GcResult(
            target=self.bucket.name,
            applied=applied,
            objects=found.listed,
            references=len(self.live.counting),
            live=found.in_use,
            foreign=len(found.plan.mark) + len(found.plan.young) - len(found.own),
            marked=found.marked,
            young=found.young,
            young_until=max((found.objects[key].modified + grace for key in found.young), default=None),
            waiting=found.plan.waiting,
            waiting_until=min((found.marks[key].at + grace for key in found.plan.waiting), default=None),
            deleted=tuple(swept.deleted),
            revived=tuple(sorted({*found.plan.unmark, *swept.spared} & found.objects.keys())),
            bytes=sum(found.objects[key].size for key in swept.deleted),
            expired=() if refused or failure else found.expired,
            left=() if refused or failure else tuple(sorted(one.key for one in found.left)),
            requests=dict(self.bucket.requests),
            unnamed=self.live.unnamed,
            refused=refused,
            failed=str(failure or ""),
            exit_code=failure.exit_code if failure else int(bool(refused)),
        )
