"""What a build has to do so that a clean-up at the same time can't take away what it needs.

In this order: write the reference (`write_reference`), `look` at the bucket, put what is missing, and where something
was marked, see that it is still there (`lost`) before pages point at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s3img.assets import OWN_FOLDER
from s3img.atomic import write_atomically
from s3img.errors import AssetError
from s3img.gc.marks import OWN, read_marks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from s3img.buckets import Bucket

RECORD = f"{OWN_FOLDER}/keys.txt"


@dataclass(frozen=True, slots=True)
class Stock:
    """Hold the bytes of each object that a build may rely on, and the keys to put again because they are marked."""

    present: dict[str, int]
    marked: frozenset[str]


def look(bucket: Bucket) -> Stock:
    """Ask what a bucket holds: its marks before its objects, or a clean-up could end in between unseen."""
    marked = frozenset(read_marks(bucket))
    infos = [info for info in bucket.list() if not info.key.startswith(OWN)]
    return Stock({info.key: info.size for info in infos if info.key not in marked}, marked)


def lost(bucket: Bucket, keys: Iterable[str]) -> list[str]:
    """Return those of the keys that were put again, which are not there; one request each."""
    return [key for key in keys if bucket.head(key) is None]


def site_keys(root: Path, keys: Iterable[str]) -> frozenset[str]:
    """Add keys to the record inside a built site, and return all of it.

    Pages that an earlier run finished are not read again: only the record still knows what they point at. Raise
    AssetError when it can't be read or written.
    """
    file = root / RECORD
    try:
        known = frozenset(filter(None, file.read_text("utf-8").split("\n"))) if file.exists() else frozenset()
        every = known.union(keys)
        if every != known:
            write_atomically(file, "".join(f"{key}\n" for key in sorted(every)).encode())
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file}: can't be read or written ({type(error).__name__})."
        raise AssetError(message, path=str(file), fix="Mend its permissions, or build the site anew.") from error
    return every
