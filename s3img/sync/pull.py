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
    found = [(entry, look_up(entry, scope.base, overwrite=overwrite)) for entry in lock if scope.covers(entry.path)]
    wanted = [entry for entry, is_wanted in found if is_wanted is True]
    bucket = open_bucket() if wanted else None
    failures = restore(bucket, wanted, scope.base, workers) if bucket else {}
    remove_stale_in({(scope.base / entry.path).parent for entry, _ in found})
    findings = [
        *(finding for _, finding in found if isinstance(finding, FileFinding)),
        *(FileFinding(path, "failed", str(error).removeprefix(f"{path}: ")) for path, error in failures.items()),
    ]
    codes = {error.exit_code for error in failures.values()}
    return PullResult(
        target=target,
        restored=tuple(entry.path for entry in wanted if entry.path not in failures),
        present=sum(is_wanted is False for _, is_wanted in found),
        findings=tuple(sorted(findings)),
        requests=dict(bucket.requests) if bucket else {},
        exit_code=next((code for code in (4, 5) if code in codes), int(bool(findings))),
    )


def look_up(entry: LockEntry, base: Path, *, overwrite: bool) -> FileFinding | bool:
    """Tell whether an image has to be fetched, or what is wrong; a path that leads elsewhere is never opened."""
    if not is_inside(base, entry.path):
        message = "is not a place for an image: it is hidden, leaves the folder or has another suffix. Remove its line."
        return FileFinding(ascii(entry.path), "bad-path", message)
    try:
        have = file_digest(base / entry.path)
    except FileNotFoundError:
        return True
    except OSError as error:
        return FileFinding(entry.path, "failed", f"can't be read: {error.strerror}.")
    if have == entry.sha256 or overwrite:
        return have != entry.sha256
    return FileFinding(entry.path, "changed", "differs from the lock and stays: pull with --overwrite.")


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
