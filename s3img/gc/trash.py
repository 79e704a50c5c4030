"""The trash: what a clean-up deletes is kept below another prefix for a while, and can be put back."""

from __future__ import annotations

from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from s3img.buckets import copy_object
from s3img.errors import ObjectNotFound
from s3img.gc.marks import OWN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor
    from datetime import datetime, timedelta

    from s3img.buckets import Bucket, ObjectInfo

FOLDER = f"{OWN}trash/"
"""What was deleted is here under its own key: ``.s3img/trash/img/cat.9f2c81aa.jpg``."""


class RestoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report keys that were put back, or would be; those in ``present`` are there already."""

    schema: str = "s3img.restore/1"
    target: str
    applied: bool = False
    restored: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    requests: dict[str, int] = {}

    def __str__(self) -> str:
        head = "" if self.applied else "Nothing was changed. "
        done = "restored" if self.applied else "would be restored"
        return f"{head}{self.target}: {len(self.restored)} {done}, {len(self.present)} are there already."


def keep(bucket: Bucket, keys: Iterable[str], pool: Executor) -> None:
    """Copy objects into the trash, unless another clean-up has just taken them; raise BucketError when one can't be."""

    def kept(key: str) -> None:
        # Another clean-up may have swept it a moment ago: then it is in the trash already.
        with suppress(ObjectNotFound):
            copy_object(bucket, key, FOLDER + key)

    for _ in pool.map(kept, keys):
        pass


def forget(bucket: Bucket, keys: Iterable[str]) -> None:
    """Delete what is in the trash under these keys."""
    bucket.delete([FOLDER + key for key in keys])


def expired(infos: Iterable[ObjectInfo], now: datetime, period: timedelta) -> tuple[str, ...]:
    """Return the keys, as they were, of what has been in the trash for this long."""
    trashed = [info for info in infos if info.key.startswith(FOLDER)]
    return tuple(sorted(info.key.removeprefix(FOLDER) for info in trashed if now - info.modified >= period))


def restore(bucket: Bucket, patterns: Iterable[str], *, apply: bool, pool: Executor) -> RestoreResult:
    """Put back every object of the trash whose key matches one of the patterns (``*`` for all).

    What is put back is as young as any other new object: the next clean-up leaves it alone for the grace period. Raise
    BucketError.
    """
    wanted = [*patterns]
    trashed = (info.key.removeprefix(FOLDER) for info in bucket.list(FOLDER))
    found = sorted(key for key in trashed if key in wanted or any(fnmatchcase(key, one) for one in wanted))
    present = {key for key, info in zip(found, pool.map(bucket.head, found), strict=True) if info}
    missing = [key for key in found if key not in present]
    if apply:
        # Copied first, forgotten after: a run that is cut off between the two leaves an object twice, never not at all.
        for _ in pool.map(lambda key: copy_object(bucket, FOLDER + key, key), missing):
            pass
        forget(bucket, found)
    return RestoreResult(
        target=bucket.name,
        applied=apply,
        restored=tuple(missing),
        present=tuple(sorted(present)),
        requests=dict(bucket.requests),
    )
