"""What every store offers: a flat map of keys to bytes, and the count of requests it took."""

from __future__ import annotations

import errno
import functools
import hashlib
import io
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol
from urllib.parse import quote

from s3img.errors import AssetError, FileUnreadable, ObjectChanged, RangeNotSatisfiable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

IMMUTABLE = "public, max-age=31536000, immutable"
"""``Cache-Control`` of an object whose key changes with its bytes (RFC 8246)."""

MARKER = {"s3img": "1"}
"""Metadata of every object that s3img writes (``x-amz-meta-s3img: 1``), so that a later clean-up knows its own."""

HOME = "s3img-home"
"""Name of the metadata that says to which prefix an object belongs; a clean-up of another one leaves it alone."""


@functools.lru_cache(maxsize=64)
def home_of(bucket: str) -> str:
    """Return the prefix that a bucket's address names, ``/`` in front, as a header can show it (RFC 3986, 2.1)."""
    return quote("/" + bucket.partition("://")[2].partition("/")[2].strip("/"))


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Describe one stored object; ``size`` in bytes, ``etag`` opaque and without quotes, ``modified`` with a zone.

    ``metadata`` is what its ``put`` gave, names in lower case; None in listings and in stores that keep none, where
    all that follows (headers of HTTP as they were stored) is empty. The ETag of an object that ``is_encrypted`` with a
    key of KMS or of the customer says nothing about its bytes.
    """

    key: str
    size: int
    etag: str
    modified: datetime
    metadata: Mapping[str, str] | None = field(default=None, compare=False)
    media_type: str = field(default="", compare=False)
    cache_control: str = field(default="", compare=False)
    content_encoding: str = field(default="", compare=False)
    content_disposition: str = field(default="", compare=False)
    content_language: str = field(default="", compare=False)
    is_encrypted: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class BrowserUpload:
    """A signed request by which a browser sends a file to the store itself.

    With POST it is a form of these ``fields``, the file last; with PUT the file alone, and ``fields`` are its headers.
    """

    method: Literal["POST", "PUT"]
    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """Name an upload in parts that was begun and never finished; its parts take up space that is paid for."""

    key: str
    identity: str
    begun: datetime


class Body(Protocol):
    """Give bytes one after the other: a file, or the answer to a GET."""

    def read(self, amount: int, /) -> bytes:
        """Return ``amount`` bytes, fewer only at the end."""

    def close(self) -> None:
        """Let go of the file or the connection."""


class OpenObject:
    """Read an object, or the range of it from ``start`` to ``stop`` (bytes, exclusive), while it arrives.

    ``info`` describes all of the object, ``version`` names it in a bucket that keeps several. Use it as a context
    manager: closing it early gives up the rest. ``guard`` turns what reading raises into a `BucketError`.
    """

    def __init__(
        self,
        info: ObjectInfo,
        body: Body,
        guard: Callable[[], AbstractContextManager[object]],
        *,
        start: int = 0,
        stop: int | None = None,
        version: str = "",
    ) -> None:
        self.info = info
        self.start = start
        self.stop = info.size if stop is None else stop
        self.version = version
        self._body = body
        self._guard = guard
        self._left = self.stop - self.start

    @property
    def media_type(self) -> str:
        """Its ``Content-Type``; empty where the store keeps none."""
        return self.info.media_type

    @property
    def cache_control(self) -> str:
        """Its ``Cache-Control``; empty where the store keeps none."""
        return self.info.cache_control

    def __enter__(self) -> OpenObject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, amount: int = -1) -> bytes:
        """Return the next ``amount`` bytes (all that are left if negative), fewer only at the end.

        Raise `Unreachable` when the object ends before ``stop``: what was read is not all of it.
        """
        wanted = self._left if amount < 0 else min(amount, self._left)
        with self._guard():
            data = self._body.read(wanted) if wanted else b""
            if len(data) < wanted:
                raise OSError(errno.EIO, "it ended early")
        self._left -= wanted
        return data

    def close(self) -> None:
        """Let go of the file or the connection; a second time is not an error."""
        self._body.close()


def byte_range(call: tuple[str, str], size: int | None, start: int, stop: int | None) -> tuple[int, int | None]:
    """Cut a range to an object's size (None: unknown yet); raise `RangeNotSatisfiable` when no byte is in it.

    ``call`` is the bucket's name and the key. An object without bytes has only the range of all of it.
    """
    end = stop if size is None else min(size, size if stop is None else stop)
    if start >= 0 and (end is None or start < end or (start == end == 0 and stop is None)):
        return start, end
    bucket, key = call
    message = f"{bucket}: {key!r} has no bytes from {start} to {'its end' if stop is None else stop} (InvalidRange)."
    fix = "Ask for bytes inside of the object."
    raise RangeNotSatisfiable(message, code="InvalidRange", action="get", bucket=bucket, key=key, fix=fix)


def other_etag(bucket: str, key: str) -> ObjectChanged:
    """Report an object that is no longer the one whose ETag was given (RFC 9110, section 13.1.1)."""
    message = f"{bucket}: {key!r} was changed meanwhile (PreconditionFailed)."
    return ObjectChanged(message, code="PreconditionFailed", action="get", bucket=bucket, key=key, fix="List it again.")


class Bucket(Protocol):
    """Objects under keys relative to what the bucket's address names; safe to share between threads.

    Every method raises only `BucketError` and its kinds, and `AssetError` for the local file of a ``put``.
    """

    @property
    def name(self) -> str:
        """The address to show to people; never holds a secret."""

    @property
    def requests(self) -> Mapping[str, int]:
        """Requests sent so far, retries included, by ``put``, ``list``, ``get``, ``head``, ``delete``."""

    def has_credentials(self) -> bool:
        """Tell whether requests could be signed, without asking the store."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with ``prefix``, in no promised order."""

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        media_type: str,
        cache_control: str = IMMUTABLE,
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        sha256: str = "",
        only_new: bool = False,
    ) -> None:
        """Store all of ``source`` or nothing; refuse bytes whose SHA-256 (hex) is not the one given.

        ``headers`` are ``Content-Disposition``, ``Content-Encoding`` and ``Content-Language``. With ``only_new``, an
        object that is there stays, and `BucketError` with the reason ``condition-failed`` says so; not every store
        knows this condition, and some pass over it: see `refuses_taken` and `s3img.buckets.key_claims`.
        """

    def refuses_taken(self) -> bool:
        """Tell whether a ``put`` with ``only_new`` can be relied on; the store is asked where nobody knows."""

    def get(self, key: str) -> bytes:
        """Return the object's bytes; `ObjectNotFound` without one."""

    def open(
        self, key: str, *, version: str = "", start: int = 0, stop: int | None = None, etag: str = ""
    ) -> OpenObject:
        """Read the object, one version of it, or a range of its bytes, while it arrives.

        ``stop`` is exclusive and may lie behind the end. A store may send more than the range: see `OpenObject.start`
        and ``stop``. Raise `ObjectNotFound` without the object, `RangeNotSatisfiable` when no byte is in the range, and
        `ObjectChanged` when its ETag is not ``etag`` ("" takes any).
        """

    def head(self, key: str) -> ObjectInfo | None:
        """Describe the object, or return None without one."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove these objects; a key without one is not an error."""

    def unfinished(self, prefix: str = "") -> Sequence[UnfinishedUpload]:
        """List uploads in parts below ``prefix`` that were never finished; none where the store does not tell."""

    def give_up(self, upload: UnfinishedUpload) -> None:
        """Delete the parts of an upload; one that is gone, or was finished meanwhile, is not an error."""


