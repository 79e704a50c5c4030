"""Give the same answer to the same `s3img sync` as long as nothing that it depends on has changed.

Most syncs find nothing to do, and loading what finds that out (click, msgspec, the settings) takes longer than looking
at every file. So a sync that leaves nothing to do writes down the whole proof of it, and the next one compares: each
file's stat, the lock byte by byte, and the state and settings files. Whatever differs, the real sync decides.

Nothing is imported here that a bare interpreter has not loaded anyway; not for Windows and macOS, whose cache folders
take a library to find.
"""

from __future__ import annotations

import os
import sys
import time
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

YOUNG_NS = 50_000_000
"""A file changed less than this many ns ago may change again within one tick of its file system's clock."""

_MOST = 20_000
"""Files above which the proof itself would be the slow part."""


class _UnprovableError(Exception):
    """Something can't be told from its stat: a link, a device, a file that is too young."""


def answer(arguments: Sequence[str]) -> str:
    """Return what a sync with these arguments would print, "" where only the sync itself can tell."""
    try:
        with open(_memo(arguments), "rb") as file:  # noqa: PTH123 - pathlib is not loaded
            begin, end, text, state, lock, folders, proof = file.read().split(b"\0", 6)
        if float(begin) <= time.time() < float(end):
            where = _proof(os.fsdecode(state), os.fsdecode(lock), os.fsdecode(folders).split("\n"))
            return text.decode() if where == proof else ""
    except (OSError, ValueError, _UnprovableError):
        pass
    return ""


def remember(
    arguments: Sequence[str], text: str, *, state: str, lock: str, folders: Iterable[str], valid: tuple[float, float]
) -> None:
    """Keep ``text`` as the answer for the time ``valid`` (s since 1970); not if anything is too young or unusual."""
    try:
        target, places = _memo(arguments), [os.path.abspath(folder) for folder in folders]  # noqa: PTH100
        fields = [*map(str, valid), text, os.path.abspath(state), os.path.abspath(lock), "\n".join(places)]  # noqa: PTH100
        proof = _proof(state, lock, places, before=time.time_ns() - YOUNG_NS)
        data = b"\0".join([*map(os.fsencode, fields), proof])
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        temporary = f"{target}.{os.getpid()}"
        with open(temporary, "wb") as file:  # noqa: PTH123
            file.write(data)
        os.replace(temporary, target)  # noqa: PTH105
    except (OSError, ValueError, _UnprovableError):
        return


def _memo(arguments: Sequence[str]) -> str:
    """Name the file for a command in this folder and environment."""
    if sys.platform in {"win32", "darwin"}:
        raise _UnprovableError
    told = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(("S3IMG_", "AWS_")))
    key = "\0".join([sys.version, __file__, _stat(__file__), os.getcwd(), *arguments, "", *told])  # noqa: PTH109
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    data = key.encode("utf-8", "surrogateescape")
    return f"{home}/s3img/quick/{zlib.crc32(data):08x}{zlib.adler32(data):08x}{len(data):x}"


def _proof(state: str, lock: str, folders: Iterable[str], *, before: int = sys.maxsize) -> bytes:
    named = os.environ.get("S3IMG_CONFIG", "")
    lines = [f"{path} {_stat(path)}" for path in (state, "s3img.toml", "pyproject.toml", named)]
    for folder in folders:
        lines += _walk(folder, before)
        if len(lines) > _MOST:
            raise _UnprovableError
    with open(lock, "rb") as file:  # noqa: PTH123
        return "\n".join(lines).encode("utf-8", "surrogateescape") + b"\0" + file.read()


def _stat(path: str) -> str:
    try:
        found = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return "none"
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _walk(folder: str, before: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, before)
                continue
            found = entry.stat(follow_symlinks=False)
            if entry.is_symlink() or max(found.st_mtime_ns, found.st_ctime_ns) >= before:
                raise _UnprovableError
            yield f"{entry.path} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
