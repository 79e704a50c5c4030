"""A lock, the folder that it lies in, and the bucket: everything that can be done with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from s3img.atomic import remove_stale_in
from s3img.cache import Cache
from s3img.config.address import DirectoryAddress
from s3img.errors import ConfigError
from s3img.sync.state import StateFile, nothing_to_do
from s3img.sync.tree import Scope, ScopeFiles

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.sync.folder_sync import FolderSync
    from s3img.sync.outcome import CheckResult, PullResult, SyncOptions, SyncPlan, SyncResult
    from s3img.sync.state import SyncState
    from s3img.transfer.plan import Progress

    Places = Iterable[str | os.PathLike[str]]


class Project:
    """Work on the images below a lock's folder; most of the program is loaded only when there is something to do."""

    def __init__(self, config: Config, lock: str | os.PathLike[str], *, open_bucket: Callable[[], Bucket]) -> None:
        self._config = config
        self._lock_path = Path(lock)
        self._open_bucket = open_bucket
        self._cache = Cache.at(config.cache_dir)
        target = f"{config.endpoint_url} {config.bucket}"
        self.state_file = StateFile(self._cache, self._lock_path.parent, target)

    def sync(
        self,
        where: Places,
        options: SyncOptions,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> SyncResult:
        """Bring bucket and lock in line with the images on disk."""
        require_bucket(self._config)
        self._remove_stale()
        scope, state = self._scope(where), self.state_file.load()
        files = scope.files()
        done = None if dry_run else nothing_to_do(state, scope, files.images, self._lock_path, self._config, options)
        return done or self._folders(scope, options, state, files, progress).run(dry_run=dry_run)

    def plan(self, where: Places, options: SyncOptions) -> SyncPlan:
        """Say what a sync would do."""
        scope, state = self._scope(where), self.state_file.load()
        return self._folders(scope, options, state, scope.files()).plan()

    def apply(self, plan: SyncPlan, options: SyncOptions, progress: Progress | None = None) -> SyncResult:
        """Sync what was planned, if it is still the same."""
        self._remove_stale()
        scope = self._scope(self._lock_path.parent / path for path in plan.dirs)
        state = self.state_file.load()
        return self._folders(scope, options, state, scope.files(), progress).apply(plan)

    def _remove_stale(self) -> None:
        """Delete what killed runs have left behind in the cache and beside the lock, even if nothing else is to do."""
        self._cache.remove_stale_states()
        remove_stale_in([self._lock_path.parent])

    def check(self, where: Places, *, allow_missing: bool) -> CheckResult:
        """Compare the lock with the images on disk."""
        from s3img.sync.survey import check

        known = self.state_file.load().files
        return check(self._config, self._scope(where), self._lock_path, known, allow_missing=allow_missing)

    def pull(self, where: Places, *, overwrite: bool) -> PullResult:
        """Restore images of the lock from the bucket."""
        from s3img.sync.pull import pull

        config = self._config
        scope = self._scope(where)
        return pull(
            scope,
            self._lock_path,
            self._open_bucket,
            target=config.bucket,
            workers=config.workers,
            overwrite=overwrite,
        )

    def _scope(self, where: Places) -> Scope:
        """Place folders below the lock; those that hold what s3img makes of images are left out."""
        address = self._config.address
        own = [address.path] if isinstance(address, DirectoryAddress) else []
        return Scope.of(self._lock_path.parent, where, without=[self._cache.folder, *own])

    def _folders(
        self,
        scope: Scope,
        options: SyncOptions,
        state: SyncState,
        files: ScopeFiles,
        progress: Progress | None = None,
    ) -> FolderSync:
        require_bucket(self._config)
        from s3img.sync.reading import Reader

        images = files.images
        if options.listed_only:
            from s3img.lock import read_lock

            lock = read_lock(self._lock_path, missing_ok=True)
            images = {path: stat for path, stat in images.items() if path in lock}
        reader = Reader(
            scope.base,
            ScopeFiles(images, files.unread),
            state.files,
            self._config.limits,
            keep=not self._lock_path.exists(),  # without a lock, most of what is read is going to be sent
        )
        # Not before: its threads read while the rest is loaded.
        from s3img.sync.folder_sync import FolderSync
        from s3img.transfer.delivery import Delivery, Journal

        delivery = Delivery(
            self._open_bucket,
            workers=self._config.workers,
            deadline=self._config.deadline,
            progress=progress,
            journal=Journal(state.objects, lambda: self.state_file.save(state)),
        )
        return FolderSync(
            config=self._config,
            scope=scope,
            lock_path=self._lock_path,
            reader=reader,
            state=state,
            state_file=self.state_file,
            delivery=delivery,
            options=options,
        )


def require_bucket(config: Config) -> None:
    """Raise ConfigError where no bucket is configured."""
    if not config.bucket:
        raise ConfigError(["bucket: is needed, because it is where the images go: write s3://NAME/PREFIX"])
