"""All of a lock: reading, writing, looking up, and what is wrong with a damaged one."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter, lt
from types import MappingProxyType
from typing import TYPE_CHECKING, Self, TypeVar

from msgspec import structs

from s3img.atomic import write_atomically
from s3img.config import LOCK_NAME
from s3img.errors import FileUnwritable, LockError
from s3img.keys import KeyTemplate
from s3img.lock.entry import LINE, LockEntry, unescape_field
from s3img.lock.locked_variants import SETTINGS_MARK, USUAL, LockedVariants, VariantSettings, recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from s3img.config import Config

T = TypeVar("T")
HEADER = "# s3img.lock/1: path sha256 bytes px type key placeholder"
_VERSION = re.compile(r"# s3img\.lock/(\d+)\b")
_PATH = re.compile(rb"^(?!#)%b$" % LINE, re.MULTILINE)
_MARK = SETTINGS_MARK.encode()

_COMMENT = ord("#")

_CONFLICT = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")


class _Lines(Mapping[str, LockEntry]):
    """Lines that were found whole, by path; each becomes an entry when it is asked for."""

    def __init__(self, lines: dict[str, bytes | LockEntry]) -> None:
        self._lines = lines

    def __getitem__(self, path: str) -> LockEntry:
        found = self._lines[path]
        if isinstance(found, bytes):
            self._lines[path] = found = LockEntry.of_fields(*found.decode().split(" "))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


@dataclass(frozen=True, slots=True)
class Lock:
    """The lines of a lock by path, in the order of paths, and the settings of their variants.

    ``is_tidy`` is false for one that was read with lines twice or out of order, as merges leave them.
    """

    entries: Mapping[str, LockEntry] = field(default_factory=lambda: MappingProxyType({}))
    settings: VariantSettings = USUAL
    is_tidy: bool = field(default=True, compare=False)

    @classmethod
    def of(cls, entries: Iterable[LockEntry], *, settings: VariantSettings = USUAL) -> Self:
        """Build a lock; of two entries for one path the later one counts. Without variants the settings say nothing."""
        ordered = {entry.path: entry for entry in sorted(entries, key=attrgetter("path"))}
        has_variants = any(entry.variants for entry in ordered.values())
        return cls(MappingProxyType(ordered), settings if has_variants else USUAL)

    @classmethod
    def parse(cls, text: str | bytes, *, name: str = LOCK_NAME) -> Self:
        """Read the text form; raise `LockError` with ``name`` and the line of what is damaged or in conflict.

        Every line is looked at, but becomes an entry when it is asked for: values of 200,000 lines take a second. Lines
        stay bytes until then, which need less memory. Raise UnicodeDecodeError for bytes that are not UTF-8.
        """
        data = text.encode() if isinstance(text, str) else text
        if not data.isascii():
            data.decode()
        # Git may turn line ends into CRLF and editors put a BOM in front: neither is damage.
        data = data.removeprefix(BOM_UTF8)
        data = data.replace(b"\r\n", b"\n").removesuffix(b"\r") if b"\r" in data else data
        every = data.split(b"\n")
        _check_version(every[0].decode(), name)
        lines = [line for line in every if line and line[0] != _COMMENT]
        # Beside the header, and what follows the last line end.
        has_others = len(every) - len(lines) > 1 + data.endswith(b"\n")
        settings = _settings(every, name) if has_others else None
        raw_paths = _PATH.findall(data)
        if len(raw_paths) != len(lines):
            for line in lines:
                _read(LockEntry.parse, line, every, name)
        has_variants = data.find(b":", data.find(b"\n")) > 0  # or a name has a colon
        # Few are left: pictures share widths.
        ends = {line.rpartition(b" ")[2]: line for line in lines} if has_variants else {}
        with_variants = [line for end, line in ends.items() if b":" in end]
        for line in with_variants:
            _read(LockEntry.parse, line, every, name)
        paths = b"\n".join(raw_paths).decode().split("\n") if lines else []
        paths = list(map(unescape_field, paths)) if b"%" in data else paths
        found: dict[str, bytes | LockEntry] = dict(zip(paths, lines, strict=True))
        is_tidy = all(map(lt, paths, paths[1:]))
        if not is_tidy:
            by_path = dict(zip(paths, lines, strict=True))
            for path, line in zip(paths, lines, strict=True):
                # A union merge leaves equal lines twice, which says nothing wrong; two different ones are a conflict.
                last = by_path[path]
                if last != line and LockEntry.parse(last.decode()) != LockEntry.parse(line.decode()):
                    raise _twice(path, last, every, name)
            found = dict(sorted(found.items()))
        return cls(_Lines(found), settings if settings and with_variants else USUAL, is_tidy)

    def __str__(self) -> str:
        settings = [] if self.settings == USUAL else [self.settings]
        return "".join(f"{line}\n" for line in (HEADER, *settings, *self.entries.values()))

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
        """Return the keys of all objects that the lock refers to: originals and renderings."""
        template = KeyTemplate(self.settings.key_template)
        return frozenset(key for entry in self for key in (entry.key, *entry.variant_keys(template).values()))

    def variants(self, entry: LockEntry, config: Config) -> LockedVariants | None:
        """Return the renderings that may be shown under these settings: made by their recipe, found by their keys."""
        if entry.variants is None or entry.variants.recipe != recipe(config):
            return None
        return entry.variants if self.settings.key_template == config.key_template else None

    def is_current(self, entry: LockEntry, config: Config) -> bool:
        """Tell whether a line's renderings are all that these settings ask for."""
        return self.variants(entry, config) is not None and self.settings == VariantSettings.of(config)

    def updated(
        self, entries: Iterable[LockEntry], *, without: Iterable[str] = (), settings: VariantSettings | None = None
    ) -> Self:
        """Return a lock with these lines added or in place of its own, and none for the paths ``without``.

        With ``settings`` of other keys, lines that stay lose their variants: nothing could name it any more.
        """
        settings = settings or self.settings
        same_keys = settings.key_template == self.settings.key_template
        old = self.entries if same_keys else {entry.path: structs.replace(entry, variants=None) for entry in self}
        merged = {**old, **{entry.path: entry for entry in entries}}
        dropped = set(without)
        return self.of((entry for path, entry in merged.items() if path not in dropped), settings=settings)


