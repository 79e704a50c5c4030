"""References: one object for each build of a site that names every key its pages may point at.

A build writes its own before it looks at the bucket, under a name that no other build uses.
"""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from s3img.buckets import HOME, MARKER, ObjectInfo, home_of
from s3img.errors import DECODE_ERRORS, ObjectNotFound
from s3img.gc.marks import OWN, unusable, write_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Set
    from datetime import datetime

    from s3img.buckets import Bucket

FOLDER = f"{OWN}refs/"

UNNAMED = f"{FOLDER}unnamed/"
"""References of sites without a name: nothing tells which of them are of one site, so none replaces another."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = "s3img.reference/1"
    site: str
    keys: tuple[str, ...]


class SiteReference(msgspec.Struct, frozen=True):
    """The keys that one build named, and the object that says so."""

    info: ObjectInfo
    keys: frozenset[str]

    @property
    def site(self) -> str:
        """Return the folder that all references of its site share."""
        return self.info.key.rpartition("/")[0] + "/"


def write_reference(bucket: Bucket, keys: Iterable[str], *, site: str = "", build: str = "") -> None:
    """Name every key that a build of ``site`` may point at; call it before looking at what the bucket holds.

    ``site`` is any text that is the same for every build of one site and no other, best its public URL; ``build``
    makes the name unique and is random by default. Raise BucketError.
    """
    record = _Record(site=site, keys=tuple(sorted(set(keys))))
    name = f"{_digest_of(record.keys)}-{build or os.urandom(4).hex()}.json"
    write_record(bucket, reference_folder(site) + name, record)


def is_named(infos: Iterable[ObjectInfo], keys: Set[str], *, site: str = "") -> bool:
    """Tell whether a listing has a reference to just these keys that will go on counting: the last of its site.

    No keys need no reference where the site has none.
    """
    folder = reference_folder(site)
    own = [info for info in infos if info.key.startswith(folder) and info.key.endswith(".json")]
    if site and own:
        last = max(map(_second, own))
        own = [info for info in own if _second(info) == last]
    return _digest_of(sorted(keys)) in map(_digest, own) if own else not keys


def _digest_of(keys: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]


def reference_folder(site: str) -> str:
    """Return the prefix of the references of a site; those without a name share one."""
    if not site:
        return UNNAMED
    words = re.sub(r"[^a-z0-9.]+", "-", site.lower().partition("://")[2] or site.lower()).strip("-.")
    return f"{FOLDER}{words[:60]}-{hashlib.sha256(site.encode()).hexdigest()[:12]}/"


class ReferenceReader:
    """Read the references of a bucket; what was read once, or names the same keys, is not fetched again."""

    def __init__(self, bucket: Bucket, *, workers: int = 32) -> None:
        self._bucket = bucket
        self._workers = workers
        self._keys: dict[str, frozenset[str]] = {}

    def read(self) -> list[SiteReference]:
        """Return every reference; raise BucketError when one can't be read, because it may name anything."""
        infos = [info for info in self._bucket.list(FOLDER) if info.key.endswith(".json")]
        unread = {_digest(info): info.key for info in infos if _digest(info) not in self._keys}
        if unread:
            with ThreadPoolExecutor(self._workers) as pool:
                found = zip(unread, pool.map(self._fetch, unread.values()), strict=True)
                self._keys |= {digest: keys for digest, keys in found if keys is not None}
        return [SiteReference(info, self._keys[_digest(info)]) for info in infos if _digest(info) in self._keys]

    def _fetch(self, key: str) -> frozenset[str] | None:
        """Return the keys of a reference, None when another clean-up has just removed it."""
        try:
            return frozenset(msgspec.json.decode(self._bucket.get(key), type=_Record).keys)
        except ObjectNotFound:
            return None
        except DECODE_ERRORS as error:
            raise unusable(self._bucket, key, "reference") from error


def _digest(info: ObjectInfo) -> str:
    """Return the part of a reference's name that says which keys it names."""
    return info.key.rpartition("/")[2].partition("-")[0]


def superseded(references: Iterable[SiteReference], *, before: datetime) -> list[SiteReference]:
    """Return the references that count no more: of a named site, and ``before`` a later one was there already.

    Two that were written in one second are of one age.
    """
    references = [reference for reference in references if reference.site != UNNAMED]
    last: dict[str, datetime] = {}
    for reference in references:
        if reference.info.modified < before:
            last[reference.site] = max(last.get(reference.site, _second(reference.info)), _second(reference.info))
    return [found for found in references if found.site in last and _second(found.info) < last[found.site]]


def _second(info: ObjectInfo) -> datetime:
    return info.modified.replace(microsecond=0)


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
        self.counting: list[SiteReference] = []
        self.superseded: list[SiteReference] = []
        self.named: frozenset[str] = frozenset()
        self._read: list[ObjectInfo] = []
        self._live = frozenset(kept)

    def read(self) -> frozenset[str]:
        """Return the keys in use as of now; a second time only new references are fetched. Raise BucketError."""
        references = self._reader.read()
        read = [reference.info for reference in references]
        if read == self._read:  # asked again for every few objects that are deleted
            return self._live
        self._read = read
        self.superseded = superseded(references, before=self._before)
        old = {reference.info.key for reference in self.superseded}
        self.counting = [reference for reference in references if reference.info.key not in old]
        self.named = frozenset().union(*(reference.keys for reference in references))
        self._live = frozenset(self._kept).union(*(reference.keys for reference in self.counting))
        return self._live

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
    metadata, home = info.metadata or {}, home_of(bucket.name)
    return MARKER.items() <= metadata.items() and metadata.get(HOME, home) == home
