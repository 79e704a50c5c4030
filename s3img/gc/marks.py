"""Tombstones: keys that a clean-up found unreferenced, kept in one object of the bucket until they are swept."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from s3img.buckets import MARKER
from s3img.errors import DECODE_ERRORS, BucketError, ObjectNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.buckets import Bucket, ObjectInfo

OWN = ".s3img/"
"""Keys below this are the clean-up's own records; it never takes them for images."""

TRASH = f"{OWN}trash.json"


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Remember when a key was found unreferenced, by our clock, and when its object was written, by the store's."""

    at: datetime
    modified: datetime

    def fits(self, info: ObjectInfo) -> bool:
        """Tell whether the object was not written again; listings and HEAD may differ in fractions of a second."""
        return info.modified.replace(microsecond=0) == self.modified.replace(microsecond=0)


class _Trash(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = "s3img.trash/1"
    marks: dict[str, Mark] = {}


def read_marks(bucket: Bucket) -> dict[str, Mark]:
    """Return the marks of a bucket, by key; raise BucketError when they can't be read.

    Listing first means that a build needs no permission to read objects until somebody cleans up its bucket.
    """
    listed = next((info for info in bucket.list(TRASH) if info.key == TRASH), None)
    return read_listed_marks(bucket, listed)[0]


def read_listed_marks(bucket: Bucket, listed: ObjectInfo | None) -> tuple[dict[str, Mark], bool]:
    """Return the marks, and whether they are still the ones that were listed; raise BucketError."""
    if listed is None:
        return {}, True
    try:
        with bucket.open(TRASH) as found:
            marks = msgspec.json.decode(found.read(), type=_Trash).marks
            return marks, found.info.etag == listed.etag
    except ObjectNotFound:
        return {}, False
    except DECODE_ERRORS as error:
        raise unusable(bucket, TRASH, "marks") from error


def write_marks(bucket: Bucket, marks: Mapping[str, Mark]) -> None:
    """Replace the marks of a bucket."""
    write_record(bucket, TRASH, _Trash(marks=dict(sorted(marks.items()))))


def write_record(bucket: Bucket, key: str, record: msgspec.Struct) -> None:
    """Store a record of the clean-up's own as JSON."""
    data = msgspec.json.encode(record)
    bucket.put(key, data, media_type="application/json", cache_control="no-store", metadata=MARKER)


def unusable(bucket: Bucket, key: str, what: str) -> BucketError:
    """Report a record that something else has written over."""
    message = f"{bucket.name}: {key!r} holds no {what} that this version of s3img can read."
    fix = "Update s3img; if the object is damaged, delete it and publish every site of the bucket again."
    return BucketError(message, code="InvalidRecord", action="get", bucket=bucket.name, key=key, fix=fix)
