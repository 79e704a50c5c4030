"""Read a project's images: the lines that its lock should have, and what can't be used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from s3img.assets import FileStat, ImageFacts
from s3img.errors import S3ImgError, unexpected
from s3img.keys import KeyFields, KeyTemplate
from s3img.lock import LockEntry
from s3img.sync.outcome import FileFinding

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.config import Config
    from s3img.lock import Lock
    from s3img.sync.reading import Reader
    from s3img.sync.tree import Scope


_SHOWN = 5
"""Files that one note names."""


class FolderSurvey(msgspec.Struct, frozen=True):
    """The images on disk: the stat of all by path, the line of each usable one, a finding for each other one.

    A line keeps what the lock says of renderings of the same content. ``missing`` are paths of the lock that are in
    scope and not on disk; ``facts`` (by digest) say more of the images than their lines; ``contents`` are the bytes of
    some, by path.
    """

    files: Mapping[str, FileStat]
    entries: tuple[LockEntry, ...]
    missing: tuple[str, ...]
    findings: tuple[FileFinding, ...]
    facts: Mapping[str, ImageFacts]
    contents: Mapping[str, bytes]
    notes: tuple[FileFinding, ...] = ()

    def keys(self) -> frozenset[str]:
        """Return the keys of the images."""
        return frozenset([entry.key for entry in self.entries])

    def tree(self, settings: str = "") -> str:
        """Return the sha256 (hex) of everything that decides about a sync but the bucket."""
        lines = "\n".join([*map(str, self.entries), *self.missing, settings])
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def survey(scope: Scope, lock: Lock, reader: Reader, config: Config) -> FolderSurvey:
    """Wait for the reader of a scope's images, and say what it found."""
    reader.finish()
    found = reader.stats
    entries, findings = _read(found, _Lines(reader, lock, config.key_template), scope.base)
    unread = scope.unread()
    # A picture that can't be read here keeps its line: another machine, with a decoder for it, has written that.
    there = {*found, *unread}
    missing = tuple(path for path in lock.entries if path not in there and scope.covers(path))
    notes = []
    if unread:
        names = ", ".join(unread[:_SHOWN]) + (f" and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else "")
        message = f"Left out, being HEIC, JPEG XL or SVGZ: {names}. Convert to JPEG, WebP, AVIF or SVG."
        if any(path.lower().endswith((".heic", ".heif")) for path in unread):
            message += " With pillow-heif installed (pip) HEIC is read."
        notes.append(FileFinding("", "unread-kind", message, "note"))
    return FolderSurvey(found, entries, missing, findings, reader.known.facts, reader.contents, tuple(notes))


class _Lines:
    """Make the lock's line of each image."""

    def __init__(self, reader: Reader, lock: Lock, key_template: str) -> None:
        self._reader = reader
        self._lock = lock
        self._template = KeyTemplate.parse(key_template)

    def line(self, path: str, size: int) -> LockEntry:
        """Return it, with what the lock says of renderings of the same content; raise S3ImgError."""
        digest = self._reader.digest(path)
        facts = self._reader.facts(path, digest)
        kind, width, height = facts.media_type, facts.width, facts.height
        key = self._template.key(KeyFields.of_original(path, digest, kind, width, height))
        fields = digest, size, width, height, kind, key
        old = self._lock.get(path)
        if old is None or old.sha256 != digest:
            return LockEntry(path, *fields)
        is_same = fields == (old.sha256, old.size, old.width, old.height, old.media_type, old.key)
        return old if is_same else LockEntry(path, *fields, old.placeholder, old.variants)


def _read(
    found: Mapping[str, FileStat], lines: _Lines, base: Path
) -> tuple[tuple[LockEntry, ...], tuple[FileFinding, ...]]:
    entries, findings = [], []
    for path in sorted(found):
        try:
            path.encode()
            entries.append(lines.line(path, found[path].size))
        except UnicodeEncodeError:
            findings.append(FileFinding(ascii(path), "bad-name", "is left out: its name is no UTF-8. Rename it."))
        except S3ImgError as error:
            text = str(error).removeprefix(f"{base}/").removeprefix(f"{path}: ")
            findings.append(FileFinding(path, "bad-image", f"is left out: {text}"))
        except Exception as error:  # one file never ends a run
            findings.append(FileFinding(path, "bad-image", f"is left out: it met {unexpected(error)}"))
    return tuple(entries), tuple(findings)
