"""Put an object only where none is, also in stores that pass over that condition: whoever writes claims the key first.

A claim is an object below ``.s3img/claims/`` whose folder follows from the key. Who sees no claim but its own in one
listing may look whether the key is free, and write. Of two at the same moment at least one sees the other, because
stores list what was put before; who was faster and is done has written its object, which the other then finds.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from s3img.errors import AccessDenied, BucketError
from s3img.keys import OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3img.buckets.protocol import Bucket, ObjectInfo

CLAIMS: Final = f"{OWN_FOLDER}/claims/"
"""Where claims are. Those of killed processes count no longer after a while, and go with the next clean-up."""

NO_CONDITIONS: Final = frozenset({"NotImplemented", "501"})
"""What stores answer to a condition that they do not know."""

CLAIM_FIELDS: Final[dict[str, Any]] = {
    "media_type": "text/plain",
    "cache_control": "no-store",
    "metadata": {"s3img": "claim"},
}
"""The headers of a claim, which names neither the machine nor the key: the bucket may be readable by everybody."""

_PATIENCE: Final = 10.0
"""Seconds to wait for others that write the same key."""

_FRESH: Final = 30.0
"""Seconds within which who has a claim begins to write: a process that was frozen for longer claims the key again."""

_LONGEST_PUT: Final = 120
"""Seconds that a claim counts, besides one for each 4 kB of the object: no put takes longer."""

_NAME: Final = re.compile(r"(\d{1,7})-[0-9a-f]{32}")


def put_new(bucket: Bucket, key: str, source: Path | bytes, **fields: Any) -> None:  # noqa: ANN401 - those of a put
    """Store an object as `Bucket.put` does; where one is, raise `BucketError` with the reason ``condition-failed``.

    Where the store does not look whether the key is taken (`Bucket.refuses_taken`), it is claimed first. Credentials
    that may not put or list claims leave it to the store.
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if bucket.refuses_taken():
        try:
            bucket.put(key, source, only_new=True, **fields)
        except BucketError as error:
            if error.code not in NO_CONDITIONS:
                raise
        else:
            return
    try:
        with _claimed(bucket, key, _LONGEST_PUT + size // 4096):
            if bucket.head(key) is not None:
                raise _taken(bucket, key, "is there already")
            bucket.put(key, source, **fields)
            return
    except AccessDenied as error:
        if not error.key.startswith(CLAIMS):
            raise
    try:
        bucket.put(key, source, only_new=True, **fields)
    except BucketError as error:
        if error.code not in NO_CONDITIONS:
            raise
        bucket.put(key, source, **fields)  # nothing better is possible with these rights in such a store


@contextmanager
def _claimed(bucket: Bucket, key: str, seconds: int) -> Iterator[None]:
    """Have the only claim of a key, for ``seconds`` at most; raise `BucketError` where others keep theirs."""
    folder = f"{CLAIMS}{hashlib.sha256(key.encode()).hexdigest()[:32]}/"
    end = time.monotonic() + _PATIENCE
    while True:
        claim = f"{folder}{seconds}-{uuid.uuid4().hex}"
        begun = time.monotonic()
        try:
            bucket.put(claim, b"claim\n", **CLAIM_FIELDS)
            while others := _others(bucket, folder, claim):
                if min(others) < claim or time.monotonic() > end:
                    break  # everybody but the first gives way, so that somebody is alone in the end
                time.sleep(random.uniform(0.02, 0.1))  # noqa: S311 - no secret
            else:
                if time.monotonic() - begun < _FRESH:
                    yield
                    return
        finally:
            with suppress(BucketError):  # it counts for a while, then no longer
                bucket.delete([claim])
        if time.monotonic() > end:
            raise _taken(bucket, key, "is being written by others")
        time.sleep(random.uniform(0.02, 0.3))  # noqa: S311 - no secret


def _others(bucket: Bucket, folder: str, claim: str) -> list[str]:
    """Return the claims that count besides one's own; delete those that are over.

    Where the listing does not show one's own, it proves nothing: the answer is then the folder itself, as if there were
    an earlier claim. Times are the store's, both.
    """
    found = {info.key: info for info in bucket.list(folder)}
    own = found.pop(claim, None)
    if own is None:
        return [folder]
    over = [key for key, info in found.items() if _is_over(info, own)]
    with suppress(BucketError):
        bucket.delete(over)
    return [key for key in found if key not in over]


def _is_over(info: ObjectInfo, own: ObjectInfo) -> bool:
    """Tell whether a claim counts no longer; who made it has said for how long, in its name."""
    named = _NAME.fullmatch(info.key.rpartition("/")[2])
    return named is None or (own.modified - info.modified).total_seconds() > int(named[1])


def _taken(bucket: Bucket, key: str, why: str) -> BucketError:
    message = f"{bucket.name}: {key!r} {why}."
    fix = "Read it again before you write it."
    return BucketError(message, reason="condition-failed", action="put", bucket=bucket.name, key=key, fix=fix)
