"""Copy an object within a bucket, and prove that the copy is the object before anybody deletes the original."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from s3img.errors import BucketError

if TYPE_CHECKING:
    from s3img.buckets.protocol import Bucket, ObjectInfo

_MD5 = re.compile(r"[0-9a-fA-F]{32}")


def copy_object(bucket: Bucket, key: str, to: str) -> None:
    """Copy an object with its headers, and compare the copy with the original; raise `BucketError`.

    The bytes go through this machine, because not every store copies, and images are small. A store, or a proxy before
    it, may give half of an object with a length to match, so what was read counts for nothing until it fits what the
    store says of the original elsewhere: its size in an answer to HEAD, and its MD5 where its ETag is one.
    """
    with bucket.open(key) as opened:
        info, data = opened.info, opened.read()
    original = bucket.head(key)
    if original is None or (original.size, original.etag) != (len(data), info.etag) or not _fits(data, original):
        raise _differs(bucket, key, "what was read of it is not all of it, or it was changed meanwhile")
    headers = {
        "Content-Encoding": info.content_encoding,
        "Content-Disposition": info.content_disposition,
        "Content-Language": info.content_language,
    }
    bucket.put(
        to,
        data,
        media_type=info.media_type,
        cache_control=info.cache_control,
        metadata=info.metadata or {},
        headers={name: value for name, value in headers.items() if value},
    )
    copy = bucket.head(to)
    if copy is None or copy.size != len(data):
        raise _differs(bucket, key, f"its copy {to!r} is not there, or has another size")
    if copy.etag != original.etag and bucket.get(to) != data:
        raise _differs(bucket, key, f"its copy {to!r} has other bytes")


def _fits(data: bytes, info: ObjectInfo) -> bool:
    """Compare bytes with an ETag that is their MD5, as it is unless they are encrypted or were sent in parts."""
    if info.is_encrypted or not _MD5.fullmatch(info.etag):
        return True
    return hashlib.md5(data, usedforsecurity=False).hexdigest() == info.etag.lower()


def _differs(bucket: Bucket, key: str, what: str) -> BucketError:
    return BucketError(
        f"{bucket.name}: {key!r} can't be copied: {what}; it stays where it is.",
        code="CopyDiffers",
        reason="copy-differs",
        action="put",
        bucket=bucket.name,
        key=key,
        fix="Run the command again; if it stays, look at the proxy before the store.",
    )
