"""Bring bucket and lock in line with the images on disk: first every original, then every variant, then the lock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s3img.cache import Cache
from s3img.errors import AssetError, BucketError
from s3img.lock import VariantSettings, read_lock, write_lock
from s3img.sync.job import Done, SyncJob, VariantPlan, describe, failure_findings
from s3img.sync.outcome import SyncResult
from s3img.sync.state import settle
from s3img.sync.survey import survey
from s3img.transfer import Upload, UploadPlan, plan_uploads
from s3img.transfer.render import CACHE_UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Set
    from pathlib import Path

    from s3img.config import Config
    from s3img.lock import Lock
    from s3img.sync.outcome import SyncOptions, SyncPlan
    from s3img.sync.reading import Reader
    from s3img.sync.state import StateFile, SyncState
    from s3img.sync.survey import FolderSurvey
    from s3img.sync.tree import Scope
    from s3img.sync.variant_sync import VariantMaker
    from s3img.transfer.delivery import Delivery

LISTED_AT_ONCE = 1000
"""Keys that one request lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSync:
    """Sync the images of a scope; the journal of ``delivery`` has to be that of ``state``."""

    config: Config
    scope: Scope
    lock_path: Path
    reader: Reader
    state: SyncState
    state_file: StateFile
    delivery: Delivery
    options: SyncOptions

    def plan(self) -> SyncPlan:
        """Say what there is to do; write nothing."""
        return describe(self.prepare(), self.config, self.scope)

    def apply(self, plan: SyncPlan) -> SyncResult:
        """Sync if the images are still those of the plan; raise AssetError if they are not, or go elsewhere."""
        started = time.monotonic()
        job = self.prepare()
        found = describe(job, self.config, self.scope)
        fix = "Make a new plan with s3img plan."
        if (found.target, found.endpoint_url) != (plan.target, plan.endpoint_url):
            places = (f"{p.target} at {p.endpoint_url}" if p.endpoint_url else p.target for p in (plan, found))
            raise AssetError("The plan is for {}, the settings name {}.".format(*places), fix=fix)
        if found.tree != plan.tree:
            was, now = ({*p.lock_added, *p.lock_changed, *p.lock_removed} for p in (plan, found))
            differing = sorted({upload.path for upload in {*found.uploads} ^ {*plan.uploads}} | was ^ now)
            what = (
                f"images have changed since the plan was made, {differing[0]!r} for one"
                if differing
                else ("images or the settings have changed since the plan was made")
            )
            raise AssetError(f"The {what}.", fix=fix)
        return self.execute(job, started)

    def run(self, *, dry_run: bool = False) -> SyncResult:
        """Send what is missing, then write the lock; what concerns single images is in the result."""
        started = time.monotonic()
        job = self.prepare()
        if not dry_run:
            return self.execute(job, started)
        changed = bool(job.variants.new) or job.new_lock(job.lock, job.survey.entries) != job.lock
        pending = self._maker(job).pending(self.state.objects) if job.variants.paths else 0
        return self._report(job, Done(rendered=pending), started, lock_changed=changed, dry_run=True)

    def prepare(self) -> SyncJob:
        """Read the images, ask the bucket where it has to be asked, and work out what there is to do."""
        state = self.state
        is_stale = self.options.verify or not state.is_fresh(time.time())
        if is_stale:
            self.delivery.start_snapshot()  # goes on while the files are read
        lock = read_lock(self.lock_path, missing_ok=True)
        found = survey(self.scope, lock, self.reader, self.config)
        planner = None
        if self.config.variants:
            from s3img.sync.variant_sync import VariantPlanner  # with it comes all that publishing needs

            planner = VariantPlanner(found.entries, found.facts, lock, self.config)
        wanted = found.keys() | (planner.keys if planner else set())
        # A key in the lock that is not known was put by others. Where very much is not known, a request that lists it
        # may spare as many.
        unknown = wanted - state.objects.keys()
        must_list = is_stale or len(unknown) > LISTED_AT_ONCE or not unknown.isdisjoint(lock.keys())
        if must_list:
            self.note_listed(wanted | lock.keys())
        return SyncJob(
            found,
            lock,
            self.plan_originals(found),
            verified="list" if must_list else "cache",
            variants=planner.plan(state.objects) if planner else VariantPlan(),
            settings=VariantSettings.of(self.config) if planner else None,
            prune=self.options.prune,
        )

    def note_listed(self, wanted: Set[str]) -> None:
        """Note which of the wanted objects are there; others don't count, for a clean-up may remove them any time.

        Nor do those that one has marked: they are put again.
        """
        snapshot = self.delivery.snapshot()
        self.state.objects.clear()  # the journal goes on with this one
        self.state.objects.update((key, size) for key, size in snapshot.present.items() if key in wanted)
        self.state.listed = snapshot.since
        self.state.settled = {}

    def plan_originals(self, found: FolderSurvey) -> UploadPlan:
        """Plan what is missing; where a key is claimed twice, all images together show whether that is a mistake."""
        present = self.state.objects
        is_clear = len(found.keys()) == len(found.entries)
        uploads = [
            Upload(
                entry.key,
                self.scope.file(entry.path),
                entry.size,
                entry.media_type,
                sha256=entry.sha256,
                content=found.contents.get(entry.path, b""),
                stat=found.files[entry.path] if entry.path in found.contents else None,
            )
            for entry in found.entries
            if not is_clear or present.get(entry.key) != entry.size
        ]
        return plan_uploads(uploads, present)

    def execute(self, job: SyncJob, started: float) -> SyncResult:
        """Upload, then write the lock, then what this machine knows: each only says what is true by then."""
        done = self.upload(job)
        lock, is_new = self.update_lock(job, done)
        state, files = self.state, job.survey.files
        state.forget(lambda path: path not in files and self.scope.covers(path), lock.keys())
        result = self._report(job, done, started, lock_changed=is_new)
        if result.exit_code == 0:
            settle(state, self.scope, files, self.lock_path, self.config, self.options, result.kept)
        self.state_file.save(state)
        return result

    def upload(self, job: SyncJob) -> Done:
        """Put originals, then variants; a line names only what is there, and of a failed original there is none."""
        sent = self.delivery.run(job.uploads)
        lines = [entry for entry in job.survey.entries if entry.key not in sent.failed]
        if not job.variants.paths:
            return Done(sent, tuple(lines))
        maker, present = self._maker(job), self.state.objects
        variants = self.delivery.run(plan_uploads(maker.run(present, self.delivery.progress), present))
        named = tuple(maker.line(entry, frozenset(variants.failed)) for entry in lines)
        return Done(sent.then(variants), named, maker.rendered, tuple(maker.findings))

    def _maker(self, job: SyncJob) -> VariantMaker:
        from s3img.sync.variant_sync import VariantMaker

        return VariantMaker(job.variants, self.scope, Cache.at(self.config.cache_dir), self.config)

    def update_lock(self, job: SyncJob, done: Done) -> tuple[Lock, bool]:
        """Bring the lock up to date as it is by then; return it, and whether it was written."""
        old = read_lock(self.lock_path, missing_ok=True)  # again: another sync may have written it meanwhile
        if (new := job.new_lock(old, done.lines)) == old and old.is_tidy:
            return new, False
        with self.state_file.guard():
            old = read_lock(self.lock_path, missing_ok=True)
            new = job.new_lock(old, done.lines)
            is_new = new != old or not old.is_tidy
            if is_new:
                write_lock(self.lock_path, new)
        return new, is_new

    def _report(
        self, job: SyncJob, done: Done, started: float, *, lock_changed: bool, dry_run: bool = False
    ) -> SyncResult:
        """Return what a sync did, or with ``dry_run`` would do, as the result that people read."""
        findings = job.survey.findings + done.findings + failure_findings(done.sent)
        # A full disk is not an image's fault: the next run may go well without a change, as after a store's failure.
        no_room = any(CACHE_UNWRITABLE in finding.message for finding in done.findings)
        return SyncResult(
            target=self.config.bucket,
            lock=self.lock_path.name,
            images=len(job.survey.entries),
            uploaded=len(job.uploads.uploads) if dry_run else len(done.sent.uploaded),
            present=len(job.survey.keys()) - len(job.uploads.uploads),
            kept=0 if job.prune else len(job.survey.missing),
            rendered=done.rendered,
            bytes=job.uploads.bytes if dry_run else done.sent.bytes,
            lock_changed=lock_changed,
            verified=job.verified,
            requests=dict(self.delivery.requests),
            problems=findings,
            notes=job.survey.notes,
            failed=tuple(done.sent.failed),
            exit_code=done.sent.exit_code or (BucketError.exit_code if no_room else 0) or int(bool(findings)),
            seconds=time.monotonic() - started,
            dry_run=dry_run,
        )
