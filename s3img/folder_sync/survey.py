"""Read a project's images: the lines that its lock should have, and what can't be used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from s3img.assets import Asset, FileStat, ImageFacts
from s3img.cache import Digests
from s3img.errors import S3ImgError
from s3img.folder_sync.result import Finding
from s3img.imaging import probe
from s3img.keys import KeyTemplate
from s3img.ladder import original_key
from s3img.lock import Lock, LockEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.cache import SiteState
    from s3img.config import Config
    from s3img.folder_sync.tree import Scope


@dataclass(frozen=True, slots=True)
class Survey:
    """Hold the images on disk: the stat of all by path, the line of each usable one, a finding for each other one.

    A line keeps what the lock says of renderings of the same content. ``missing`` are paths of the lock that are in
    scope and not on disk; ``facts`` (by digest) say more of the images than their lines.
    """

    files: Mapping[str, FileStat]
    entries: tuple[LockEntry, ...]
    missing: tuple[str, ...]
    findings: tuple[Finding, ...]
    facts: Mapping[str, ImageFacts]

    def tree(self, settings: str = "") -> str:
        """Return the sha256 (hex) of everything that decides about a sync but the bucket."""
        lines = "\n".join([*map(str, self.entries), *self.missing, settings])
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def survey(scope: Scope, lock: Lock, known: SiteState, config: Config, *, listed_only: bool = False) -> Survey:
    """Read all images in scope, of unchanged ones only their stat; with ``listed_only``, those that the lock names."""
    found = scope.files()
    if listed_only:
        found = {path: stat for path, stat in found.items() if path in lock}
    entries, findings = _read(found, _Reader(scope, lock, known, config))
    missing = tuple(path for path in lock.entries if path not in found and scope.covers(path))
    return Survey(found, entries, missing, findings, known.facts)


def _read(found: Mapping[str, FileStat], reader: _Reader) -> tuple[tuple[LockEntry, ...], tuple[Finding, ...]]:
    entries, findings = [], []
    reader.read(found)
    for path in sorted(found):
        try:
            path.encode()
            entries.append(reader.entry(path, found[path]))
        except UnicodeEncodeError:
            findings.append(Finding(ascii(path), "bad-name", "is left out: its name is no UTF-8. Rename it."))
        except S3ImgError as error:
            findings.append(Finding(path, "bad-image", f"is left out: {error}"))
    return tuple(entries), tuple(findings)


class _Reader:
    def __init__(self, scope: Scope, lock: Lock, known: SiteState, config: Config) -> None:
        self._base = scope.base
        self._lock = lock
        self._facts = known.facts
        self._limits = config.limits
        self._digests = Digests(scope.base, known)
        self._template = KeyTemplate.parse(config.key_template)

    def read(self, stats: Mapping[str, FileStat]) -> None:
        """Read what has to be read on all cores, before single files are asked for."""
        self._digests.read(stats)

    def entry(self, path: str, stat: FileStat) -> LockEntry:
        digest = self._digests.digest(path, stat)
        facts = self._facts.get(digest) or self._probe(path, digest)
        key = original_key(Asset(path, digest, stat.size, facts), self._template)
        old = self._lock.get(path)
        entry = LockEntry(path, digest, stat.size, facts.width, facts.height, facts.media_type, key)
        if old is None or old.sha256 != digest:
            return entry
        return replace(entry, placeholder=old.placeholder, ladder=old.ladder)

    def _probe(self, path: str, digest: str) -> ImageFacts:
        info = probe(self._base / path, limits=self._limits)
        facts = ImageFacts(info.media_type, info.width, info.height, animated=info.animated, alpha=info.alpha)
        self._facts[digest] = facts
        return facts
