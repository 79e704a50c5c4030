"""A lock on disk as a catalog, read again when the file changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from s3img.catalog.catalog import Catalog
from s3img.lock import read_lock

if TYPE_CHECKING:
    from s3img.config import Config


class CatalogFile:
    """Hold the catalog of a lock file; safe for threads, which at worst read the file twice.

    With ``missing_ok`` a lock that does not exist is an empty one.
    """

    def __init__(self, path: str | os.PathLike[str], config: Config, *, missing_ok: bool = False) -> None:
        self.path = Path(path)
        self._config = config
        self._missing_ok = missing_ok
        self._known: tuple[tuple[int, ...], Catalog] | None = None

    def current(self) -> Catalog:
        """Return the catalog of the file as it is now; raise LockError when it can't be read or is damaged."""
        stat = self._stat()
        known = self._known
        if known is None or known[0] != stat:
            lock = read_lock(self.path, missing_ok=self._missing_ok)
            known = self._known = (stat, Catalog(lock, self._config))
        return known[1]

    def _stat(self) -> tuple[int, ...]:
        """Return what differs whenever the file was replaced; it is taken before reading, so no change is missed."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - twice as fast as Path.stat, and done for every page
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino
