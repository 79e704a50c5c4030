"""Results on disk: one file each, bounded in bytes, shared by all processes of a machine.

When the disk fails, results are made again. A hit takes four system calls and no lock. Files are replaced
as a whole and carry a checksum, so a reader never sees half of one. What was not read for longest goes first; a
process looks whether something has to go after it has written a fiftieth of the bound, so that all of them together
stay below it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec
from filelock import FileLock, Timeout

from s3img.atomic import TEMPORARY_PREFIX
from s3img.errors import DECODE_ERRORS
from s3img.service.log import RateLimitedLog

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC: Final = b"s3i1"
_PREFIX: Final = struct.Struct(">4sHQI")  # magic, bytes of the header, bytes of the body, CRC-32 of both
_WHOLE: Final = 1 << 20
"""Bytes up to which a file is read into memory; a longer one is handed on open."""
_CHUNK: Final = 1 << 18
_TOUCH: Final = 60.0
"""Seconds in which one look at an entry counts as much as many."""
_ABANDONED: Final = 300.0
"""Seconds after which a temporary file can only be what a killed process left behind."""
_SHARE: Final = 50
_KEPT: Final = 0.8
_BLOCK: Final = 4096
_FULL_PAUSE: Final = 60.0
"""Seconds between two sweeps that a full disk causes."""
_BINARY: Final = getattr(os, "O_BINARY", 0)  # Windows changes line ends without it


class ResultHeader(msgspec.Struct, frozen=True, array_like=True):
    """What a result's bytes don't tell by themselves: media type, and px (0 where it has none)."""

    media_type: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A result as it is kept: its bytes, or a file open at the first of ``size`` of them."""

    header: ResultHeader
    body: bytes | BinaryIO
    size: int


class DamagedEntry(Exception):
    """A file of the cache is not what was written; the cache itself deals with it."""


def pack(header: ResultHeader, body: bytes) -> list[bytes]:
    """Return the parts of a file, in order."""
    head = msgspec.msgpack.encode(header)
    return [_PREFIX.pack(_MAGIC, len(head), len(body), zlib.crc32(body, zlib.crc32(head))), head, body]


def unpack(file: int, size: int) -> CachedResult:
    """Read a file of ``size`` bytes by its descriptor, which stays the caller's; raise `DamagedEntry` and OSError."""
    start = os.read(file, min(size, _WHOLE))
    if len(start) < _PREFIX.size:
        raise DamagedEntry
    magic, head_size, body_size, checksum = _PREFIX.unpack_from(start)
    first = _PREFIX.size + head_size
    if magic != _MAGIC or size != first + body_size or len(start) < first:
        raise DamagedEntry
    found = zlib.crc32(memoryview(start)[_PREFIX.size :])
    if len(start) < size:
        while chunk := os.read(file, _CHUNK):
            found = zlib.crc32(chunk, found)
    if found != checksum:
        raise DamagedEntry
    try:
        header = msgspec.msgpack.decode(start[_PREFIX.size : first], type=ResultHeader)
    except DECODE_ERRORS as error:  # another version wrote it
        raise DamagedEntry from error
    if len(start) == size:
        return CachedResult(header, start[first:], body_size)
    body = os.fdopen(os.dup(file), "rb")
    body.seek(first)
    return CachedResult(header, body, body_size)


class DiskCache:
    """Keep results under hex names below ``folder``, in about ``limit`` bytes of disk at most."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self.folder = folder
        self._limit = limit
        self._root = os.fspath(folder / "results")
        self._lock = threading.Lock()
        self._written = limit  # so that the first write looks at what an earlier run has left
        self._is_full = False
        self._last_full = -_FULL_PAUSE
        self._log = RateLimitedLog()

    def get(self, name: str) -> CachedResult | None:
        """Return what is kept under a name; a damaged file is removed and counts as none."""
        path = f"{self._root}/{name[:2]}/{name}"
        try:
            file = os.open(path, os.O_RDONLY | _BINARY)
        except OSError:
            return None
        try:
            stat = os.fstat(file)
            entry = unpack(file, stat.st_size)
        except (DamagedEntry, OSError):
            _remove(path)
            return None
        finally:
            os.close(file)
        if time.time() - stat.st_atime > _TOUCH:
            with contextlib.suppress(OSError):  # most file systems note a read once a day at most
                os.utime(path, ns=(time.time_ns(), stat.st_mtime_ns))
        return entry

    def put(self, name: str, header: ResultHeader, body: bytes) -> bool:
        """Keep a result; return whether it is there now. A disk that is full or can't be written is logged once."""
        folder = f"{self._root}/{name[:2]}"
        temporary = f"{folder}/{TEMPORARY_PREFIX}{os.urandom(8).hex()}.tmp"
        try:
            _write_new(folder, temporary, pack(header, body))
            Path(temporary).replace(f"{folder}/{name}")
        except OSError as error:
            _remove(temporary)
            now = time.monotonic()
            if error.errno in {errno.ENOSPC, errno.EDQUOT} and now - self._last_full >= _FULL_PAUSE:
                with self._lock:  # makes a sweep due
                    self._last_full, self._is_full, self._written = now, True, self._limit
            text = "The cache %s can't be written: %s. Results are made again until it can."
            self._log.warn("write", text, self.folder, error.strerror)
            return False
        with self._lock:
            self._written += _on_disk(len(body))
        return True

    def drop(self, name: str) -> None:
        """Forget a result; one that is not there is no error."""
        _remove(f"{self._root}/{name[:2]}/{name}")

    def is_due(self) -> bool:
        """Tell, once, whether enough was written since the last sweep to make one worth its time."""
        with self._lock:
            is_due = self._written >= self._limit / _SHARE
            self._written = 0 if is_due else self._written
            return is_due

    def sweep(self) -> int:
        """Remove what was not read for longest until four fifths of the bound are left; return the bytes kept.

        On a disk that is full, what is there counts as the bound. Only one process sweeps at a time; the others leave
        it to that one.
        """
        try:
            with FileLock(self.folder / "sweep.lock", timeout=0, thread_local=False):
                found = sorted(_entries(self._root, before=time.time() - _ABANDONED))
                total = sum(size for _, size, _ in found)
                bound = min(self._limit, total) if self._is_full else self._limit
                self._is_full = False
                if total > bound * (1 - 1 / _SHARE):
                    for _, size, path in found:
                        if total <= bound * _KEPT:
                            break
                        _remove(path)
                        total -= size
                return total
        except (OSError, Timeout, NotImplementedError):
            return 0


def _write_new(folder: str, path: str, parts: list[bytes]) -> None:
    """Write a file that does not exist yet, making its folder where needed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    try:
        file = os.open(path, flags, 0o600)
    except FileNotFoundError:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, flags, 0o600)
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(file, view) :]
    finally:
        os.close(file)


def _entries(root: str, *, before: float) -> Iterator[tuple[float, int, str]]:
    """Yield (last read, bytes of disk, path) of each entry; remove temporary files that are older than ``before``."""
    for folder in _scan(root):
        for file in _scan(folder.path):
            with contextlib.suppress(OSError):
                stat = file.stat(follow_symlinks=False)
                if not file.name.startswith(TEMPORARY_PREFIX):
                    yield stat.st_atime, _on_disk(stat.st_size), file.path
                elif stat.st_mtime < before:
                    _remove(file.path)


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [*entries]
    except OSError:
        return []


def _on_disk(size: int) -> int:
    """Return the bytes of the blocks that a file takes, one for its name among them."""
    return (size // _BLOCK + 2) * _BLOCK


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).unlink()
