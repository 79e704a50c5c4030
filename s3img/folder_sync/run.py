"""Bring bucket and lock in line with the images on disk: first every object, then the lock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from s3img import sync
from s3img.errors import AssetError
from s3img.folder_sync.result import Finding, FolderPlan, FolderResult, PlannedUpload
from s3img.folder_sync.settled import settle
from s3img.folder_sync.survey import Survey, survey
from s3img.lock import Lock, read_lock, write_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from pathlib import Path

    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.errors import S3ImgError
    from s3img.folder_sync.options import Options
    from s3img.folder_sync.state import StateFile, SyncState
    from s3img.folder_sync.tree import Scope
    from s3img.sync import SyncPlan, SyncResult, Upload

    Progress = Callable[[str, int, int], None]

_NOTHING = sync.SyncResult((), {}, 0, 0.0)
JOURNAL_SECONDS = 2.0
"""How often a run under way writes down what it has sent."""


@dataclass(frozen=True, slots=True)
class _Job:
    survey: Survey
    lock: Lock
    uploads: SyncPlan
    verified: Literal["cache", "list"]

    def new_lock(self, old: Lock, *, prune: bool, failed: frozenset[str] = frozenset()) -> Lock:
        """Return the lock with a line for each image whose object is there; a failed one keeps the line it had."""
        entries = [entry for entry in self.survey.entries if entry.key not in failed]
        return old.updated(entries, without=self.survey.missing if prune else ())


class FolderSync:
    """Sync the images of a scope; ``open_bucket`` is called only when there is something to ask or to send."""

    def __init__(
        self,
        config: Config,
        scope: Scope,
        lock_path: Path,
        *,
        state_file: StateFile,
        open_bucket: Callable[[], Bucket],
        options: Options,
    ) -> None:
        self._config = config
        self._scope = scope
        self._lock_path = lock_path
        self._state_file = state_file
        self._open_bucket = open_bucket
        self._options = options
        self._bucket: Bucket | None = None

    def plan(self) -> FolderPlan:
        """Say what there is to do; write nothing."""
        return self._describe(self._prepare(self._state_file.load()))

    def apply(self, plan: FolderPlan, progress: Progress | None = None) -> FolderResult:
        """Sync if the images are still those of the plan; raise AssetError if they are not, or go elsewhere."""
        started = time.monotonic()
        state = self._state_file.load()
        job = self._prepare(state)
        found = self._describe(job)
        fix = "Make a new plan with s3img plan."
        if found.target != plan.target:
            raise AssetError(f"The plan is for {plan.target}, the settings name {found.target}.", fix=fix)
        if found.tree != plan.tree:
            raise AssetError(f"The images have changed since the plan was made{_example(plan, found)}.", fix=fix)
        return self._execute(job, state, progress, started)

    def run(self, *, dry_run: bool = False, progress: Progress | None = None) -> FolderResult:
        """Send what is missing, then write the lock; what concerns single images is in the result."""
        started = time.monotonic()
        state = self._state_file.load()
        job = self._prepare(state)
        if not dry_run:
            return self._execute(job, state, progress, started)
        changed = job.new_lock(job.lock, prune=self._options.prune) != job.lock
        return self._report(job, _NOTHING, started, lock_changed=changed, dry_run=True)

    def _execute(self, job: _Job, state: SyncState, progress: Progress | None, started: float) -> FolderResult:
        result = self._send(job, state, progress)
        old = read_lock(self._lock_path, missing_ok=True)  # again: another sync may have written it meanwhile
        new = job.new_lock(old, prune=self._options.prune, failed=frozenset(result.failed))
        if new != old:
            write_lock(self._lock_path, new)
        state.forget(lambda path: path not in job.survey.files and self._scope.covers(path), new.keys())
        report = self._report(job, result, started, lock_changed=new != old)
        if report.exit_code == 0:
            settle(state, self._scope, job.survey.files, self._lock_path, self._config, self._options, report.kept)
        self._state_file.save(state)
        return report

    def _prepare(self, state: SyncState) -> _Job:
        lock = read_lock(self._lock_path, missing_ok=True)
        found = survey(self._scope, lock, state.files, self._config, listed_only=self._options.listed_only)
        uploads = [
            sync.Upload(entry.key, self._scope.base / entry.path, entry.size, entry.media_type, sha256=entry.sha256)
            for entry in found.entries
        ]
        if not self._must_list(lock, uploads, state):
            return _Job(found, lock, sync.plan(uploads, state.objects), "cache")
        self._list({upload.key for upload in uploads} | lock.keys(), state)
        return _Job(found, lock, sync.plan(uploads, state.objects), "list")

    def _must_list(self, lock: Lock, uploads: list[Upload], state: SyncState) -> bool:
        """Tell whether what is known may be out of date: a key in the lock that is not known was put by others."""
        if self._options.verify or not state.is_fresh(time.time()):
            return True
        listed = lock.keys()
        return any(upload.key in listed and upload.key not in state.objects for upload in uploads)

    def _list(self, wanted: Set[str], state: SyncState) -> None:
        """Note which of the wanted objects are there; others don't count, for a clean-up may remove them any time."""
        now = time.time()
        state.objects = {info.key: info.size for info in self._opened().list() if info.key in wanted}
        state.listed = now
        state.settled = {}

    def _send(self, job: _Job, state: SyncState, progress: Progress | None) -> SyncResult:
        self._state_file.save(state)
        if not job.uploads.uploads:
            return _NOTHING
        journal = _Journal(state, self._state_file, len(job.uploads.uploads), progress)
        try:
            return sync.run(job.uploads, self._opened(), workers=self._config.workers, progress=journal)
        finally:
            self._state_file.save(state)

    def _opened(self) -> Bucket:
        if self._bucket is None:
            self._bucket = self._open_bucket()
        return self._bucket

    def _describe(self, job: _Job) -> FolderPlan:
        new = job.new_lock(job.lock, prune=self._options.prune)
        paths = {upload.key: upload.path for upload in job.uploads.uploads}
        return FolderPlan(
            target=self._config.bucket,
            dirs=self._scope.paths,
            prune=self._options.prune,
            images=len(job.survey.entries),
            bytes=job.uploads.bytes,
            uploads=tuple(
                PlannedUpload(entry.path, entry.key, entry.size, entry.media_type)
                for entry in job.survey.entries
                if paths.get(entry.key) == self._scope.base / entry.path
            ),
            lock_added=tuple(path for path in new.entries if path not in job.lock),
            lock_changed=tuple(entry.path for entry in new if job.lock.get(entry.path) not in {None, entry}),
            lock_removed=tuple(path for path in job.lock.entries if path not in new),
            problems=job.survey.findings,
            tree=job.survey.tree,
        )

    def _report(
        self, job: _Job, result: SyncResult, started: float, *, lock_changed: bool, dry_run: bool = False
    ) -> FolderResult:
        findings = job.survey.findings + _failures(result)
        return FolderResult(
            target=self._config.bucket,
            lock=self._lock_path.name,
            images=len(job.survey.entries),
            uploaded=len(job.uploads.uploads) if dry_run else len(result.uploaded),
            present=len(job.uploads.present),
            kept=0 if self._options.prune else len(job.survey.missing),
            bytes=job.uploads.bytes if dry_run else result.bytes,
            lock_changed=lock_changed,
            verified=job.verified,
            requests=dict(self._bucket.requests) if self._bucket else {},
            problems=findings,
            failed=tuple(result.failed),
            exit_code=result.exit_code or int(bool(findings)),
            seconds=time.monotonic() - started,
            dry_run=dry_run,
        )


class _Journal:
    """Write down what has been sent, every two seconds: a killed run then goes on where it was."""

    def __init__(self, state: SyncState, state_file: StateFile, total: int, progress: Progress | None) -> None:
        self._state = state
        self._state_file = state_file
        self._total = total
        self._progress = progress
        self._done = 0
        self._saved = time.monotonic()

    def __call__(self, upload: Upload, failure: S3ImgError | None) -> None:
        self._done += 1
        if failure is None:
            self._state.objects[upload.key] = upload.size
        if time.monotonic() - self._saved >= JOURNAL_SECONDS:
            self._state_file.save(self._state)
            self._saved = time.monotonic()
        if self._progress:
            self._progress("uploading", self._done, self._total)


def _failures(result: SyncResult) -> tuple[Finding, ...]:
    """Name each cause once."""
    return tuple(Finding("", "upload", text) for text in sorted({*map(str, result.failed.values())}))


def _example(plan: FolderPlan, found: FolderPlan) -> str:
    was, now = ({*p.lock_added, *p.lock_changed, *p.lock_removed} for p in (plan, found))
    differing = sorted({upload.path for upload in found.uploads} ^ {upload.path for upload in plan.uploads} | was ^ now)
    return f", {differing[0]!r} for one" if differing else ""
