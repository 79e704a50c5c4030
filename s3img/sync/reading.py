"""Read images from disk, each once and on all cores: the digest of its bytes, and what they are."""

from __future__ import annotations

import contextlib
import hashlib
import os
from threading import Thread
from typing import TYPE_CHECKING

from s3img.cache import is_settled
from s3img.errors import FileUnreadable
from s3img.imaging.probing import read_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from s3img.assets import FileStat, ImageFacts
    from s3img.cache import SiteState
    from s3img.limits import Limits
    from s3img.sync.tree import ScopeFiles

_WHOLE = 4 << 20
"""Bytes up to which a file is held in memory: its header is then read from there."""

_PIECE = 1 << 18  # bytes of a larger file that are read at a time

KEPT = 64 << 20
"""Bytes of contents that are kept, about."""


class Reader:
    """Find digest and facts of the images of a scope; of those whose stat is known nothing is read.

    Threads begin to read at once, while the caller goes on. With ``keep`` the first `KEPT` bytes of what they read stay
    in ``contents``, by path: what is going to be sent need not be read and hashed again.
    """

    def __init__(self, base: Path, files: ScopeFiles, known: SiteState, limits: Limits, *, keep: bool = False) -> None:
        if known.settings != repr(limits):  # what was an image under other limits may be too large under these
            known.facts, known.settings = {}, repr(limits)
        stats = files.images
        self.stats: Mapping[str, FileStat] = stats
        self.unread = files.unread
        self.known = known
        self.contents: dict[str, bytes] = {}
        self._base = base
        self._limits = limits
        self._room = KEPT if keep else 0
        self._digests = {p: known.digests[p][1] for p, stat in stats.items() if known.digests.get(p, ("",))[0] == stat}
        self._waiting = [(path, stat) for path, stat in stats.items() if path not in self._digests]
        self._threads = [
            Thread(target=self._work, daemon=True) for _ in range(min(os.cpu_count() or 1, len(self._waiting)))
        ]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Wait until everything is read; what can't be read or is not an image shows when it is asked for."""
        while self._threads:
            self._threads.pop().join()

    def digest(self, path: str) -> str:
        """Return the sha256 (hex) of a file that was to be read; raise AssetError when it can't be."""
        try:
            return self._digests.get(path) or self._digest(path, 0)
        except OSError as error:
            raise FileUnreadable(path, error) from error

    def facts(self, path: str, digest: str) -> ImageFacts:
        """Return what a file with this digest is; raise S3ImgError for what is not an image that can be used."""
        return self.known.facts.get(digest) or self._probed(self._base / path, digest)

    def _work(self) -> None:
        while self._waiting:
            with contextlib.suppress(OSError, UnicodeError, IndexError):  # another thread took the last one
                path, stat = self._waiting.pop()
                path.encode()  # a state can't name what is not UTF-8
                proves = is_settled(stat)  # before it is read, or a change in the same moment would not show
                self._digests[path] = digest = self._digest(path, stat.size, is_kept=proves)
                if proves:
                    self.known.digests[path] = stat, digest

    def _digest(self, path: str, size: int, *, is_kept: bool = False) -> str:
        """Return the digest of a file, and note what the file is, if it has the size that is expected."""
        file = os.open(f"{self._base}/{path}", os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            data = os.read(file, size + 1 if size < _WHOLE else _PIECE)
            found = hashlib.sha256(data)
            while piece := os.read(file, _PIECE):
                found.update(piece)
                data = b""  # a large file, or one that something writes to
        finally:
            os.close(file)
        digest = found.hexdigest()
        if data and len(data) == size:
            if digest not in self.known.facts:
                with contextlib.suppress(Exception):  # `facts` meets it again, where the file's name is known
                    self._probed(data, digest)
            if is_kept and size <= self._room:
                self._room -= size
                self.contents[path] = data
        return digest

    def _probed(self, source: Path | bytes, digest: str) -> ImageFacts:
        facts = read_facts(source, limits=self._limits)
        self.known.facts[digest] = facts
        return facts
