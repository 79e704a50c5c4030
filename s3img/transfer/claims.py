"""What a build has to do so that a clean-up at the same time can't take away what it needs.

In this order: `look` at the bucket, `claim` the keys, put what is missing, and where something was marked, see that it
is still there (`lost`) before pages point at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from s3img.assets import OWN_FOLDER
from s3img.atomic import write_atomically
from s3img.buckets import ObjectInfo
from s3img.errors import AssetError
from s3img.gc.marks import OWN, TRASH, read_listed_marks
from s3img.gc.references import is_named, write_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Set
    from pathlib import Path

    from s3img.buckets import Bucket

RECORD = f"{OWN_FOLDER}/keys.txt"


class BucketSnapshot(msgspec.Struct, frozen=True):
    """Hold the bytes of each object that a build may rely on, and the keys to put again because they are marked.

    ``records`` are the clean-up's own objects.
    """

    present: Mapping[str, int] = {}
    marked: frozenset[str] = frozenset()
    records: tuple[ObjectInfo, ...] = ()


def look(bucket: Bucket) -> BucketSnapshot:
    """Ask what a bucket holds: one listing, and its marks where there are any.

    Marks and objects have to be of one moment. Where a clean-up has replaced the marks meanwhile, the bucket is listed
    again, after the marks: what it deletes then is missing from the listing.
    """
    infos = {info.key: info for info in bucket.list()}
    marks, as_listed = read_listed_marks(bucket, infos.get(TRASH))
    if not as_listed:
        infos = {info.key: info for info in bucket.list()}
    return BucketSnapshot(
        {key: info.size for key, info in infos.items() if not key.startswith(OWN) and key not in marks},
        frozenset(marks),
        tuple(info for key, info in infos.items() if key.startswith(OWN)),
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
    return look(bucket) if has_marks else snapshot


def lost(bucket: Bucket, keys: Iterable[str], *, workers: int = 32) -> list[str]:
    """Return those of the keys that were put again, which are not there; one request each."""
    keys = [*keys]
    if not keys:
        return []
    with ThreadPoolExecutor(workers, thread_name_prefix="s3img-look") as pool:
        return [key for key, info in zip(keys, pool.map(bucket.head, keys), strict=True) if info is None]


def site_keys(root: Path, keys: Iterable[str], *, anew: bool = False) -> frozenset[str]:
    """Add keys to the record inside a built site, and return all of it; ``anew`` forgets what it held.

    Pages that an earlier run finished are not read again: only the record still knows what they point at. Raise
    AssetError when it can't be read or written.
    """
    known = recorded_keys(root)
    every = frozenset(keys) if anew else known.union(keys)
    if every != known:
        try:
            write_atomically(root / RECORD, "".join(f"{key}\n" for key in sorted(every)).encode())
        except OSError as error:
            raise _unusable(root, error) from error
    return every


def recorded_keys(root: Path) -> frozenset[str]:
    """Return the keys that the pages of a built site may point at; raise AssetError when they can't be read."""
    try:
        return frozenset(filter(None, (root / RECORD).read_text("utf-8").split("\n")))
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(root, error) from error


def _unusable(root: Path, error: Exception) -> AssetError:
    message = f"{root / RECORD}: can't be read or written ({type(error).__name__})."
    return AssetError(message, path=str(root / RECORD), fix="Mend its permissions, or build the site anew.")
