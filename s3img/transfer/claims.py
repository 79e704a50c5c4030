"""What a build has to do so that a clean-up at the same time can't take away what it needs.

In this order: `take_snapshot` of the bucket, `claim` the keys, put what is missing, and where something was marked, see
that it is still there (`missing_keys`) before pages point at it. `s3img.transfer.delivery` does all of it; docs/gc.md
has the proof.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from s3img.buckets import ObjectInfo
from s3img.gc.marks import OWN, TRASH, read_listed_marks
from s3img.gc.references import is_named, write_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from s3img.buckets import Bucket


class BucketSnapshot(msgspec.Struct, frozen=True):
    """The bytes of each object that a build may rely on, and the keys to put again because they are marked.

    ``records`` are the clean-up's own objects; ``since`` is when the listing began, in s since 1970.
    """

    present: Mapping[str, int] = {}
    marked: frozenset[str] = frozenset()
    records: tuple[ObjectInfo, ...] = ()
    since: float = 0.0


def take_snapshot(bucket: Bucket) -> BucketSnapshot:
    """List a bucket, and read its marks where there are any; raise BucketError.

    Marks and objects have to be of one moment. Where a clean-up has replaced the marks meanwhile, the bucket is listed
    again, after the marks: what it deletes then is missing from the listing.
    """
    since = time.time()
    infos = {info.key: info for info in bucket.list()}
    marks, as_listed = read_listed_marks(bucket, infos.get(TRASH))
    if not as_listed:
        infos = {info.key: info for info in bucket.list()}
    objects = (info for key, info in infos.items() if not key.startswith(OWN) and key not in marks)
    return BucketSnapshot(
        # No image has 0 bytes: such an object is what an upload that was cut off has left, whoever asks for it.
        {info.key: info.size for info in objects if info.size},
        frozenset(marks),
        tuple(info for key, info in infos.items() if key.startswith(OWN)),
        since,
    )


def claim(
    bucket: Bucket, keys: Set[str], snapshot: BucketSnapshot, *, site: str = "", build: str = ""
) -> BucketSnapshot:
    """Name every key that a build may point at, and return what it may rely on from then on.

    A reference to the same keys that was there already does as well, if no later one of its site supersedes it. What
    was seen before a new reference counts only if nobody had ever marked anything by then: a key is swept long after
    it was marked, and marks stay. Raise BucketError.
    """
    if is_named(snapshot.records, keys, site=site):
        return snapshot
    write_reference(bucket, keys, site=site, build=build)
    has_marks = any(info.key == TRASH for info in snapshot.records) or any(bucket.list(TRASH))
    return take_snapshot(bucket) if has_marks else snapshot


def missing_keys(bucket: Bucket, keys: Iterable[str], *, workers: int = 32) -> list[str]:
    """Return those of the keys that are not there; one request each."""
    keys = [*keys]
    if not keys:
        return []
    with ThreadPoolExecutor(workers, thread_name_prefix="s3img-head") as pool:
        return [key for key, info in zip(keys, pool.map(bucket.head, keys), strict=True) if info is None]
