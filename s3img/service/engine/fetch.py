"""Read a source: bounded in bytes and time, again when the connection broke, whole or not at all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from s3img.errors import BucketError, ImageTooLarge, Unreachable
from s3img.service.engine.requests import Facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.buckets import Bucket
    from s3img.buckets.protocol import ObjectInfo, OpenObject
    from s3img.service.engine.requests import Budget, SourceRef

_CHUNK: Final = 1 << 18
_TRIES: Final = 3
_PAUSE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Fetched:
    """Hold a source: what its origin says of it, and its bytes, None if they turned out not to be wanted."""

    facts: Facts
    data: bytes | None


def fetch(
    bucket: Bucket, source: SourceRef, *, limit: int, budget: Budget, is_wanted: Callable[[Facts], bool]
) -> Fetched:
    """Open a source, ask whether it is wanted now that its facts are known, and read all of it.

    Raise what the bucket raises, `ImageTooLarge` above ``limit`` bytes, `BucketError` (502) for a source that ends
    early however often it is tried, and what ``budget`` raises.
    """
    for attempt in range(1, _TRIES + 1):
        budget.check("fetch the source")
        with bucket.open(source.key, version=source.version) as opened:
            facts = facts_of(opened.info, opened.version)
            if not is_wanted(facts):
                return Fetched(facts, None)
            try:
                return Fetched(facts, _read(opened, limit, budget))
            except Unreachable as error:
                if "Timeout" in error.code:
                    raise
                if attempt == _TRIES:
                    raise _incomplete(error) from error
        time.sleep(max(0.0, min(_PAUSE * attempt, budget.left)))
    raise AssertionError  # the last try returns or raises


def facts_of(info: ObjectInfo, version: str = "") -> Facts:
    """Return what a bucket says of an object."""
    return Facts(
        info.etag,
        info.size,
        info.modified,
        info.media_type,
        info.cache_control,
        version,
        dict(info.metadata or {}),
    )


def _read(opened: OpenObject, limit: int, budget: Budget) -> bytes:
    if opened.info.size > limit:
        what = f"The source has {opened.info.size:,} bytes; {limit:,} is the limit."
        raise ImageTooLarge(what, limit="input_bytes", fix="Make it smaller, or raise limits.input_bytes.")
    data = bytearray()
    while chunk := opened.read(_CHUNK):
        data += chunk
        budget.check("fetch the source")
    return bytes(data)


def _incomplete(error: Unreachable) -> BucketError:
    """Return the error for a source that ends early (502), which is not one that is too slow (504)."""
    message = f"{error.bucket}: {error.key!r} ended early on every attempt."
    return BucketError(
        message, code="IncompleteSource", action="get", bucket=error.bucket, key=error.key, fix="Try again later."
    )
