"""Bring bucket and lock in line with the images on disk: first every original, then every variant, then the lock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import structs

from s3img import transfer
from s3img.errors import AssetError, BucketError
from s3img.lock import VariantSettings, read_lock, write_lock
from s3img.sync.job import NOTHING, Done, SyncJob, VariantPlan, describe, report
from s3img.sync.state import Journal, settle
from s3img.sync.survey import survey
from s3img.transfer.claims import look, lost
from s3img.transfer.run import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from pathlib import Path

    from s3img.buckets import Bucket
    from s3img.cache import Cache
    from s3img.config import Config
    from s3img.lock import Lock, LockEntry
    from s3img.sync.outcome import SyncOptions, SyncPlan, SyncResult
    from s3img.sync.reading import Reader
    from s3img.sync.state import Progress, StateFile, SyncState
    from s3img.sync.survey import FolderSurvey
    from s3img.sync.tree import Scope
    from s3img.sync.variant_sync import VariantMaker, VariantPlanner
    from s3img.transfer import Upload, UploadPlan, UploadResult
    from s3img.transfer.claims import BucketSnapshot

LISTED_AT_ONCE = 1000
"""Keys that one request lists."""


class _Looking:
    """A look at the bucket that another thread has begun."""

    def __init__(self, bucket: Bucket) -> None:
        self.since = time.time()
        worker = Workers(1)
        self._snapshot = worker.submit(look, bucket)
        worker.close()

    def snapshot(self) -> BucketSnapshot:
        """Wait for what it saw; raise BucketError."""
        return self._snapshot.result()


class FolderSync:
    """Sync the images of a scope; ``open_bucket`` is called only when there is something to ask or to send."""

    def __init__(
        self,
        config: Config,
        scope: Scope,
        lock_path: Path,
        *,
        cache: Cache,
        reader: Reader,
        state_file: StateFile,
        open_bucket: Callable[[], Bucket],
        options: SyncOptions,
    ) -> None:
        self._config = config
        self._scope = scope
        self._lock_path = lock_path
        self._cache = cache
        self._reader = reader
        self._state_file = state_file
        self._open_bucket = open_bucket
        self._options = options
        self._deadline = transfer.Deadline(config.deadline)
        self._bucket: Bucket | None = None
        self._marked: frozenset[str] = frozenset()

    def plan(self, state: SyncState) -> SyncPlan:
        """Say what there is to do; write nothing."""
        return self._describe(self._prepare(state))

    def apply(self, plan: SyncPlan, state: SyncState, progress: Progress | None = None) -> SyncResult:
        """Sync if the images are still those of the plan; raise AssetError if they are not, or go elsewhere."""
        started = time.monotonic()
        job = self._prepare(state)
        found = self._describe(job)
        fix = "Make a new plan with s3img plan."
        if (found.target, found.endpoint_url) != (plan.target, plan.endpoint_url):
            raise AssetError(f"The plan is for {_where(plan)}, the settings name {_where(found)}.", fix=fix)
        if found.tree != plan.tree:
            example = _example(plan, found)
            what = "images" if example else "images or the settings"
            raise AssetError(f"The {what} have changed since the plan was made{example}.", fix=fix)
        return self._execute(job, state, progress, started)

    def run(self, state: SyncState, *, dry_run: bool = False, progress: Progress | None = None) -> SyncResult:
        """Send what is missing, then write the lock; what concerns single images is in the result."""
        started = time.monotonic()
        job = self._prepare(state)
        if not dry_run:
            return self._execute(job, state, progress, started)
        changed = bool(job.variants.new) or job.new_lock(job.lock, job.survey.entries) != job.lock
        pending = self._maker(job).pending(state.objects) if job.variants.paths else 0
        return self._report(job, Done(rendered=pending), started, lock_changed=changed, dry_run=True)

    def _execute(self, job: SyncJob, state: SyncState, progress: Progress | None, started: float) -> SyncResult:
        done = self._put(job, state, progress)
        old = read_lock(self._lock_path, missing_ok=True)  # again: another sync may have written it meanwhile
        new, is_new = job.new_lock(old, done.lines), False
        if new != old or not old.is_tidy:
            new, is_new = self._write_lock(job, done)
        state.forget(lambda path: path not in job.survey.files and self._scope.covers(path), new.keys())
        result = self._report(job, done, started, lock_changed=is_new)
        if result.exit_code == 0:
            settle(state, self._scope, job.survey.files, self._lock_path, self._config, self._options, result.kept)
        self._state_file.save(state)
        return result

    def _write_lock(self, job: SyncJob, done: Done) -> tuple[Lock, bool]:
        """Bring the lock up to date as it is by then; return it, and whether it was written."""
        with self._state_file.guard():
            old = read_lock(self._lock_path, missing_ok=True)
            new = job.new_lock(old, done.lines)
            is_new = new != old or not old.is_tidy
            if is_new:
                write_lock(self._lock_path, new)
        return new, is_new

    def _put(self, job: SyncJob, state: SyncState, progress: Progress | None) -> Done:
        """Put originals, then variants; a line names only what is there, and of a failed original there is none."""
        sent = self._send(job.uploads, state, progress)
        lines = [entry for entry in job.survey.entries if entry.key not in sent.failed]
        if not job.variants.paths:
            return Done(sent, tuple(lines))
        maker = self._maker(job)
        variants = self._send(transfer.plan_uploads(maker.run(state.objects, progress), state.objects), state, progress)
        named = tuple(maker.line(entry, frozenset(variants.failed)) for entry in lines)
        return Done(_both(sent, variants), named, maker.rendered, tuple(maker.findings))

    def _prepare(self, state: SyncState) -> SyncJob:
        early = _Looking(self._opened()) if self._is_stale(state) else None  # while the files are read
        lock = read_lock(self._lock_path, missing_ok=True)
        found = survey(self._scope, lock, self._reader, self._config)
        planner = self._planner(found, lock)
        wanted = found.keys() | (planner.keys if planner else set())
        must_list = self._must_list(lock, wanted, state)
        if must_list:
            self._list(wanted | lock.keys(), state, early or _Looking(self._opened()))
        return SyncJob(
            found,
            lock,
            self._uploads(found, state),
            verified="list" if must_list else "cache",
            variants=planner.plan(state.objects) if planner else VariantPlan(),
            settings=VariantSettings.of(self._config) if planner else None,
            prune=self._options.prune,
        )

    def _uploads(self, found: FolderSurvey, state: SyncState) -> UploadPlan:
        """Plan what is missing; where a key is claimed twice, all images together show whether that is a mistake."""
        is_clear = len(found.keys()) == len(found.entries)
        entries = [e for e in found.entries if not is_clear or state.objects.get(e.key) != e.size]
        return transfer.plan_uploads([self._upload(entry, found) for entry in entries], state.objects)

    def _upload(self, entry: LockEntry, found: FolderSurvey) -> Upload:
        return transfer.Upload(
            entry.key,
            self._scope.file(entry.path),
            entry.size,
            entry.media_type,
            sha256=entry.sha256,
            content=found.contents.get(entry.path, b""),
            stat=found.files[entry.path] if entry.path in found.contents else None,
        )

    def _must_list(self, lock: Lock, wanted: Set[str], state: SyncState) -> bool:
        """Tell whether what is known may be out of date: a key in the lock that is not known was put by others.

        Where very much is not known, one request that lists it may spare as many.
        """
        if self._is_stale(state):
            return True
        unknown = wanted - state.objects.keys()
        return len(unknown) > LISTED_AT_ONCE or not unknown.isdisjoint(lock.keys())

    def _is_stale(self, state: SyncState) -> bool:
        return self._options.verify or not state.is_fresh(time.time())

    def _list(self, wanted: Set[str], state: SyncState, looking: _Looking) -> None:
        """Note which of the wanted objects are there; others don't count, for a clean-up may remove them any time.

        Nor do those that one has marked: they are put again.
        """
        snapshot = looking.snapshot()
        state.objects = {key: size for key, size in snapshot.present.items() if key in wanted}
        state.listed = looking.since
        state.settled = {}
        self._marked = snapshot.marked

    def _planner(self, found: FolderSurvey, lock: Lock) -> VariantPlanner | None:
        if not self._config.variants:
            return None
        from s3img.sync.variant_sync import VariantPlanner  # with it comes all that publishing needs

        return VariantPlanner(found.entries, found.facts, lock, self._config)

    def _maker(self, job: SyncJob) -> VariantMaker:
        from s3img.sync.variant_sync import VariantMaker

        return VariantMaker(job.variants, self._scope, self._cache, self._config)

    def _send(self, uploads: UploadPlan, state: SyncState, progress: Progress | None) -> UploadResult:
        if not uploads.uploads:
            return NOTHING
        journal = Journal(state, self._state_file, len(uploads.uploads), progress)
        try:
            result = transfer.run_uploads(
                uploads,
                self._opened(),
                workers=self._config.workers,
                progress=journal,
                deadline=self._deadline.left(),
            )
            return self._without_lost(result, state)
        except BaseException:
            self._state_file.save(state)
            raise

    def _without_lost(self, result: UploadResult, state: SyncState) -> UploadResult:
        """Look again at what was put in place of marked objects: a clean-up at the same time may have taken it."""
        bucket = self._opened()
        gone = lost(bucket, self._marked.intersection(result.uploaded), workers=self._config.workers)
        failed = {key: _taken(bucket, key) for key in gone}
        for key in gone:
            del state.objects[key]
        uploaded = tuple(key for key in result.uploaded if key not in failed)
        return structs.replace(result, uploaded=uploaded, failed={**result.failed, **failed})

    def _opened(self) -> Bucket:
        if self._bucket is None:
            self._bucket = self._open_bucket()
        return self._bucket

    def _describe(self, job: SyncJob) -> SyncPlan:
        return describe(job, self._config, self._scope)

    def _report(
        self, job: SyncJob, done: Done, started: float, *, lock_changed: bool, dry_run: bool = False
    ) -> SyncResult:
        return report(
            job,
            done,
            target=self._config.bucket,
            lock=self._lock_path.name,
            lock_changed=lock_changed,
            requests=self._bucket.requests if self._bucket else {},
            seconds=time.monotonic() - started,
            dry_run=dry_run,
        )


def _both(first: UploadResult, second: UploadResult) -> UploadResult:
    return transfer.UploadResult(
        uploaded=tuple(sorted({*first.uploaded, *second.uploaded})),
        failed={**first.failed, **second.failed},
        bytes=first.bytes + second.bytes,
        seconds=first.seconds + second.seconds,
    )


def _taken(bucket: Bucket, key: str) -> BucketError:
    message = f"{bucket.name}: {key!r} was deleted by a clean-up while it was put."
    return BucketError(message, action="put", bucket=bucket.name, key=key, fix="Run the command again.")


def _where(plan: SyncPlan) -> str:
    return f"{plan.target} at {plan.endpoint_url}" if plan.endpoint_url else plan.target


def _example(plan: SyncPlan, found: SyncPlan) -> str:
    was, now = ({*p.lock_added, *p.lock_changed, *p.lock_removed} for p in (plan, found))
    differing = sorted({upload.path for upload in {*found.uploads} ^ {*plan.uploads}} | was ^ now)
    return f", {differing[0]!r} for one" if differing else ""
