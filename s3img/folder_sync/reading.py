"""Read images from disk, each once and on all cores: the digest of its bytes, and what they are."""

from __future__ import annotations

import contextlib
import hashlib
import os
from threading import Thread
from typing import TYPE_CHECKING

from s3img.assets import ImageFacts
from s3img.cache import is_settled
from s3img.errors import AssetError, S3ImgError
from s3img.imaging import probe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from s3img.assets import FileStat
    from s3img.cache import SiteState
    from s3img.limits import Limits

_WHOLE = 4 << 20
"""Bytes up to which a file is held in memory: its header is then read from there."""

_PIECE = 1 << 18  # bytes of a larger file that are read at a time


class Reader:
    """Find digest and facts of images below a folder; of those whose stat is known nothing is read."""

    def __init__(self, base: Path, limits: Limits, known: SiteState) -> None:
        self._base = base
        self._limits = limits
        self._known = known
        self._digests: dict[str, str] = {}

    def read(self, stats: Mapping[str, FileStat]) -> None:
        """Read whatever is not known; what can't be read or is no image shows when it is asked for."""
        known, waiting = self._known.digests, []
        for path, stat in stats.items():
            if path in known and known[path][0] == stat:
                self._digests[path] = known[path][1]
            else:
                waiting.append((path, stat))
        threads = [
            Thread(target=self._work, args=(waiting,), daemon=True)
            for _ in range(min(os.cpu_count() or 1, len(waiting)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def digest(self, path: str) -> str:
        """Return the sha256 (hex) of a file that was to be read; raise AssetError when it can't be."""
        try:
            return self._digests.get(path) or self._digest(path, 0)
        except OSError as error:
            raise AssetError(f"{path}: can't be read: {error.strerror}.", path=path) from error

    def facts(self, path: str, digest: str) -> ImageFacts:
        """Return what a file with this digest is; raise S3ImgError for what is no image that can be used."""
        return self._known.facts.get(digest) or self._probed(self._base / path, digest)

    def _work(self, waiting: list[tuple[str, FileStat]]) -> None:
        while waiting:
            with contextlib.suppress(OSError, UnicodeError, IndexError):  # another thread took the last one
                path, stat = waiting.pop()
                proves = is_settled(stat)  # before it is read, or a change in the same moment would not show
                self._digests[path] = digest = self._digest(path, stat.size)
                if proves:
                    self._known.digests[path] = stat, digest

    def _digest(self, path: str, size: int) -> str:
        """Return the digest of a file, and note what the file is, if it has the size that is expected."""
        file = os.open(f"{self._base}/{path}", os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            data = os.read(file, size + 1 if size < _WHOLE else _PIECE)
            found = hashlib.sha256(data)
            while piece := os.read(file, _PIECE):
                found.update(piece)
        finally:
            os.close(file)
        digest = found.hexdigest()
        if len(data) == size and digest not in self._known.facts:
            with contextlib.suppress(S3ImgError):  # `facts` says it with the name of the file
                self._probed(data, digest)
        return digest

    def _probed(self, source: Path | bytes, digest: str) -> ImageFacts:
        info = probe(source, limits=self._limits)
        facts = ImageFacts(info.media_type, info.width, info.height, animated=info.animated, alpha=info.alpha)
        self._known.facts[digest] = facts
        return facts
