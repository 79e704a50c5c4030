"""What a store's answers have to be before anything is concluded from them, and how long they may take."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from s3img.buckets.protocol import ObjectInfo
from s3img.time_limit import TimeExceeded, call_within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Answer = TypeVar("_Answer")

_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

_MD5 = re.compile(r"[0-9a-fA-F]{32}")

_LEAST_RATE = 16 << 10
"""Bytes per second below which a body is given up once its usual time is over."""


EMPTY_PAGES = 100
"""Pages without a key, one after the other, behind which no end is expected any more; Ceph and AWS send a few."""


class NoETagError(Exception):
    """An answer came without an ETag; explained like botocore's own errors."""


class BrokenListingError(Exception):
    """An answer is not a listing, or not a whole one; the text says what is wrong, without the store's words."""


class AnswerTooSlowError(Exception):
    """An answer was not complete when its time was over."""


class NoVersionError(Exception):
    """A store sent another version of an object than was asked for, or one without an id."""


class UnprovenPutError(Exception):
    """A store answered that it has an object, and has other bytes."""


def require_etag(answer: Mapping[str, Any]) -> None:
    """Tell a store from a web server that answers 200 to anything: every store names the object's ETag."""
    if not answer.get("ETag"):
        raise NoETagError


def require_root(body: bytes, root: str) -> None:
    """Raise BrokenListingError unless an XML document begins with this element.

    botocore takes any other element, and no body at all, for a result in which every field is missing. Some stores
    answer a deletion that is to be quiet without a body.
    """
    start = body[:2000].lstrip(b"\xef\xbb\xbf \t\r\n")
    found = re.match(rb"(?:<\?[^>]*>\s*|<!--[^>]*-->\s*)*<(?:[\w.-]+:)?([\w.-]+)", start)
    if (found and found[1] == root.encode()) or (root == "DeleteResult" and not start):
        return
    what = "it has no body" if not start else f"its root is not {root}"
    raise BrokenListingError(what)


_LISTED_FACTS = frozenset({"Key", "Size", "LastModified"})


class ListingPages:
    """The pages of one listing below ``prefix``, which are one whole only where each follows from the one before.

    What is missing in a listing is deleted or sent again, so half of one must not pass for all:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._tokens: set[str] = set()
        self._beginnings: set[str] = set()
        self._empty = 0

    def next_token(self, page: Mapping[str, Any]) -> str:
        """Return the token of the page after this one, "" after the last.

        Raise BrokenListingError where a page does not say whether it is the last, has no token to go on with, repeats
        a token or a page, has keys that were not asked for or objects without size or time, or where no keys come for
        very many pages.
        """
        items = page.get("Contents", ())
        if not all(item.keys() >= _LISTED_FACTS for item in items):
            raise BrokenListingError("an object in it has no Key, Size or LastModified")
        keys = [item["Key"] for item in items]
        if not all(key.startswith(self._prefix) for key in keys):
            raise BrokenListingError("it has keys outside of the prefix")
        if "IsTruncated" not in page:
            raise BrokenListingError("it does not say whether it is the last page (IsTruncated)")
        # New tokens for ever, with the same page or with none, are an answer without an end.
        if not self._beginnings.isdisjoint(keys[:1]):
            raise BrokenListingError("the same page comes again (its first key is repeated)")
        self._beginnings.update(keys[:1])
        self._empty = 0 if keys or page.get("CommonPrefixes") else self._empty + 1
        if not page["IsTruncated"]:
            return ""
        token = str(page.get("NextContinuationToken") or "")
        if not token:
            raise BrokenListingError("more pages follow, but NextContinuationToken is missing")
        if token in self._tokens:
            raise BrokenListingError("the same page comes again (NextContinuationToken is repeated)")
        if self._empty >= EMPTY_PAGES:
            raise BrokenListingError(f"{EMPTY_PAGES} pages in a row are empty, and more follow")
        self._tokens.add(token)
        return token


def listed(item: Mapping[str, Any], base: str) -> ObjectInfo:
    """Describe an object of a listing; its key is relative to ``base``."""
    etag = item.get("ETag", "").strip('"')
    return ObjectInfo(item["Key"].removeprefix(base), item["Size"], etag, item["LastModified"])


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
        content_encoding=answer.get("ContentEncoding", ""),
        content_disposition=answer.get("ContentDisposition", ""),
        content_language=answer.get("ContentLanguage", ""),
        is_encrypted=_is_encrypted(answer),
    )


def extent(answer: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Return (first byte, behind the last byte, size of the object) of what an answer to GET brings.

    It is all of the object where a store ignores ``Range``. None without a length, which HTTP allows (RFC 9112, 6.3).
    """
    if part := _CONTENT_RANGE.fullmatch(answer.get("ContentRange", "")):
        return int(part[1]), int(part[2]) + 1, int(part[3])
    length = answer.get("ContentLength")
    return None if length is None else (0, length, length)


