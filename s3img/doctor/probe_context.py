"""What the probes of one examination share: settings, the open bucket, and results of earlier probes."""

from __future__ import annotations

import dataclasses
import os
import re
import struct
import zlib
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from s3img.buckets import S3Options, open_bucket
from s3img.buckets.s3.s3_bucket import S3Bucket
from s3img.config.address import DirectoryAddress, S3Address
from s3img.errors import S3ImgError
from s3img.lock import LOCK_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.buckets import Bucket, ObjectInfo
    from s3img.buckets.s3.facts import Connection
    from s3img.config import Config
    from s3img.doctor.fetch import FetchedPage
    from s3img.errors import BucketError

FOLDER = "s3img-doctor"
"""Where probe objects live below the prefix; not hidden, because many hosts never serve names that start with a dot."""

MARK = {"s3img": "doctor"}

MEDIA_TYPE = "image/png"

CACHE_CONTROL = "public, max-age=60"

_HOSTILE = "caf\u00e9 +%20&#'.png"

_PLAIN = "plain.png"


class Sample:
    """The probe object: its keys and bytes, and which of the keys may have been put."""

    def __init__(self) -> None:
        token = os.urandom(8).hex()
        self.folder = f"{FOLDER}/{token}/"
        self.key = self.folder + _HOSTILE
        self.plain_key = self.folder + _PLAIN
        self.data = png(token)
        self._put: list[str] = []

    @property
    def is_there(self) -> bool:
        """Tell whether an object may have been put and is not deleted."""
        return bool(self._put)

    def put(self, bucket: Bucket, key: str) -> None:
        """Put the object under ``key``."""
        self._put.append(key)  # before the request: one that fails may have stored the object all the same
        bucket.put(key, self.data, media_type=MEDIA_TYPE, cache_control=CACHE_CONTROL, metadata=MARK)

    def remove(self, bucket: Bucket) -> None:
        """Delete what may have been put; raise BucketError when it can't be."""
        if self._put:
            bucket.delete(self._put)
            self._put.clear()


def is_sample(key: str) -> bool:
    """Tell whether a key is one that an examination gives to its objects."""
    name = key.rpartition("/")[2]
    return name in {_HOSTILE, _PLAIN} and re.fullmatch(FOLDER + "/[0-9a-f]{16}/", key.removesuffix(name)) is not None


def png(text: str) -> bytes:
    """Return a PNG of one transparent px with ``text`` (ASCII) in it: https://www.w3.org/TR/png-3/."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)
    pixels = zlib.compress(bytes(5))
    chunks = ((b"IHDR", header), (b"tEXt", b"s3img\0" + text.encode()), (b"IDAT", pixels), (b"IEND", b""))
    found = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        found += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return found


class ProbeContext:
    """One set-up under examination; ``leave`` allows a probe object that can't be deleted to stay."""

    def __init__(
        self, config: Config, *, environ: Mapping[str, str] | None = None, lock: Path | None = None, leave: bool = False
    ) -> None:
        self.config = config
        self.environ = os.environ if environ is None else environ
        self.lock = lock or Path(LOCK_NAME)
        self.leave = leave
        self.address = config.address
        self.sample = Sample()
        self.connection: Connection | None = None
        self.greeting: FetchedPage | None = None
        self.known: ObjectInfo | None = None
        self.evidence: tuple[str, bytes] | None = None
        self.delete_refused: BucketError | None = None
        folders = (self.folder, *self.folder.parents) if self.folder else ()
        # Only folders that the examination creates are removed at its end.
        self._missing = [path for path in folders if not path.exists()]

    @property
    def is_s3(self) -> bool:
        """Tell whether the bucket is on an S3 store."""
        return isinstance(self.address, S3Address)

    @property
    def folder(self) -> Path | None:
        """Return the folder that serves as the bucket, or None."""
        return self.address.path if isinstance(self.address, DirectoryAddress) else None

    @property
    def bucket_name(self) -> str:
        """Return the bucket's name without prefix, "" for a folder."""
        return self.address.bucket if isinstance(self.address, S3Address) else ""

    def full_key(self, key: str) -> str:
        """Return a key as the store knows it."""
        return f"{self.address.prefix}/{key}" if self.address and self.address.prefix else key

    patience: ClassVar[dict[str, Any]] = {"attempts": 2, "connect_timeout": 5.0, "read_timeout": 20.0}
    """Time-outs and attempts: fewer than those of a run, because somebody is waiting for the answer."""

    def options(self) -> S3Options:
        """Return the options to open buckets with."""
        return dataclasses.replace(S3Options.from_config(self.config, self.environ), **self.patience)

    @cached_property
    def bucket(self) -> Bucket:
        """Return the open bucket, the same for all probes; raise S3ImgError."""
        return open_bucket(self.config.bucket, self.options())

    @property
    def s3(self) -> S3Bucket:
        """Return the open bucket of an S3 store."""
        if not isinstance(self.bucket, S3Bucket):
            raise TypeError(f"{self.bucket.name} is not an S3 bucket")
        return self.bucket

    @property
    def endpoint_url(self) -> str:
        """Return the store's address without the bucket, "" while it is unknown."""
        return self.connection.endpoint_url if self.connection else self.config.endpoint_url

    @property
    def bucket_url(self) -> str:
        """Return the address of the bucket in the addressing style in use."""
        parts = urlsplit(self.endpoint_url)
        if self.style == "path":
            return f"{self.endpoint_url.rstrip('/')}/{self.bucket_name}"
        return urlunsplit((parts.scheme, f"{self.bucket_name}.{parts.netloc}", "", "", ""))

    @property
    def style(self) -> str:
        """Return where the bucket's name stands: ``path`` or ``virtual``."""
        style = self.connection.style if self.connection else "path"
        return ("path" if "." in self.bucket_name else "virtual") if style == "auto" else style

    @property
    def ca_file(self) -> str:
        """Return the file of trusted authorities, "" for those of the system."""
        return self.connection.ca_file if self.connection else ""

    def close(self) -> None:
        """Delete what the examination put, with the folders of a file bucket."""
        if self.sample.is_there and not self.delete_refused:
            with suppress(S3ImgError):
                self.sample.remove(self.bucket)
        if self.folder is not None:
            for path in (self.folder / self.sample.folder, self.folder / FOLDER, *self._missing):
                with suppress(OSError):
                    path.rmdir()
