"""Compare the lock with the images on disk; the bucket is not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.assets import Asset
from s3img.keys import KeyTemplate
from s3img.lock import Lock, LockEntry, read_lock
from s3img.pictures.variants import VariantRequest, choose
from s3img.sync.outcome import CheckResult, FileFinding
from s3img.sync.reading import Reader
from s3img.sync.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3img.cache import SiteState
    from s3img.config import Config
    from s3img.sync.survey import FolderSurvey
    from s3img.sync.tree import Scope

_SYNC = "run s3img sync and commit the lock."
_RENDER = "run s3img sync --variants and commit the lock."


def check(
    config: Config, scope: Scope, lock_path: Path, known: SiteState, *, allow_missing: bool = False
) -> CheckResult:
    """Name each image of the scope that differs between lock and disk; ``allow_missing`` passes those not on disk.

    Raise `LockError` without a lock or with a damaged one.
    """
    lock = read_lock(lock_path)
    found = survey(scope, lock, Reader(scope.base, scope.files(), known, config.limits), config)
    findings = [*found.findings, *_differences(found, lock), *_stale_variants(found, lock, config)]
    if not allow_missing:
        fix = "restore it with s3img pull, or drop its line with s3img sync --prune."
        findings += [FileFinding(path, "missing", f"is in the lock and not on disk: {fix}") for path in found.missing]
    return CheckResult(lock=lock_path.name, images=len(found.entries), findings=tuple(sorted(findings)))


def _differences(found: FolderSurvey, lock: Lock) -> Iterator[FileFinding]:
    for entry in found.entries:
        line = lock.get(entry.path)
        if line != entry:
            yield FileFinding(entry.path, *_difference(line, entry))


def _stale_variants(found: FolderSurvey, lock: Lock, config: Config) -> Iterator[FileFinding]:
    """Find images whose renderings are not those of the settings, and with ``variants`` also those without any."""
    for entry in found.entries:
        line = lock.get(entry.path)
        if line is None or line.sha256 != entry.sha256 or lock.is_current(line, config):
            continue
        if line.variants:
            yield FileFinding(entry.path, "stale", f"has variants of other settings: {_RENDER}")
        elif config.variants and _may_have_variants(entry, found, config):
            yield FileFinding(entry.path, "stale", f"has no variants: {_RENDER}")


def _may_have_variants(entry: LockEntry, found: FolderSurvey, config: Config) -> bool:
    asset = Asset(entry.path, entry.sha256, entry.size, found.facts[entry.sha256])
    return bool(choose(asset, VariantRequest(), config, KeyTemplate.parse(config.key_template)).formats)


def _difference(line: LockEntry | None, entry: LockEntry) -> tuple[str, str]:
    """Return the code and the message for an image whose line is not what it should be."""
    if line is None:
        return "not-in-lock", f"is not in the lock: {_SYNC}"
    if line.sha256 != entry.sha256:
        return "changed", f"is not the image of the lock: {_SYNC} To get that one back, remove it and run s3img pull."
    if line.key != entry.key:
        return "stale", f"has the key {line.key!r} in the lock, the settings now give {entry.key!r}: {_SYNC}"
    return "stale", f"has other facts in the lock: {_SYNC}"