def version_of(answer: Mapping[str, Any]) -> str:
    """Return the version that an answer to GET brings, "" where the store names none.

    OSS, OBS and COS have a header of their own for it, ``x-oss-version-id`` and so on.
    """
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    named = (value for name, value in headers.items() if name.startswith("x-") and name.endswith("-version-id"))
    return answer.get("VersionId") or next(named, "")


def is_other_md5(answer: Mapping[str, Any], md5: str) -> bool:
    """Tell whether the ETag of a PUT is an MD5 (hex), and not that of what was sent.

    It is none where the object is encrypted with a key of KMS or of the customer:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html.
    """
    etag = answer["ETag"].strip('"')
    return _MD5.fullmatch(etag) is not None and etag.lower() != md5 and not _is_encrypted(answer)


def _is_encrypted(answer: Mapping[str, Any]) -> bool:
    return bool(answer.get("SSECustomerAlgorithm")) or "kms" in str(answer.get("ServerSideEncryption", ""))


def within(seconds: float, call: Callable[[], _Answer]) -> _Answer:
    """Return what a call returns; raise AnswerTooSlowError when it takes longer, or when no time is left for it.

    botocore reads all of an answer in one go, and its time-outs begin anew with each byte that arrives.
    """
    if seconds <= 0:  # an attempt before this one took all there was
        raise AnswerTooSlowError
    try:
        return call_within(seconds, call)
    except TimeExceeded:
        raise AnswerTooSlowError from None


class RawBody(Protocol):
    """The body of an HTTP answer, as urllib3 gives it."""

    def read(self, amount: int, /) -> bytes:
        """Return ``amount`` bytes, fewer only at the end."""

    def close(self) -> None:
        """Give up the rest, and the connection with it."""


class TimedBody:
    """The body of an answer to GET, ``length`` bytes long (None: unknown); raises AnswerTooSlowError behind its time.

    The time is ``seconds``, and as much as the length takes at 16 kB a second.
    """

    def __init__(self, raw: RawBody, length: int | None, seconds: float) -> None:
        self._raw = raw
        self._left = length
        self._end = time.monotonic() + seconds + (length or 0) / _LEAST_RATE
        self._read_once: Callable[[int], bytes] = getattr(raw, "read1", raw.read)  # urllib3 has read1 from 2.1 on

    def shorten(self, seconds: float) -> None:
        """Let its time end earlier by seconds that were spent before it arrived."""
        self._end -= seconds

    def read(self, amount: int) -> bytes:
        """Return ``amount`` bytes, fewer only at the end."""
        pieces = []
        while amount > 0:
            if time.monotonic() > self._end:
                raise AnswerTooSlowError
            piece = self._read_once(amount)
            if not piece:
                break
            pieces.append(piece)
            amount -= len(piece)
            if self._left is not None:
                self._left -= len(piece)
                if not self._left:
                    self._raw.read(1)  # only read() notices the end, and gives the connection back
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let go of the connection."""
        self._raw.close()
