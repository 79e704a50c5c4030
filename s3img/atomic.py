"""Replace files as a whole: a reader, also after a crash, sees the old bytes or the new ones, never a mixture."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TEMPORARY_PREFIX = ".s3img-"
_STALE = 3600  # seconds after which a temporary file belongs to no run that is still at work


def write_atomically(path: Path | str, data: bytes) -> None:
    """Put bytes in place of a file, keeping its permissions where it exists; raise OSError."""
    # os instead of pathlib, and no buffer: thousands of pages are written so, and either would take as long as writing.
    name = os.fspath(path)
    temporary = temporary_beside(name)
    try:
        try:
            file = open(temporary, "xb", buffering=0)  # noqa: SIM115, PTH123
        except FileNotFoundError:  # rare: creating folders first would cost each of thousands of pages a system call
            os.makedirs(os.path.dirname(name), exist_ok=True)  # noqa: PTH103, PTH120
            file = open(temporary, "xb", buffering=0)  # noqa: SIM115, PTH123
        with file:
            written = file.write(data)
            while written < len(data):  # a full disk takes a part first, and says so when it is given the rest
                written += file.write(data[written:])
            made = os.fstat(file.fileno()).st_mode
        with contextlib.suppress(FileNotFoundError):
            if (mode := os.stat(name).st_mode) != made:  # noqa: PTH116
                os.chmod(temporary, stat.S_IMODE(mode))  # noqa: PTH101
        os.replace(temporary, name)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def temporary_beside(name: str) -> str:
    """Return a new name in the folder of a file, on the same file system, so that a rename replaces it."""
    folder = os.path.dirname(name)  # noqa: PTH120
    return os.path.join(folder, f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}.tmp")  # noqa: PTH118


def remove_stale_in(folders: Iterable[Path]) -> None:
    """Delete what killed runs have left behind in folders, not below them; for places that no run looks through."""
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(TEMPORARY_PREFIX)]
            remove_stale(folder / name for name in names if name.endswith(".tmp"))


def remove_stale(temporaries: Iterable[Path]) -> None:
    """Delete temporary files and folders that killed runs have left behind."""
    for temporary in temporaries:
        with contextlib.suppress(OSError):
            if time.time() - temporary.stat().st_mtime <= _STALE:
                continue
            if temporary.is_dir():
                import shutil  # nearly no run finds one

                shutil.rmtree(temporary)
            else:
                temporary.unlink()
