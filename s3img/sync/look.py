"""See which files lie below some folders, and their stats, in one walk for everything that a run asks about them.

Imports nothing that a bare interpreter has not loaded anyway: see `s3img.sync.quick`.
"""

from __future__ import annotations

import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_handed: list[tuple[tuple[str, ...], Look]] = []


class UnusualError(Exception):
    """There is something that its own stat does not prove: a link, a pipe."""


class Look:
    """Hold the stat of each file by absolute path, and since when (ns since 1970) they are true."""

    def __init__(self, folders: Iterable[str]) -> None:
        self.since = time.time_ns()
        self.stats: dict[str, os.stat_result] = {}
        pending = [*folders]
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                        continue
                    self.stats[entry.path] = found = entry.stat(follow_symlinks=False)
                    if not stat.S_ISREG(found.st_mode):
                        raise UnusualError(entry.path)


def look(folders: Iterable[str]) -> Look:
    """Look at folders, or take the look that was handed on; raise UnusualError, or OSError for what is no folder."""
    places = tuple(map(os.path.abspath, folders))
    while _handed:
        known, seen = _handed.pop()
        if known == places:
            return seen
    return Look(places)


def hand_on(folders: Iterable[str], seen: Look) -> None:
    """Leave a look to whatever in this process looks at the same folders next, and only to that."""
    _handed[:] = [(tuple(map(os.path.abspath, folders)), seen)]
