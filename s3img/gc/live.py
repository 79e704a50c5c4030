"""Which keys something refers to, and which objects are s3img's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.gc.references import UNNAMED, Reference, ReferenceReader, superseded
from s3img.sync import HOME, MARKER, home_of

if TYPE_CHECKING:
    from collections.abc import Set
    from datetime import datetime

    from s3img.buckets import Bucket, ObjectInfo


class LiveKeys:
    """Find the keys in use: those in ``kept`` and those of every reference that counts.

    A superseded reference counts until ``before``. After `read`, ``counting`` and ``superseded`` hold the references,
    and ``named`` every key that any of them names.
    """

    def __init__(self, bucket: Bucket, kept: Set[str], *, before: datetime, workers: int) -> None:
        self._reader = ReferenceReader(bucket, workers=workers)
        self._kept = kept
        self._before = before
        self._bucket = bucket
        self.counting: list[Reference] = []
        self.superseded: list[Reference] = []
        self.named: frozenset[str] = frozenset()

    def read(self) -> frozenset[str]:
        """Return the keys in use as of now; a second time only new references are fetched. Raise BucketError."""
        references = self._reader.read()
        self.superseded = superseded(references, before=self._before)
        old = {reference.info.key for reference in self.superseded}
        self.counting = [reference for reference in references if reference.info.key not in old]
        self.named = frozenset().union(*(reference.keys for reference in references))
        return frozenset(self._kept).union(*(reference.keys for reference in self.counting))

    @property
    def unnamed(self) -> int:
        """Return how many references are of sites without a name."""
        return sum(reference.site == UNNAMED for reference in self.counting)

    def is_own(self, info: ObjectInfo) -> bool:
        """Tell whether s3img wrote an object, as ``head`` describes it.

        Its metadata says so; where the store keeps none (a folder), a reference that names it has to.
        """
        return info.key in self.named if info.metadata is None else is_marked_as_own(info, self._bucket)


def is_marked_as_own(info: ObjectInfo, bucket: Bucket) -> bool:
    """Tell whether an object's metadata says that s3img wrote it, and to the bucket's own prefix if to any.

    What was synced to a prefix above or below only its own lock knows.
    """
    said, home = info.metadata or {}, home_of(bucket.name)
    return MARKER.items() <= said.items() and said.get(HOME, home) == home
