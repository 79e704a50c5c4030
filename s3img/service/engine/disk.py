"""Results on disk: one file each, bounded in bytes, for all processes of a machine; a disk that fails is no failure.

A hit takes four system calls and no lock. Files are replaced as a whole and carry a checksum, so a reader never sees
half of one. What was not read for longest goes first; a process looks whether something has to go after it has
written a fiftieth of the bound, so that all of them together stay below it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from s3img.atomic import TEMPORARY_PREFIX
from s3img.service.engine.cache_entry import Damaged, Entry, EntryHeader, pack, unpack
from s3img.service.engine.errors import Complaints

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOUCH: Final = 60.0
"""Seconds in which one look at an entry counts as much as many."""
_ABANDONED: Final = 300.0
"""Seconds after which a temporary file can only be what a killed process left behind."""
_SHARE: Final = 50
_KEPT: Final = 0.8
_BLOCK: Final = 4096
_RELIEF: Final = 60.0
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_BINARY: Final = getattr(os, "O_BINARY", 0)  # Windows asks for it


class DiskCache:
    """Keep entries under hex names below ``folder``, about ``limit`` bytes of disk at most."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self.folder = folder
        self._limit = limit
        self._root = os.fspath(folder / "results")
        self._lock = threading.Lock()
        self._written = limit  # so that the first write looks at what an earlier run has left
        self._is_full = False
        self._filled = -_RELIEF
        self._complaints = Complaints()

    def get(self, name: str) -> Entry | None:
        """Return what is kept under a name; a damaged file is removed and counts as none."""
        path = f"{self._root}/{name[:2]}/{name}"
        try:
            file = os.open(path, os.O_RDONLY | _BINARY)
        except OSError:
            return None
        try:
            stat = os.fstat(file)
            entry = unpack(file, stat.st_size)
        except (Damaged, OSError):
            _remove(path)
            return None
        finally:
            os.close(file)
        if time.time() - stat.st_atime > _TOUCH:
            _touch(path, stat.st_mtime_ns)
        return entry

    def put(self, name: str, words: EntryHeader, body: bytes) -> bool:
        """Keep an entry; tell whether it is there now. A disk that is full or can't be written is reported once."""
        folder = f"{self._root}/{name[:2]}"
        temporary = f"{folder}/{TEMPORARY_PREFIX}{os.urandom(8).hex()}.tmp"
        try:
            with _new_file(folder, temporary) as file:
                _write(file, pack(words, body))
            Path(temporary).replace(f"{folder}/{name}")
        except OSError as error:
            _remove(temporary)
            self._complain(error)
            return False
        with self._lock:
            self._written += _on_disk(len(body))
        return True

    def drop(self, name: str) -> None:
        """Forget an entry; one that is not there is no error."""
        _remove(f"{self._root}/{name[:2]}/{name}")

    def is_due(self) -> bool:
        """Tell, once, whether enough was written since the last sweep to make one worth its time."""
        with self._lock:
            is_due = self._written >= self._limit / _SHARE
            self._written = 0 if is_due else self._written
            return is_due

    def sweep(self) -> int:
        """Remove what was not read for longest until four fifths of the bound are left; return the bytes kept.

        On a disk that is full what is there counts as the bound. Only one process sweeps at a time; the others leave
        it to that one.
        """
        try:
            with FileLock(self.folder / "sweep.lock", timeout=0, thread_local=False):
                return self._swept()
        except (OSError, Timeout, NotImplementedError):
            return 0

    def _swept(self) -> int:
        found = sorted(_entries(self._root, before=time.time() - _ABANDONED))
        total = sum(size for _, size, _ in found)
        bound = min(self._limit, total) if self._is_full else self._limit
        self._is_full = False
        if total <= bound * (1 - 1 / _SHARE):
            return total
        for _, size, path in found:
            if total <= bound * _KEPT:
                break
            _remove(path)
            total -= size
        return total

    def _complain(self, error: OSError) -> None:
        """Report that nothing can be written; a full disk makes a sweep due, once in a minute."""
        now = time.monotonic()
        if error.errno in _FULL and now - self._filled >= _RELIEF:
            with self._lock:
                self._filled, self._is_full, self._written = now, True, self._limit
        text = "The cache %s can't be written: %s. Results are made again until it can."
        self._complaints.warn("write", text, self.folder, error.strerror)


@contextlib.contextmanager
def _new_file(folder: str, path: str) -> Iterator[int]:
    """Open a file that does not exist yet for writing, making its folder where needed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    try:
        file = os.open(path, flags, 0o600)
    except FileNotFoundError:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, flags, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _write(file: int, parts: list[bytes]) -> None:
    for part in parts:
        view = memoryview(part)
        while view:
            view = view[os.write(file, view) :]


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


def _touch(path: str, modified: int) -> None:
    """Note that an entry was read: most file systems do so once a day at most."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), modified))


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).unlink()
