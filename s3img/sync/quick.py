"""Give the same answer to the same `s3img sync` or `s3img publish` as long as nothing that it depends on has changed.

Most runs find nothing to do, and loading what finds that out (click, msgspec, the settings) takes longer than looking
at every file. So a run that leaves nothing to do writes down the whole proof of it, and the next one compares: each
file's stat, the lock byte by byte, the state and settings files, the program and the environment. Whatever differs,
the real command decides.

A sync looks at its files once: what the comparison has seen is handed on to the real command, and what that has seen
is the proof that it writes down. Files that it has not seen like this are not what it has decided about.

Nothing is imported here that a bare interpreter has not loaded anyway; not for Windows and macOS, whose cache folders
take a library to find.
"""

from __future__ import annotations

import os
import sys
import time
import zlib

from s3img.keys import RENDER_VERSION
from s3img.sync.look import Look, UnusualError, hand_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

YOUNG_NS = 50_000_000
"""A file changed less than this many ns ago may change again within one tick of its file system's clock."""

_PROGRAM = (__file__, f"{__file__.rpartition('folder_sync')[0]}__init__.py")
"""Files that another release replaces; the second one names the version."""

_STARTED = time.time_ns()
"""Settings that changed later than this are not those that the run has read."""

_MOST = 20_000
"""Files above which the proof itself would be the slow part."""

_KEPT = 30 * 86_400
"""Seconds after which an answer is forgotten: its folder may be long gone."""


class _UnprovableError(Exception):
    """Something can't be told from its stat: there is too much of it, or it is too young."""


def answer(arguments: Sequence[str]) -> str:
    """Return what a command with these arguments would print, "" where only the command itself can tell."""
    try:
        with open(_memo(arguments), "rb") as file:
            begin, end, text, state, lock, folders, proof = file.read().split(b"\0", 6)
        if float(begin) <= time.time() < float(end):
            os.stat(state)  # without one there is no need to look at every file
            places = os.fsdecode(folders).split("\n")
            seen = Look(places)
            hand_on(places, seen)
            found = _proof(arguments, os.fsdecode(state), os.fsdecode(lock), seen)
            return text.decode() if found == proof else ""
    except (OSError, ValueError, UnusualError, _UnprovableError):
        pass
    return ""


def remember(
    arguments: Sequence[str],
    settled: Callable[[], tuple[str, float, float]],
    *,
    state: str,
    lock: str,
    folders: Iterable[str],
    seen: Look | None = None,
) -> None:
    """Keep an answer, with the times (s since 1970) from and until when it holds; not if a file is young or unusual.

    ``settled`` gives all three; the answer is "" if something is left to do. It is asked after the proof was taken, so
    that it has seen whatever changed before. ``seen`` is the look that the run has decided by, if it has written
    nothing into the folders since but lock and state.
    """
    try:
        target, places = _memo(arguments), [os.path.abspath(folder) for folder in folders]
        own = os.path.abspath(lock)  # which the run itself may just have written; its bytes are compared
        others = [path for path in _settings(arguments) if os.path.abspath(path) != own]
        _refuse_younger(map(os.stat, filter(os.path.isfile, others)), than=_STARTED - YOUNG_NS)
        seen = seen or Look(places)
        proof = _proof(arguments, state, lock, seen)
        _refuse_younger(_counted(seen, state, lock).values(), than=seen.since - YOUNG_NS)
        text, *valid = settled()
        if text:
            fields = [*map(str, valid), text, os.path.abspath(state), own, "\n".join(places)]
            _write(target, b"\0".join([*map(os.fsencode, fields), proof]))
    except (OSError, ValueError, UnusualError, _UnprovableError):
        return


def _write(target: str, data: bytes) -> None:
    """Replace a memo, and clear those that nobody has renewed for long."""
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    temporary = f"{target}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.replace(temporary, target)
    with os.scandir(folder) as memos:
        for memo in memos:
            if memo.stat().st_mtime < time.time() - _KEPT:
                os.unlink(memo.path)


def _memo(arguments: Sequence[str]) -> str:
    """Name the file for a command in this folder."""
    if sys.platform in {"win32", "darwin"}:
        raise _UnprovableError
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return f"{home}/s3img/quick/{_sum([os.getcwd(), *arguments])}"


def _sum(texts: Iterable[str]) -> str:
    data = "\0".join(texts).encode("utf-8", "surrogateescape")
    return f"{zlib.crc32(data):08x}{zlib.adler32(data):08x}{len(data):x}"


def _told() -> str:
    """Return what changes with the environment; the values themselves may be secrets."""
    told = (f"{name}={value}" for name, value in os.environ.items() if name.startswith(("S3IMG_", "AWS_")))
    return _sum([sys.version, str(RENDER_VERSION), os.environ.get("CI", ""), *sorted(told)])


def _settings(arguments: Sequence[str]) -> list[str]:
    """Return the files that may say what to do; any argument, or what follows its "=", may name one."""
    told = [os.environ.get("S3IMG_CONFIG", ""), *(argument.partition("=")[2] or argument for argument in arguments)]
    return [*_PROGRAM, "s3img.toml", "pyproject.toml", *told]


def _refuse_younger(stats: Iterable[os.stat_result], *, than: int) -> None:
    for found in stats:
        if max(found.st_mtime_ns, found.st_ctime_ns) >= than:
            raise _UnprovableError


def _proof(arguments: Sequence[str], state: str, lock: str, seen: Look) -> bytes:
    if len(seen.stats) > _MOST:
        raise _UnprovableError
    lines = [_told(), *(f"{_stat(path)} {path}" for path in (state, *_settings(arguments)))]
    lines += [f"{_line(found)} {path}" for path, found in _counted(seen, state, lock).items()]
    return "\n".join(lines).encode("utf-8", "surrogateescape") + b"\0" + _content(lock)


def _counted(seen: Look, *own: str) -> dict[str, os.stat_result]:
    """Leave out the files that a run itself writes, which are looked at by themselves."""
    left_out = {*map(os.path.abspath, own)}
    return {path: found for path, found in seen.stats.items() if path not in left_out}


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return b"+" + file.read()
    except FileNotFoundError:
        return b"none"


def _stat(path: str) -> str:
    try:
        return _line(os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return "none"


def _line(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
