"""Delete what was marked long ago, after a last look at each object and at the references."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from s3img.errors import BucketError
from s3img.gc import trash
from s3img.gc.live import is_marked_as_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor

    from s3img.buckets import Bucket
    from s3img.gc.marks import Mark

BATCH = 32
"""Keys deleted at once: few, so that little time passes between the last look and the deletion."""


@dataclass(slots=True)
class Swept:
    """Hold the keys that were deleted, those that had to stay, and the failure that ended the sweep."""

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
