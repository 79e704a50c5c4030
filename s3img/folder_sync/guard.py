"""Keep processes of one machine from writing a project's lock at the same time."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GUARD_SECONDS = 10.0
"""How long a process waits for another one to write the lock, which takes no time at all."""

_GLANCE = 0.01
"""Seconds after which it looks again."""


@contextlib.contextmanager
def guarded(path: Path, *, seconds: float = GUARD_SECONDS) -> Iterator[None]:
    """Hold the file ``path`` locked, `flock(2)`; where that can't be had in time, or at all, go on without.

    It is what `filelock` does on POSIX, and excludes processes that use that; its own start takes 30 ms, a tenth of a
    sync that sends a few images.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_held(path, seconds))
        yield


if sys.platform == "win32":

    @contextlib.contextmanager
    def _held(path: Path, seconds: float) -> Iterator[None]:
        from filelock import FileLock, Timeout

        with contextlib.ExitStack() as stack:
            with contextlib.suppress(Timeout):
                stack.enter_context(FileLock(path, timeout=seconds))
            yield

else:
    import fcntl

    @contextlib.contextmanager
    def _held(path: Path, seconds: float) -> Iterator[None]:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            until = time.monotonic() + seconds
            while not _is_taken(file) and time.monotonic() < until:
                time.sleep(_GLANCE)
            yield
        finally:
            os.close(file)  # which lets go; the file stays, or two processes might lock two files of one name

    def _is_taken(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True
