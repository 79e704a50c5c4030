"""Objects read as any visitor reads them: from their public address, without credentials."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

from s3img.errors import AccessDenied, BucketError, ConfigError, ObjectNotFound, Unreachable
from s3img.urls import object_url

_SECONDS: Final = 30.0
"""Time-out of a connection, and of each wait for bytes."""


class PublicObjects:
    """Objects below a ``public_url``, at most ``limit`` bytes each; any thread may ask."""

    def __init__(self, base_url: str, *, limit: int) -> None:
        if urlsplit(base_url).scheme not in {"http", "https"}:  # urllib would open file: and ftp: as well
            raise ConfigError(["public_url: is needed to read images without credentials: write an https:// address"])
        self.name = base_url
        self._limit = limit

    def get(self, key: str) -> bytes:
        """Return an object's bytes; raise `BucketError` with the URL and what to do."""
        data = self._ask(key, "GET", self._limit + 1)
        if len(data) > self._limit:
            url = object_url(self.name, key)
            raise BucketError(f"{url} has more than {self._limit} bytes.", action="get", key=key)
        return data

    def check(self, key: str) -> None:
        """Ask for an object without reading it; raise `BucketError` as `get` does."""
        try:
            self._ask(key, "GET", 0)
        except BucketError as error:
            if not isinstance(error.__cause__, urllib.error.HTTPError) or error.__cause__.code not in {405, 501}:
                raise
            self._ask(key, "HEAD", 0)

    def _ask(self, key: str, method: str, limit: int) -> bytes:
        """Send a request and return the first ``limit`` bytes of the answer; raise `BucketError`."""
        url = object_url(self.name, key)
        request = urllib.request.Request(url, headers={"User-Agent": "s3img"}, method=method)  # noqa: S310 - see above
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - see above
                data: bytes = answer.read(limit)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(url, key, error.code) from error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a redirect to what is no address
            reason = getattr(error, "reason", error)
            fix = "Check public_url and the network: s3img doctor tells how far it comes."
            raise Unreachable(f"{url} can't be reached: {reason}.", action="get", key=key, fix=fix) from error
        return data


def _refused(url: str, key: str, status: int) -> BucketError:
    """Say what an answer that is no object means."""
    if status in {404, 410}:
        fix = "Correct public_url, or put the object there with s3img push."
        return ObjectNotFound(f"{url} does not exist (HTTP {status}).", action="get", key=key, fix=fix)
    if status in {401, 403}:
        fix = "Let everybody read the bucket's objects, or correct public_url."
        return AccessDenied(f"{url} is not public (HTTP {status}).", action="get", key=key, fix=fix)
    return BucketError(f"{url} was answered with HTTP {status}.", action="get", key=key, fix="Try again later.")