def read_lock(path: Path, *, missing_ok: bool = False) -> Lock:
    """Read a lock file; raise `LockError` when it is damaged, in conflict, unreadable or (unless allowed) not there."""
    try:
        return parse_lock(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        if missing_ok:
            return Lock()
        raise LockError(f"{path}: does not exist.", path=str(path), fix="Write it with s3img sync.") from error
    except OSError as error:
        fix = "Check the path and its permissions."
        raise LockError(f"{path}: can't be read: {error.strerror}.", path=str(path), fix=fix) from error
    except UnicodeDecodeError as error:
        raise LockError(f"{path}: is not UTF-8.", path=str(path)) from error


@lru_cache(maxsize=2)
def parse_lock(data: bytes, name: str) -> Lock:
    """Parse once what one run reads several times."""
    return Lock.parse(data, name=name)


def write_lock(path: Path, lock: Lock) -> None:
    """Replace a lock file as a whole; raise `FileUnwritable`."""
    try:
        write_atomically(path, str(lock).encode("utf-8"))
    except OSError as error:
        raise FileUnwritable(str(path), error) from error


def _check_version(line: str, name: str) -> None:
    match = _VERSION.match(line)
    if match is None:
        raise _conflict(name, 1) if line.startswith(_CONFLICT) else _no_lock(name)
    if match[1] != "1":
        fix = "Upgrade s3img."
        raise LockError(f"{name}: has version {match[1]}; this s3img knows version 1.", path=name, line=1, fix=fix)
    if line != HEADER:  # it has swallowed a line end, and lines about pictures with it: without them it looks empty
        raise _no_lock(name)


def _settings(every: list[bytes], name: str) -> VariantSettings | None:
    found = None
    for line in every:
        if line.startswith(_MARK):
            read = _read(VariantSettings.parse, line, every, name)
            if found not in {None, read}:
                raise _twice(SETTINGS_MARK, line, every, name)
            found = read
    return found


def _read(parse: Callable[[str], T], line: bytes, every: list[bytes], name: str) -> T:
    try:
        return parse(line.decode())
    except ValueError as error:
        number = every.index(line) + 1
        if line.decode().startswith(_CONFLICT):
            raise _conflict(name, number) from None
        raise LockError(f"{name}:{number}: {error}.", path=name, line=number) from None


def _conflict(name: str, number: int) -> LockError:
    message = f"{name}:{number}: a merge conflict is not resolved."
    fix = "Keep the wanted lines of both sides without the markers, then run s3img sync."
    return LockError(message, path=name, line=number, fix=fix)


def _twice(path: str, line: bytes, every: list[bytes], name: str) -> LockError:
    number = every.index(line) + 1
    fix = "Remove one of them, then run s3img sync."
    return LockError(f"{name}:{number}: {path!r} has two different lines.", path=name, line=number, fix=fix)


def _no_lock(name: str) -> LockError:
    return LockError(f"{name}:1: is not a lock: its first line should be {HEADER!r}.", path=name, line=1)
