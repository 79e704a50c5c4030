"""What this machine knows of a project's files and of the bucket, so that a sync with nothing to do asks nobody."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import TYPE_CHECKING

import msgspec

from s3img.atomic import write_atomically
from s3img.cache import Cache, SiteState
from s3img.errors import DECODE_ERRORS
from s3img.keys import RENDER_VERSION
from s3img.sync.outcome import SyncResult

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from s3img.assets import FileStat
    from s3img.config import Config
    from s3img.sync.outcome import SyncOptions
    from s3img.sync.tree import Scope

GUARD_SECONDS = 10.0
"""How long a process waits for another one to write the lock, which takes no time at all."""


@contextlib.contextmanager
def guarded(path: Path, *, seconds: float = GUARD_SECONDS) -> Iterator[None]:
    """Keep the file ``path`` locked meanwhile; where that can't be had in time, or at all, go on without.

    A guard that is not to be had must not keep anybody from syncing: at worst two syncs at once write the lock, and the
    next one puts it right.
    """
    from filelock import FileLock, Timeout  # takes 30 ms, and most runs don't write the lock

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, Timeout):
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(path, timeout=seconds))
        yield


FRESH_SECONDS = 86_400.0
"""Age up to which a listing of the bucket is believed."""


class SyncState(msgspec.Struct, kw_only=True):
    """What is known: of files, and of objects (bytes by key) of one target, listed at a time in s since 1970.

    ``settled`` has, for each scope that was synced without a fault, the fingerprint of all that decided about it, and
    how many lines were kept.
    """

    schema: str = "s3img.transfer-state/1"
    files: SiteState = msgspec.field(default_factory=SiteState)
    objects: dict[str, int] = {}
    listed: float = 0.0
    settled: dict[str, tuple[str, int]] = {}

    def is_fresh(self, now: float) -> bool:
        """Tell whether the objects were listed within a day; a clock that was set back is not believed."""
        return 0 <= now - self.listed < FRESH_SECONDS

    def forget(self, is_gone: Callable[[str], bool], keys: Container[str]) -> None:
        """Drop files that are gone, and objects that nothing refers to any more."""
        digests = self.files.digests
        self.files.digests = {p: known for p, known in digests.items() if not is_gone(p)}
        used = {digest for _, digest in self.files.digests.values()}
        self.files.facts = {digest: facts for digest, facts in self.files.facts.items() if digest in used}
        for key in [key for key in self.objects if key not in keys]:  # in place: a journal goes on with it
            del self.objects[key]


class StateFile:
    """The state of one project and one target; one that can't be read or written is none, and no failure."""

    def __init__(self, cache: Cache, base: Path, target: str) -> None:
        place = os.fsencode(os.path.realpath(base))
        self._path = cache.folder / "sync" / f"{_name(place + bytes(1) + target.encode())}.json"
        self._guard = cache.folder / "sync" / f"{_name(place)}.guard"
        self._written = b""

    def guard(self) -> AbstractContextManager[None]:
        """Keep other processes of this machine from writing the project's lock."""
        return guarded(self._guard)

    @property
    def path(self) -> Path:
        """Return where the state is."""
        return self._path

    def load(self) -> SyncState:
        """Read the state."""
        try:
            self._written = self._path.read_bytes()
            state = msgspec.json.decode(self._written, type=SyncState)
        except (OSError, *DECODE_ERRORS):
            return SyncState()
        return state if state.schema == SyncState().schema else SyncState()

    def save(self, state: SyncState) -> None:
        """Replace the file as a whole, where anything is new."""
        data = msgspec.json.encode(state)
        if data != self._written:
            with contextlib.suppress(OSError):
                write_atomically(self._path, data)
                self._written = data


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def nothing_to_do(
    state: SyncState, scope: Scope, files: Mapping[str, FileStat], lock_path: Path, config: Config, options: SyncOptions
) -> SyncResult | None:
    """Return the result of a sync that has nothing to do, None if it may have."""
    started = time.monotonic()
    known = state.settled.get(_settled_name(scope))
    if known is None or options.verify or not state.is_fresh(time.time()):
        return None
    if known[0] != _fingerprint(files, lock_path, config, options):
        return None
    return SyncResult(
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
    options: SyncOptions,
    kept: int,
) -> None:
    """Note that nothing is left to do, unless a file is so young that a later change might not show in its stat."""
    known = state.files.digests
    fingerprint = _fingerprint(files, lock_path, config, options)
    if fingerprint and all(path in known and known[path][0] == stat for path, stat in files.items()):
        state.settled[_settled_name(scope)] = fingerprint, kept


def _settled_name(scope: Scope) -> str:
    return "\n".join(scope.paths)


def _fingerprint(files: Mapping[str, FileStat], lock_path: Path, config: Config, options: SyncOptions) -> str | None:
    """Hash everything that decides what there is to do: stats, lock, settings; None where that can't be done."""
    try:
        lock = lock_path.read_bytes()
        stats = msgspec.json.encode(sorted(files.items()))
    except (OSError, UnicodeEncodeError):  # no lock, or a name that is not UTF-8
        return None
    settings = [config.key_template, config.limits, options.prune, options.listed_only]
    if config.variants:
        settings += [config.widths, config.formats, config.quality, config.subsampling, RENDER_VERSION]
    return hashlib.sha256(msgspec.json.encode(settings) + stats + lock).hexdigest()
