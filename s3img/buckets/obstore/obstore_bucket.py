"""An S3 bucket whose small objects and listings go through obstore (Rust), at about half of boto3's CPU time.

obstore tries each request once. Whatever it can't do or prove goes to boto3, which does all the rest: its retries and
its errors are the only ones, so both transports behave alike.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from s3img.buckets.obstore.store import StorePlace, direct
from s3img.buckets.protocol import IMMUTABLE, CheckedReader, ObjectInfo
from s3img.buckets.s3.options import AccessKey
from s3img.buckets.s3.s3_bucket import S3Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

    from obstore.store import S3Store

    from s3img.buckets.s3.options import S3Options
    from s3img.config.address import S3Address

_Answer = TypeVar("_Answer")

LARGEST = 4 << 20
"""Bytes up to which an object goes through obstore, whose time-out covers all of a request."""

GIVE_UP = 8
"""Requests in a row that obstore could not do, after which boto3 does everything."""

_PAUSE = 0.1
"""Seconds, at most, until boto3 repeats a request: a busy store gets a moment."""

_PROCESS = os.getpid()
"""obstore's threads don't survive a fork: in a child of the process that imported this, boto3 does everything."""


class ObstoreBucket(S3Bucket):
    """Hold objects below the prefix of an ``s3://`` address, as `S3Bucket` does, faster where it can."""

    def __init__(self, address: S3Address, options: S3Options, environment: Mapping[str, str] = os.environ) -> None:
        super().__init__(address, options)
        self._direct = direct(options, address.bucket, environment)
        self._store: S3Store | None = None
        self._opening = threading.Lock()
        self._failed = 0

    def has_credentials(self) -> bool:
        """Tell whether requests could be signed; botocore is asked only where settings and environment don't say."""
        return self._direct is not None or super().has_credentials()

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with ``prefix``, a page of 1000 at a time."""
        listed: set[str] = set()
        if _is_folder(self._base + prefix):
            pages = self._pages(self._base + prefix)
            while (page := self._tried(lambda _: next(pages, ()))) is not None:
                listed.update(info.key for info in page)
                yield from page
                if not page:
                    return
        yield from (info for info in super().list(prefix) if info.key not in listed)

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        media_type: str,
        cache_control: str = IMMUTABLE,
        metadata: Mapping[str, str] | None = None,
        sha256: str = "",
    ) -> None:
        """Send the object; the store shows it when all of it has arrived."""
        with CheckedReader(source, sha256) as content:
            data = content.read(LARGEST + 1)
        if len(data) <= LARGEST and _is_plain(self._base + key):
            headers = {"Content-Type": media_type, "Cache-Control": cache_control, **(metadata or {})}
            if self._tried(lambda store: self._put(store, key, data, headers)):
                return
        super().put(key, source, media_type=media_type, cache_control=cache_control, metadata=metadata, sha256=sha256)

    def get(self, key: str) -> bytes:
        """Return the object's bytes."""
        data = self._tried(lambda store: self._get(store, key)) if _is_plain(self._base + key) else None
        return super().get(key) if data is None else data

    def _put(self, store: S3Store, key: str, data: bytes, headers: Mapping[str, str]) -> bool:
        self._counter.add("put")
        _obstore().put(store, self._base + key, data, {name: value for name, value in headers.items() if value})
        return True

    def _get(self, store: S3Store, key: str) -> bytes:
        self._counter.add("get")
        found: bytes = _obstore().get(store, self._base + key)
        return found

    def _pages(self, prefix: str) -> Iterator[tuple[ObjectInfo, ...]]:
        self._counter.add("list")
        for number, page in enumerate(_obstore().pages(self._opened(), prefix)):
            if number:
                self._counter.add("list")
            yield tuple(
                ObjectInfo(
                    meta["path"].removeprefix(self._base),
                    meta["size"],
                    (meta["e_tag"] or "").strip('"'),
                    meta["last_modified"],
                )
                for meta in page
            )

    def _tried(self, request: Callable[[S3Store], _Answer]) -> _Answer | None:
        """Return the answer to a request that obstore can do, else None."""
        if self._failed >= GIVE_UP or os.getpid() != _PROCESS:
            return None
        try:
            answer = request(self._opened())
        except FileNotFoundError:  # an answer, too; boto3 asks again what it is that is missing
            return None
        except Exception:  # boto3 asks again, and explains what is wrong
            self._failed += 1
            time.sleep(_PAUSE * os.urandom(1)[0] / 255)  # jitter; the module random takes 6 ms to load
            return None
        self._failed = 0
        return answer

    def _opened(self) -> S3Store:
        with self._opening:
            if self._store is None:
                place = self._direct or self._place()
                self._store = _obstore().open_store(place, self._options, self._address.bucket, self._key)
            return self._store

    def _key(self) -> AccessKey:
        """Return the key to sign with now, from botocore where it may change."""
        if self._direct and self._direct.key:
            return self._direct.key
        credentials = self._connected_session().get_credentials()
        if credentials is None:
            raise PermissionError
        found = credentials.get_frozen_credentials()
        return AccessKey(found.access_key or "", found.secret_key or "", found.token or "")

    def _place(self) -> StorePlace:
        """Ask botocore where it would go."""
        from s3img.buckets.s3.client import url_of

        client = self._connected()
        url = url_of(client, self._address.bucket)
        if not url:
            self._failed = GIVE_UP
            raise PermissionError
        return StorePlace(
            url, client.meta.region_name, self._connected_session().get_config_variable("ca_bundle") or ""
        )


def _obstore() -> ModuleType:
    """Import obstore at the first request."""
    from s3img.buckets.obstore import store

    return store


def _is_plain(key: str) -> bool:
    """Tell whether obstore takes a key as it is: without empty and relative segments, and slashes at the ends."""
    return all(segment not in {"", ".", ".."} for segment in key.split("/")) and key.isprintable()


def _is_folder(prefix: str) -> bool:
    """Tell whether a prefix means the same to obstore, which looks at whole segments."""
    return not prefix or (prefix.endswith("/") and _is_plain(prefix[:-1]))