@functools.lru_cache(maxsize=8)
def reopened(kind: Callable[..., Bucket], *arguments: Hashable) -> Bucket:
    """Open a bucket that arrives in another process by pickle: once there, whatever the number of jobs."""
    return kind(*arguments)


class RequestCounter:
    """Count requests by operation from many threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, operation: str) -> None:
        """Count one request."""
        with self._lock:
            self._counts[operation] += 1

    def totals(self) -> Counter[str]:
        """Return a copy that no later request changes."""
        with self._lock:
            return self._counts.copy()


_AGAIN = "Run the command again once nothing writes to it."


class CheckedReader:
    """Read a source once, front to back, and fail at its end when its SHA-256 is not ``sha256`` ("" checks nothing).

    A store that makes an object visible only after the last read therefore never shows bytes that were not planned.
    There is no ``seek``: s3transfer would otherwise read the file again behind the check.
    """

    def __init__(self, source: Path | bytes, sha256: str = "") -> None:
        self._path = str(source) if isinstance(source, Path) else ""
        self._file = _open(source)
        self._sha256 = sha256
        self._hash = hashlib.sha256()

    def __enter__(self) -> CheckedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, fewer only at the end; raise `AssetError` for an unreadable or changed file."""
        try:
            data = self._file.read(size)
        except OSError as error:
            raise FileUnreadable(self._path, error) from error
        if self._sha256:
            self._hash.update(data)
            if (size < 0 or len(data) < size) and self._hash.hexdigest() != self._sha256:
                raise changed(self._path)
        return data


def changed(path: str) -> AssetError:
    """Report a file whose bytes are no longer those that were planned."""
    return AssetError(
        f"{path or 'The content'}: changed between planning and upload; not uploaded.", path=path, fix=_AGAIN
    )


def _open(source: Path | bytes) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return source.open("rb")
    except OSError as error:
        raise FileUnreadable(str(source), error) from error
