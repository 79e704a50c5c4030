"""The local cache: rendered variants by identity, and the state of sites. Deleting it only costs time."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from s3img.assets import FileStat, ImageFacts
from s3img.atomic import TEMPORARY_PREFIX, remove_stale, write_atomically
from s3img.errors import DECODE_ERRORS, FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SETTLED_NS = 50_000_000
"""A file changed less than this many ns ago may change again within one tick of its file system's clock."""

RENDERING_PREFIX = ".rendering-"
"""How names of folders of unfinished renderings begin; they lie beside the finished ones."""

_TEMPORARIES = (
    ("variants", RENDERING_PREFIX),
    ("sites", TEMPORARY_PREFIX),
    ("sync", TEMPORARY_PREFIX),
    ("originals", TEMPORARY_PREFIX),
)
"""Folders of a cache, and how names of unfinished files begin there."""

_LONGEST_NAME = 200  # bytes; file systems stop at 255, and a temporary file beside needs some


class SiteState(msgspec.Struct, kw_only=True):
    """What earlier runs found out about a site, by path; an entry counts while the file's stat is the same.

    ``confirmed`` is when the bucket was last seen to hold all that finished pages show, in s since 1970.
    """

    schema: str = "s3img.state/1"
    digests: dict[str, tuple[FileStat, str]] = {}
    facts: dict[str, ImageFacts] = {}  # by digest
    found: dict[str, str] = {}  # boxes ("" for none) by digest and what was looked for
    sheets: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}  # selectors and imports of style sheets, by digest
    settled: dict[str, FileStat] = {}  # pages in which nothing is left to do
    settings: str = ""  # what decided that
    confirmed: float = 0.0


class Cache:
    """Rendered files and site states in one folder; safe for several builds at once, by atomic replacement."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def at(cls, cache_dir: str) -> Cache:
        """Open the cache in a folder, or in the user's own cache folder when none is named."""
        if cache_dir:
            return cls(Path(cache_dir).expanduser())
        import platformdirs  # looks for the system it is on

        return cls(Path(platformdirs.user_cache_dir("s3img")))

    def variant(self, identity: str, ext: str) -> Path:
        """Return where a rendered file with this identity (hex) is or will be."""
        return self.folder / f"variants/{identity[:2]}/{identity}.{ext}"

    def remove_stale(self) -> None:
        """Delete what killed runs have left behind among the variants, and elsewhere."""
        remove_stale(self.folder.glob(f"variants/??/{TEMPORARY_PREFIX}*.tmp"))
        self.remove_stale_states()

    def remove_stale_states(self) -> None:
        """Delete what killed runs have left behind where that is quickly seen: the variants' many folders are not."""
        for folder, prefix in _TEMPORARIES:
            with contextlib.suppress(OSError), os.scandir(self.folder / folder) as entries:
                remove_stale([Path(entry.path) for entry in entries if entry.name.startswith(prefix)])

    def load_state(self, root: Path) -> SiteState:
        """Read the state of a site; one that can't be read counts as empty."""
        try:
            state = msgspec.json.decode(self.state_path(root).read_bytes(), type=SiteState)
        except (OSError, *DECODE_ERRORS):
            return SiteState()
        return state if state.schema == SiteState().schema else SiteState()

    def save_state(self, root: Path, state: SiteState) -> None:
        """Write the state of a site, if possible: a cache that can't be written only costs time.

        A site with a file name that is not UTF-8 has no state, as JSON can't contain it.
        """
        with contextlib.suppress(OSError, UnicodeEncodeError):
            write_atomically(self.state_path(root), msgspec.json.encode(state))

    def state_path(self, root: Path) -> Path:
        """Return the path of a site's state."""
        name = quote(os.fsencode(os.path.realpath(root)), safe="")
        if len(name) > _LONGEST_NAME:
            import hashlib

            name = hashlib.sha256(name.encode()).hexdigest()
        return self.folder / "sites" / f"{name}.json"


class Digests:
    """Find the content digest of a site's files, reading only those whose stat has changed."""

    def __init__(self, root: Path, state: SiteState) -> None:
        self._root = root
        self._state = state

    def digest(self, path: str, stat: FileStat) -> str:
        """Return the sha256 (hex) of a file; raise AssetError when it can't be read."""
        known = self._state.digests.get(path)
        if known is not None and known[0] == stat:
            return known[1]
        try:
            digest = file_digest(self._root / path)
        except OSError as error:
            raise FileUnreadable(path, error) from error
        self._keep(path, stat, digest)
        return digest

    def refresh(self, stats: Mapping[str, FileStat]) -> None:
        """Read, on all cores, the files that an earlier run has read and whose stat has changed since."""
        self.read({path: stats[path] for path in self._state.digests if path in stats})

    def read(self, stats: Mapping[str, FileStat]) -> None:
        """Read, on all cores, the files that are not known by these stats."""
        known = self._state.digests
        unknown = [path for path, stat in stats.items() if path not in known or known[path][0] != stat]
        for path, digest in file_digests(self._root, unknown).items():
            self._keep(path, stats[path], digest)

    def _keep(self, path: str, stat: FileStat, digest: str) -> None:
        if is_settled(stat):
            self._state.digests[path] = (stat, digest)


def file_digests(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return the sha256 (hex) of files below a folder, read on all cores; those that can't be read are left out."""
    waiting, found = list(paths), dict[str, str]()

    def work() -> None:
        while waiting:
            with contextlib.suppress(OSError, IndexError):  # another thread took the last one
                path = waiting.pop()
                found[path] = file_digest(f"{root}{os.sep}{path}")

    threads = [Thread(target=work, daemon=True) for _ in range(min(os.cpu_count() or 1, len(waiting)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def file_digest(path: str | Path) -> str:
    """Return the sha256 (hex) of a file; raise OSError."""
    import hashlib  # a run with nothing to do needs none

    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path takes a tenth of a page's time
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_settled(stat: FileStat) -> bool:
    """Tell whether a stat proves a file's content: it is old enough for any later change to show in it."""
    return time.time_ns() - max(stat.mtime, stat.ctime) > SETTLED_NS


def stat_of(path: Path | str) -> FileStat:
    """Return a file's present stat; raise OSError."""
    stat = os.stat(path)  # noqa: PTH116 - a Path takes longer than the stat
    return FileStat(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
