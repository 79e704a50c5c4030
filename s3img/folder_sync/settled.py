"""Recognise a project in which nothing has changed since a sync without faults: by stat, without reading an image."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import msgspec

from s3img.folder_sync.result import FolderResult
from s3img.render_version import RENDER_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from s3img.assets import FileStat
    from s3img.config import Config
    from s3img.folder_sync.options import Options
    from s3img.folder_sync.state import SyncState
    from s3img.folder_sync.tree import Scope


def nothing_to_do(
    state: SyncState, scope: Scope, files: Mapping[str, FileStat], lock_path: Path, config: Config, options: Options
) -> FolderResult | None:
    """Return the result of a sync that has nothing to do, None if it may have."""
    started = time.monotonic()
    known = state.settled.get(_name(scope))
    if known is None or options.verify or not state.is_fresh(time.time()):
        return None
    if known[0] != _fingerprint(files, lock_path, config, options):
        return None
    return FolderResult(
        target=config.bucket,
        lock=lock_path.name,
        images=len(files),
        present=len(files),
        kept=known[1],
        seconds=time.monotonic() - started,
    )


def settle(
    state: SyncState,
    scope: Scope,
    files: Mapping[str, FileStat],
    lock_path: Path,
    config: Config,
    options: Options,
    kept: int,
) -> None:
    """Note that nothing is left to do, unless a file is so young that a later change might not show in its stat."""
    known = state.files.digests
    fingerprint = _fingerprint(files, lock_path, config, options)
    if fingerprint and all(path in known and known[path][0] == stat for path, stat in files.items()):
        state.settled[_name(scope)] = fingerprint, kept


def _name(scope: Scope) -> str:
    return "\n".join(scope.paths)


def _fingerprint(files: Mapping[str, FileStat], lock_path: Path, config: Config, options: Options) -> str | None:
    """Hash everything that decides what there is to do: stats, lock, settings; None where that can't be done."""
    try:
        lock = lock_path.read_bytes()
        stats = msgspec.json.encode(sorted(files.items()))
    except (OSError, UnicodeEncodeError):  # no lock, or a name that is no UTF-8
        return None
    settings = [config.key_template, config.limits, options.prune, options.listed_only]
    if config.variants:
        settings += [config.widths, config.formats, config.quality, RENDER_VERSION]
    return hashlib.sha256(msgspec.json.encode(settings) + stats + lock).hexdigest()
