"""The trash: what a clean-up deletes is kept below another prefix for a while, and can be put back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

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


def keep(bucket: Bucket, keys: Iterable[str], pool: Executor) -> None:
    """Copy objects into the trash, unless another clean-up has just taken them; raise BucketError when one can't be."""

    def kept(key: str) -> None:
        # Another clean-up may have swept it a moment ago: then it is in the trash already.
        with suppress(ObjectNotFound):
            copy_object(bucket, key, FOLDER + key)

    for _ in pool.map(kept, keys):
        pass


def expired(infos: Iterable[ObjectInfo], now: datetime, period: timedelta) -> tuple[str, ...]:
    """Return the keys, as they were, of what has been in the trash for this long."""
    trashed = [info for info in infos if info.key.startswith(FOLDER)]
    return tuple(sorted(info.key.removeprefix(FOLDER) for info in trashed if now - info.modified >= period))
