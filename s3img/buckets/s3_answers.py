"""What goes with a request to a store, and what its answer says: values in, values out."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from s3img import providers
from s3img.buckets.bucket import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class NoETagError(Exception):
    """An answer came without an ETag; explained like botocore's own errors."""


def require_etag(answer: Mapping[str, Any]) -> None:
    """Tell a store from a web server that answers 200 to anything: every store names the object's ETag."""
    if not answer.get("ETag"):
        raise NoETagError


def checksum(data: bytes, sha256: str, endpoint_url: str) -> dict[str, str]:
    """Send one checksum beside the signed SHA-256 (hex), of the kind that is understood: R2 refuses two."""
    if providers.of_endpoint(endpoint_url).checksum == "sha256":
        return {"ChecksumSHA256": base64.b64encode(bytes.fromhex(sha256)).decode()}
    return {"ContentMD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()}


def listed(item: Mapping[str, Any], base: str) -> ObjectInfo:
    """Describe an object of a listing; its key is relative to ``base``."""
    return ObjectInfo(item["Key"].removeprefix(base), item["Size"], item["ETag"].strip('"'), item["LastModified"])


def described(key: str, answer: Mapping[str, Any], size: int) -> ObjectInfo:
    """Describe an object by the headers of an answer to GET or HEAD."""
    require_etag(answer)
    return ObjectInfo(
        key,
        size,
        answer["ETag"].strip('"'),
        answer.get("LastModified", _UNKNOWN_TIME),
        {name.lower(): value for name, value in answer["Metadata"].items()},
        media_type=answer.get("ContentType", ""),
        cache_control=answer.get("CacheControl", ""),
    )


def received(key: str, answer: Mapping[str, Any]) -> tuple[ObjectInfo, int, int]:
    """Describe the object and the bytes of it that an answer brings, which are all where a store ignores ``Range``."""
    length = answer["ContentLength"]
    part = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
    start, size = (int(part[1]), int(part[2])) if part else (0, length)
    return described(key, answer, size), start, start + length
