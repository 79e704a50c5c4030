"""Copy an object within a bucket, and prove that the copy is the object before anybody deletes the original."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from s3img.buckets.key_claims import put_new
from s3img.errors import BucketError, ObjectChanged

if TYPE_CHECKING:
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
    ``only_new``, an object that is at ``to`` stays, as in `Bucket.put`. Raise `BucketError`, also where there is no
    room for a large object.
    """
    with contextlib.ExitStack() as stack:
        with bucket.open(key) as opened:
            info = opened.info
            source = _saved(bucket, opened, stack) if info.size > LARGE else opened.read()
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        original = bucket.head(key)
        if original is None or (original.size, original.etag) != (size, info.etag) or not _fits(source, original):
            raise _differs(bucket, key, "what was read of it is not all of it, or it was changed meanwhile")
        put_copy(bucket, info, to, source, only_new=only_new)
        copy = bucket.head(to)
        if copy is None or copy.size != size:
            raise _differs(bucket, key, f"its copy {to!r} is not there, or has another size")
        if copy.etag != original.etag and not _is_copied(bucket, to, source):
            raise _differs(bucket, key, f"its copy {to!r} has other bytes")
    return original


def _saved(bucket: Bucket, opened: OpenObject, stack: contextlib.ExitStack) -> Path:
    """Read an object that is too large for memory into a file, which goes with ``stack``."""
    try:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s3img-"))) / "object"
        with file.open("wb") as written:
            while data := opened.read(_CHUNK):
                written.write(data)
    except OSError as error:
        fix = "Free space for temporary files, or name another folder in TMPDIR."
        message = f"{bucket.name}: {opened.info.key!r} can't be copied: {error.strerror}."
        raise BucketError(message, action="copy", bucket=bucket.name, key=opened.info.key, fix=fix) from error
    return file


def _is_copied(bucket: Bucket, to: str, source: Path | bytes) -> bool:
    if isinstance(source, bytes):
        return bucket.get(to) == source
    with bucket.open(to) as copy, source.open("rb") as file:
        return digest_of(copy) == hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(opened: OpenObject) -> str:
    """Return the SHA-256 (hex) of what is left of an object, in flat memory."""
    found = hashlib.sha256()
    while data := opened.read(_CHUNK):
        found.update(data)
    return found.hexdigest()


def put_copy(bucket: Bucket, info: ObjectInfo, to: str, source: Path | bytes, *, only_new: bool) -> None:
    """Put bytes under another key, with the headers and metadata of the object that they come from."""
    headers = {
        "Content-Encoding": info.content_encoding,
        "Content-Disposition": info.content_disposition,
        "Content-Language": info.content_language,
    }
    put = partial(put_new, bucket) if only_new else bucket.put
    put(
        to,
        source,
        media_type=info.media_type,
        cache_control=info.cache_control,
        metadata=info.metadata or {},
        headers={name: value for name, value in headers.items() if value},
    )


def _fits(source: Path | bytes, info: ObjectInfo) -> bool:
    """Compare bytes with an ETag that is their MD5, as it is unless they are encrypted or were sent in parts."""
    if isinstance(source, Path) or info.is_encrypted or not _MD5.fullmatch(info.etag):
        return True
    return hashlib.md5(source, usedforsecurity=False).hexdigest() == info.etag.lower()


def _differs(bucket: Bucket, key: str, what: str) -> ObjectChanged:
    message = f"{bucket.name}: {key!r} can't be copied: {what}; it stays where it is."
    fix = "Run the command again; if it stays, look at the proxy before the store."
    return ObjectChanged(message, action="put", bucket=bucket.name, key=key, fix=fix)
