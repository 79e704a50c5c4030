"""What this machine knows of a project's files and of the bucket, so that a sync with nothing to do asks nobody."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

import msgspec

from s3img.atomic import write_atomically
from s3img.cache import Cache, SiteState
from s3img.folder_sync.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from contextlib import AbstractContextManager
    from pathlib import Path

FRESH_SECONDS = 86_400.0
"""Age up to which a listing of the bucket is believed."""


class SyncState(msgspec.Struct, kw_only=True):
    """Hold what is known: of files, and of objects (bytes by key) of one target, listed at a time in s since 1970.

    ``settled`` has, for each scope that was synced without a fault, the fingerprint of all that decided about it, and
    how many lines were kept.
    """

    schema: str = "s3img.sync-state/1"
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
        self.objects = {key: size for key, size in self.objects.items() if key in keys}


class StateFile:
    """Keep the state of one project and one target; one that can't be read or written is none, and no failure."""

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
        except (OSError, msgspec.MsgspecError):
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
