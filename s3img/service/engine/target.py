"""Results in a bucket: found by other machines, never waited for longer than needed, and no failure when it fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal

from s3img import buckets, imaging
from s3img.errors import AccessDenied, ImageError, ObjectNotFound, S3ImgError
from s3img.service.engine.cache_entry import Entry, EntryHeader
from s3img.service.engine.errors import Complaints

if TYPE_CHECKING:
    from s3img.buckets import Bucket
    from s3img.limits import Limits

PREFIX: Final = ".s3img/results/"
"""Where results are that no site refers to: below what a clean-up never takes for images."""

MARKER: Final = {"s3img": "result"}
"""Metadata of those; results that a sync makes as well have a sync's, so that a clean-up knows them for its own."""

_REST: Final = 10.0
"""Seconds without a further request after the store has failed."""


class ResultBucket:
    """Keep results as plain objects, each with its media type."""

    def __init__(self, bucket: Bucket, limits: Limits) -> None:
        self._bucket = bucket
        self._limits = limits
        self._complaints = Complaints()
        self._resting = {"read": 0.0, "write": 0.0}

    def get(self, key: str, media_type: str = "") -> Entry | None:
        """Return a result, None without one or without the store; ``media_type`` is given for what is no image."""
        try:
            with self._bucket.open(key) as opened:
                if opened.info.size > self._limits.input_bytes:  # put there by somebody else
                    return None
                data = opened.read()
        except (ObjectNotFound, AccessDenied):  # without s3:ListBucket a missing object is denied
            return None
        except S3ImgError as error:
            self.fail("read", error)
            return None
        return _entry(data, media_type, self._limits)

    def put(self, key: str, entry: Entry) -> bool:
        """Store a result; tell whether that went well."""
        if self.rests("write") or not isinstance(entry.body, bytes):
            return False
        try:
            own = buckets.MARKER | {buckets.HOME: buckets.home_of(self._bucket.name)}
            marker = MARKER if key.startswith(PREFIX) else own
            self._bucket.put(key, entry.body, media_type=entry.words.media_type, metadata=marker)
        except S3ImgError as error:
            self.fail("write", error)
            return False
        return True

    def fail(self, action: Literal["read", "write"], error: S3ImgError) -> None:
        """Report that the store failed, and leave it alone for a while."""
        self._resting[action] = time.monotonic() + _REST
        text = "Results can't be %s %s: %s They are made here until they can."
        words = "read from" if action == "read" else "stored in"
        self._complaints.warn(action, text, words, self._bucket.name, error)

    def rests(self, action: Literal["read", "write"]) -> bool:
        """Tell whether the store failed a moment ago."""
        return time.monotonic() < self._resting[action]


def _entry(data: bytes, media_type: str, limits: Limits) -> Entry | None:
    """Tell what stored bytes are by themselves: a folder keeps no media types, and whoever writes may be wrong."""
    if media_type:
        return Entry(EntryHeader(media_type), data, len(data))
    try:
        info = imaging.probe(data, limits=limits)
    except ImageError:
        return None
    return Entry(EntryHeader(info.media_type, info.width, info.height), data, len(data))
