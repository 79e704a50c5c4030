"""Copy an object within a bucket, and prove that the copy is the object before anybody deletes the original."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from s3img.buckets.key_claims import put_new
from s3img.errors import BucketError, ObjectChanged

if TYPE_CHECKING:
    from typing import Any

    from s3img.buckets.protocol import Bucket, ObjectInfo, OpenObject

LARGE: Final = 64 << 20
"""Bytes above which an object is copied through a file and sent in parts: no store takes 5 GB in one piece."""

_MD5 = re.compile(r"[0-9a-fA-F]{32}")

_CHUNK: Final = 1 << 20


def copy_object(bucket: Bucket, key: str, to: str, *, only_new: bool = False) -> ObjectInfo:
    """Copy an object with its headers, compare the copy with the original, and describe the original.

    The bytes go through this machine, because not every store copies, and images are small. A store, or a proxy before
    it, may give half of an object with a length to match, so what was read counts for nothing until it fits what the
    store says of the original elsewhere: its size in an answer to HEAD, and its MD5 where its ETag is one. With
    ``only_new``, an object that is at ``to`` stays, as in `Bucket.put`. Raise `BucketError`.
    """
    with bucket.open(key) as opened:
        if opened.info.size > LARGE:
            return copy_large(bucket, opened, to, only_new=only_new)
        info, data = opened.info, opened.read()
    original = bucket.head(key)
    if original is None or (original.size, original.etag) != (len(data), info.etag) or not _fits(data, original):
        raise _differs(bucket, key, "what was read of it is not all of it, or it was changed meanwhile")
    put_copy(bucket, info, to, data, only_new=only_new)
    copy = bucket.head(to)
    if copy is None or copy.size != len(data):
        raise _differs(bucket, key, f"its copy {to!r} is not there, or has another size")
    if copy.etag != original.etag and bucket.get(to) != data:
        raise _differs(bucket, key, f"its copy {to!r} has other bytes")
    return original


def copy_large(bucket: Bucket, opened: OpenObject, to: str, *, only_new: bool = False) -> ObjectInfo:
    """Copy an object that is too large for memory, through a file; its copy is read again and compared by SHA-256.

    Raise BucketError also where there is no room for the file.
    """
    info = opened.info
    with contextlib.ExitStack() as stack:
        try:
            file = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s3img-"))) / "object"
            with file.open("wb") as written:
                digest = digest_of(opened, copy_to=written)
        except OSError as error:
            fix = "Free space for temporary files, or name another folder in TMPDIR."
            message = f"{bucket.name}: {info.key!r} can't be copied: {error.strerror}."
            raise BucketError(message, action="copy", bucket=bucket.name, key=info.key, fix=fix) from error
        original = bucket.head(info.key)
        if original is None or (original.size, original.etag) != (file.stat().st_size, info.etag):
            raise _differs(bucket, info.key, "what was read of it is not all of it, or it was changed meanwhile")
        put_copy(bucket, info, to, file, only_new=only_new)
    with bucket.open(to) as copy:
        if digest_of(copy) != digest:
            raise _differs(bucket, info.key, f"its copy {to!r} has other bytes")
    return original


def digest_of(opened: OpenObject, *, copy_to: Any = None) -> str:  # noqa: ANN401 - a binary file
    """Return the SHA-256 (hex) of what is left of an object, in flat memory; its bytes may go to a file as well."""
    found = hashlib.sha256()
    while data := opened.read(_CHUNK):
        found.update(data)
        if copy_to is not None:
            copy_to.write(data)
    return found.hexdigest()


def put_copy(bucket: Bucket, info: ObjectInfo, to: str, source: Path | bytes, *, only_new: bool) -> None:
    """Put bytes under another key, with the headers and metadata of the object that they come from."""
    headers = {
        "Content-Encoding": info.content_encoding,
        "Content-Disposition": info.content_disposition,
        "Content-Language": info.content_language,
    }
    fields: dict[str, Any] = {
        "media_type": info.media_type,
        "cache_control": info.cache_control,
        "metadata": info.metadata or {},
        "headers": {name: value for name, value in headers.items() if value},
    }
    if only_new:
        put_new(bucket, to, source, **fields)
    else:
        bucket.put(to, source, **fields)


def _fits(data: bytes, info: ObjectInfo) -> bool:
    """Compare bytes with an ETag that is their MD5, as it is unless they are encrypted or were sent in parts."""
    if info.is_encrypted or not _MD5.fullmatch(info.etag):
        return True
    return hashlib.md5(data, usedforsecurity=False).hexdigest() == info.etag.lower()


def _differs(bucket: Bucket, key: str, what: str) -> ObjectChanged:
    message = f"{bucket.name}: {key!r} can't be copied: {what}; it stays where it is."
    fix = "Run the command again; if it stays, look at the proxy before the store."
    return ObjectChanged(message, action="put", bucket=bucket.name, key=key, fix=fix)
