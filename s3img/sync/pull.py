"""Bring images of the lock from the bucket to disk: whole, with the bytes that the lock names, or not at all."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from s3img.atomic import remove_stale_in, write_atomically
from s3img.cache import file_digest
from s3img.errors import AssetError, FileUnwritable, ObjectChanged, S3ImgError
from s3img.lock import LockEntry, read_lock
from s3img.sync.outcome import FileFinding, PullResult
from s3img.sync.tree import Scope, is_inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3img.buckets import Bucket


def pull(
    scope: Scope, lock_path: Path, open_bucket: Callable[[], Bucket], *, target: str, workers: int, overwrite: bool
) -> PullResult:
    """Restore the images of the scope that are not on disk; with ``overwrite`` also those that differ.

    Raise `LockError` without a lock or with a damaged one, `AssetError` for a place that no line lies in; what concerns
    single images is in the result.
    """
    lock = read_lock(lock_path)
    for path in filter(None, scope.paths):
        if not any(Scope(scope.base, (path,)).covers(line) for line in lock.entries):
            raise AssetError(f"{path}: {lock_path.name} has no line for it.", path=path, fix="Check the name.")
    sorter = _Sorter(scope.base, overwrite=overwrite)
    for entry in lock:
        if scope.covers(entry.path):
            sorter.take(entry)
    bucket = open_bucket() if sorter.wanted else None
    failures = restore(bucket, sorter.wanted, scope.base, workers) if bucket else {}
    remove_stale_in({(scope.base / entry.path).parent for entry in lock if scope.covers(entry.path)})
    findings = [
        *sorter.findings,
        *(FileFinding(path, "failed", str(error).removeprefix(f"{path}: ")) for path, error in failures.items()),
    ]
    codes = {error.exit_code for error in failures.values()}
    return PullResult(
        target=target,
        restored=tuple(entry.path for entry in sorter.wanted if entry.path not in failures),
        present=sorter.present,
        findings=tuple(sorted(findings)),
        requests=dict(bucket.requests) if bucket else {},
        exit_code=next((code for code in (4, 5) if code in codes), int(bool(findings))),
    )


class _Sorter:
    """Sort lines of the lock into images to fetch, images that are there, and findings."""

    def __init__(self, base: Path, *, overwrite: bool) -> None:
        self._base = base
        self._overwrite = overwrite
        self.wanted: list[LockEntry] = []
        self.findings: list[FileFinding] = []
        self.present = 0

    def take(self, entry: LockEntry) -> None:
        """Look at one line; a path that leads elsewhere is never opened."""
        if not is_inside(self._base, entry.path):
            message = (
                "is not a place for an image: it is hidden, leaves the folder or has another suffix. Remove its line."
            )
            self.findings.append(FileFinding(ascii(entry.path), "bad-path", message))
            return
        try:
            have = file_digest(self._base / entry.path)
        except FileNotFoundError:
            have = ""
        except OSError as error:
            self.findings.append(FileFinding(entry.path, "failed", f"can't be read: {error.strerror}."))
            return
        if have == entry.sha256:
            self.present += 1
        elif have and not self._overwrite:
            message = "differs from the lock and stays: pull with --overwrite."
            self.findings.append(FileFinding(entry.path, "changed", message))
        else:
            self.wanted.append(entry)


def restore(bucket: Bucket, wanted: list[LockEntry], base: Path, workers: int) -> dict[str, S3ImgError]:
    """Fetch images, ``workers`` at a time; return failures by path."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="s3img-pull")
    try:
        futures = [pool.submit(restore_one, bucket, entry, base) for entry in wanted]
        outcomes = [(entry.path, future.result()) for entry, future in zip(wanted, futures, strict=True)]
        return {path: error for path, error in outcomes if error}
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # an interrupt begins nothing more


def restore_one(bucket: Bucket, entry: LockEntry, base: Path) -> S3ImgError | None:
    """Write one image below ``base``; return the failure, if any."""
    try:
        data = bucket.get(entry.key)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            message = f"{bucket.name}: {entry.key!r} is not the image of the lock."
            fix = "Find out who replaced it."
            return ObjectChanged(message, action="get", bucket=bucket.name, key=entry.key, fix=fix)
        write_atomically(base / entry.path, data)
    except S3ImgError as error:
        return error
    except OSError as error:
        return FileUnwritable(entry.path, error)
    return None
