"""``s3img.lock``: which images a project has in its bucket, one line each, for git.

A line holds path, sha256, bytes, px, media type, key and placeholder. Nothing in it changes unless the image or its key
does: there are no times, and no names that depend on an encoder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote_to_bytes

from s3img.atomic import write_atomically
from s3img.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

LOCK_NAME = "s3img.lock"
HEADER = "# s3img.lock/1: path sha256 bytes px type key placeholder"

_VERSION = re.compile(r"# s3img\.lock/(\d+)\b")
_LINE = re.compile(
    r"([^ ]+) ([0-9a-f]{64}) (0|[1-9]\d{0,17}) (0|[1-9]\d{0,8})x(0|[1-9]\d{0,8}) ([!-~]+/[!-~]+) ([^ ]+)"
    r" (-|#[0-9a-f]{6})",
    re.ASCII,
)
_CONFLICT = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_ESCAPED = re.compile(
    '[\x00-\x20"#%\\\\\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]'
)
"""What a line's fields can't show: blanks, line ends, controls, marks without a width, bytes that are no UTF-8.

The set is written out, because Python's own idea of what is printable changes with each Unicode version.
"""


@dataclass(frozen=True, slots=True)
class LockEntry:
    """Hold one line: a path below the lock's folder, its content (sha256, hex), bytes, upright px, and its key.

    ``placeholder`` is a colour (``#rrggbb``) to show while the image loads, "" where none is known.
    """

    path: str
    sha256: str
    size: int
    width: int
    height: int
    media_type: str
    key: str
    placeholder: str = ""

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one line; raise ValueError for anything but seven whole fields."""
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{line[:60]!r} is damaged")
        path, digest, size, width, height, media_type, key, placeholder = match.groups()
        return cls(
            _unescape(path),
            digest,
            int(size),
            int(width),
            int(height),
            media_type,
            _unescape(key),
            "" if placeholder == "-" else placeholder,
        )

    def __str__(self) -> str:
        return (
            f"{_escape(self.path)} {self.sha256} {self.size} {self.width}x{self.height} {self.media_type}"
            f" {_escape(self.key)} {self.placeholder or '-'}"
        )


@dataclass(frozen=True, slots=True)
class Lock:
    """Hold the lines of a lock by path, in the order of paths."""

    entries: Mapping[str, LockEntry] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, entries: Iterable[LockEntry]) -> Self:
        """Build a lock; of two entries for one path the later one counts."""
        return cls(MappingProxyType({entry.path: entry for entry in sorted(entries, key=attrgetter("path"))}))

    @classmethod
    def parse(cls, text: str, *, name: str = LOCK_NAME) -> Self:
        """Read the text form; raise `LockError` with ``name`` and the line of what is damaged or in conflict."""
        found: dict[str, LockEntry] = {}
        lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
        for number, line in enumerate(lines, 1):
            if number == 1:
                _check_version(line, name)
            elif line and not line.startswith("#"):
                entry = _entry(line, name, number)
                if found.setdefault(entry.path, entry) != entry:
                    raise _twice(entry.path, name, number)
        return cls.of(found.values())

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in (HEADER, *self.entries.values()))

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[LockEntry]:
        return iter(self.entries.values())

    def __contains__(self, path: object) -> bool:
        return path in self.entries

    def get(self, path: str) -> LockEntry | None:
        """Return the line of a path, None without one."""
        return self.entries.get(path)

    def keys(self) -> frozenset[str]:
        """Return the keys of all objects that the lock refers to."""
        return frozenset(entry.key for entry in self)

    def updated(self, entries: Iterable[LockEntry], *, without: Iterable[str] = ()) -> Self:
        """Return a lock with these lines added or in place of its own, and none for the paths ``without``."""
        merged = {**self.entries, **{entry.path: entry for entry in entries}}
        dropped = set(without)
        return self.of(entry for path, entry in merged.items() if path not in dropped)


def read_lock(path: Path, *, missing_ok: bool = False) -> Lock:
    """Read a lock file; raise `LockError` when it is damaged, in conflict, unreadable or (unless allowed) not there."""
    try:
        return Lock.parse(path.read_bytes().decode("utf-8"), name=str(path))
    except FileNotFoundError as error:
        if missing_ok:
            return Lock()
        raise LockError(f"{path}: does not exist.", path=str(path), fix="Write it with s3img sync.") from error
    except OSError as error:
        raise LockError(f"{path}: can't be read: {error.strerror}.", path=str(path), fix="Check it.") from error
    except UnicodeDecodeError as error:
        raise LockError(f"{path}: is no UTF-8.", path=str(path)) from error


def write_lock(path: Path, lock: Lock) -> None:
    """Replace a lock file as a whole; raise `LockError` when it can't be written."""
    try:
        write_atomically(path, str(lock).encode("utf-8"))
    except OSError as error:
        fix = "Let the user who runs s3img write to this folder."
        raise LockError(f"{path}: can't be written: {error.strerror}.", path=str(path), fix=fix) from error


def _check_version(line: str, name: str) -> None:
    match = _VERSION.match(line)
    if match is None:
        raise _conflict(name, 1) if line.startswith(_CONFLICT) else _no_lock(name)
    if match[1] != "1":
        fix = "Upgrade s3img."
        raise LockError(f"{name}: has version {match[1]}; this s3img knows version 1.", path=name, line=1, fix=fix)


def _entry(line: str, name: str, number: int) -> LockEntry:
    try:
        return LockEntry.parse(line)
    except ValueError as error:
        if line.startswith(_CONFLICT):
            raise _conflict(name, number) from None
        raise LockError(f"{name}:{number}: {error}.", path=name, line=number) from None


def _conflict(name: str, number: int) -> LockError:
    message = f"{name}:{number}: a merge conflict is not resolved."
    fix = "Keep the wanted lines of both sides without the markers, then run s3img sync."
    return LockError(message, path=name, line=number, fix=fix)


def _twice(path: str, name: str, number: int) -> LockError:
    fix = "Remove one of them, then run s3img sync."
    return LockError(f"{name}:{number}: {path!r} has two different lines.", path=name, line=number, fix=fix)


def _no_lock(name: str) -> LockError:
    return LockError(f"{name}:1: is no lock: its first line should be {HEADER!r}.", path=name, line=1)


def _escape(text: str) -> str:
    """Percent-encode what a field can't show; names that are no UTF-8 keep their bytes."""
    return _ESCAPED.sub(lambda match: "".join(f"%{byte:02X}" for byte in _bytes(match[0])), text)


def _unescape(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape") if "%" in text else text


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
