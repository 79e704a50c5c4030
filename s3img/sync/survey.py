"""Read a project's images: which lines its lock should have, how it differs from that, and what can't be used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from s3img.assets import CUT_JPEG, Asset, FileStat, ImageFacts
from s3img.errors import S3ImgError, unexpected
from s3img.keys import KeyFields, KeyTemplate
from s3img.lock import LockEntry, read_lock
from s3img.sync.outcome import CheckResult, FileFinding
from s3img.sync.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3img.cache import SiteState
    from s3img.config import Config
    from s3img.lock import Lock
    from s3img.sync.tree import Scope

_SHOWN = 5
"""Files that one note names."""

_SYNC = "run s3img sync and commit the lock."
_RENDER = "run s3img sync --variants and commit the lock."


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
    found, unread = reader.stats, reader.unread
    entries, findings = lock_lines(reader, lock, KeyTemplate.parse(config.key_template), scope.base)
    # A picture that can't be read here keeps its line: another machine, with a decoder for it, has written that.
    there = {*found, *unread}
    missing = tuple(path for path in lock.entries if path not in there and scope.covers(path))
    notes = []
    if not (found or unread):
        places = ", ".join(filter(None, scope.paths)) or str(scope.base)
        notes.append(
            FileFinding("", "no-images", f"{places} has no image to put. Name the folder of the images.", "note")
        )
    if unread:
        names = ", ".join(unread[:_SHOWN]) + (f" and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else "")
        message = f"Left out, being HEIC, JPEG XL or SVGZ: {names}. Convert to JPEG, WebP, AVIF or SVG."
        if any(path.lower().endswith((".heic", ".heif")) for path in unread):
            message += " With pillow-heif installed (pip) HEIC is read."
        notes.append(FileFinding("", "unread-kind", message, "note"))
    facts = reader.known.facts
    notes += [FileFinding(e.path, "no-end-marker", CUT_JPEG, "note") for e in entries if facts[e.sha256].is_cut]
    return FolderSurvey(found, entries, missing, findings, reader.known.facts, reader.contents, tuple(notes))


def lock_lines(
    reader: Reader, lock: Lock, template: KeyTemplate, base: Path
) -> tuple[tuple[LockEntry, ...], tuple[FileFinding, ...]]:
    """Return the line of each image that can be used, and a finding for each other one."""
    entries, findings = [], []
    for path in sorted(reader.stats):
        try:
            path.encode()
            entries.append(lock_line(path, reader, lock, template))
        except UnicodeEncodeError:
            findings.append(FileFinding(ascii(path), "bad-name", "is left out: its name is not UTF-8. Rename it."))
        except S3ImgError as error:
            text = str(error).removeprefix(f"{base}/").removeprefix(f"{path}: ")
            findings.append(FileFinding(path, "bad-image", f"is left out: {text}"))
        except Exception as error:  # one file never ends a run
            findings.append(FileFinding(path, "bad-image", f"is left out: it met {unexpected(error)}"))
    return tuple(entries), tuple(findings)


def lock_line(path: str, reader: Reader, lock: Lock, template: KeyTemplate) -> LockEntry:
    """Return the line of one image, with what the lock says of renderings of the same content; raise S3ImgError."""
    digest = reader.digest(path)
    facts = reader.facts(path, digest)
    kind, width, height = facts.media_type, facts.width, facts.height
    key = template.key(KeyFields.of_original(path, digest, kind, width, height))
    fields = digest, reader.stats[path].size, width, height, kind, key
    old = lock.get(path)
    if old is None or old.sha256 != digest:
        return LockEntry(path, *fields)
    is_same = fields == (old.sha256, old.size, old.width, old.height, old.media_type, old.key)
    return old if is_same else LockEntry(path, *fields, old.placeholder, old.variants)


def check(
    config: Config, scope: Scope, lock_path: Path, known: SiteState, *, allow_missing: bool = False
) -> CheckResult:
    """Name each image of the scope that differs between lock and disk; ``allow_missing`` passes those not on disk.

    Raise `LockError` without a lock or with a damaged one.
    """
    lock = read_lock(lock_path)
    found = survey(scope, lock, Reader(scope.base, scope.files(), known, config.limits), config)
    findings = [*found.findings, *stale_variants(found, lock, config)]
    for entry in found.entries:
        line = lock.get(entry.path)
        if line != entry:
            findings.append(FileFinding(entry.path, *difference(line, entry)))
    if not allow_missing:
        fix = "restore it with s3img pull, or drop its line with s3img sync --prune."
        findings += [FileFinding(path, "missing", f"is in the lock and not on disk: {fix}") for path in found.missing]
    return CheckResult(lock=lock_path.name, images=len(found.entries), findings=tuple(sorted(findings)))


def stale_variants(found: FolderSurvey, lock: Lock, config: Config) -> Iterator[FileFinding]:
    """Find images whose renderings are not those of the settings, and with ``variants`` also those without any."""
    # Most checks find no variants to compare with, and then need nothing of what makes them.
    from s3img.pictures.variants import VariantRequest, choose

    template = KeyTemplate.parse(config.key_template)
    for entry in found.entries:
        line = lock.get(entry.path)
        if line is None or line.sha256 != entry.sha256 or lock.is_current(line, config):
            continue
        if line.variants:
            yield FileFinding(entry.path, "stale", f"has variants of other settings: {_RENDER}")
            continue
        asset = Asset(entry.path, entry.sha256, entry.size, found.facts[entry.sha256])
        if config.variants and choose(asset, VariantRequest(), config, template).formats:
            yield FileFinding(entry.path, "stale", f"has no variants: {_RENDER}")


def difference(line: LockEntry | None, entry: LockEntry) -> tuple[str, str]:
    """Return the code and the message for an image whose line is not what it should be."""
    if line is None:
        return "not-in-lock", f"is not in the lock: {_SYNC}"
    if line.sha256 != entry.sha256:
        return "changed", f"is not the image of the lock: {_SYNC} To get that one back, remove it and run s3img pull."
    if line.key != entry.key:
        return "stale", f"has the key {line.key!r} in the lock, the settings now give {entry.key!r}: {_SYNC}"
    return "stale", f"has other facts in the lock: {_SYNC}"
