"""A site as it is on disk, and what earlier runs found out: enough to see that nothing is left to do.

Nothing here reads a page's markup, so a run with nothing to do ends before the rest of the program is even loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import TYPE_CHECKING

import msgspec

from s3img.assets import OWN_FOLDER, AssetRoot
from s3img.cache import SETTLED_NS, Cache, is_settled, stat_of
from s3img.errors import AssetError
from s3img.publish.manifest import PageManifest
from s3img.render_version import RENDER_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from s3img.assets import FileStat
    from s3img.config import Config

_MEDIA_TYPES = {
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".css": "text/css",
    ".xml": "application/xml",  # feeds and sitemaps; other XML has no references
    ".rss": "application/rss+xml",
    ".atom": "application/atom+xml",
    ".webmanifest": "application/manifest+json",
}
_STALE = 3600  # seconds after which a temporary file belongs to no running build


def media_type_of(path: str) -> str | None:
    """Return the media type of a file that may refer to images, None for any other."""
    if path == "manifest.json" or path.endswith("/manifest.json"):
        return _MEDIA_TYPES[".webmanifest"]
    return _MEDIA_TYPES.get(path[path.rfind(".") :].lower())


class SiteFiles:
    """Hold a site's files, the manifest of finished pages in it, and the cache's state of it."""

    def __init__(self, folder: Path, config: Config, cache: Cache, *, dimensions_only: bool = False) -> None:
        if not folder.is_dir():
            raise AssetError(f"{folder}: is no folder.", path=str(folder), fix="Name the folder of a built site.")
        self.root = AssetRoot(folder, site_url=config.site_url)
        self.manifest = PageManifest(folder)
        self.state = cache.load_state(folder)
        self._config = config
        self._cache = cache
        self._dimensions_only = dimensions_only
        if self.state.settings != self._fingerprint():
            self.state.settled = {}
        self.pages = tuple(self._pages())
        """(path, media type) of everything that may hold references, in the order of paths."""

    def _pages(self) -> Iterator[tuple[str, str]]:
        for path in sorted(self.root.files):
            media_type = media_type_of(path)
            if media_type and not path.startswith(OWN_FOLDER + "/"):
                yield path, media_type

    @property
    def is_known(self) -> bool:
        """Tell whether the cache's state alone says that nothing is left to do."""
        settled, files = self.state.settled, self.root.files
        return all(settled.get(path) == files[path] for path, _ in self.pages)

    def is_settled(self, path: str) -> bool:
        """Tell whether an earlier run left nothing to do in a page, and it has not changed since."""
        if self.state.settled.get(path) == self.root.files[path]:
            return True
        if not self.manifest.has(path):
            return False
        try:
            return self.manifest.is_finished(path, self.root.file(path).read_bytes())
        except OSError:
            return False

    def save(self, settled: Iterable[str]) -> None:
        """Keep what was found out for the next run, and clear what a killed one left."""
        with contextlib.suppress(OSError):
            self.manifest.save()
        self.state.settings = self._fingerprint()
        self.state.settled = self._stats(settled)
        self.state.digests = {path: known for path, known in self.state.digests.items() if path in self.root.files}
        self._cache.save_state(self.root.root, self.state)
        for leftover in self.root.leftovers:
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > _STALE:
                    leftover.unlink()

    def _stats(self, paths: Iterable[str]) -> dict[str, FileStat]:
        """Return stats that prove what a page holds; for pages written a moment ago that takes a moment's wait."""
        found = {}
        for path in paths:
            with contextlib.suppress(OSError):
                found[path] = stat_of(self.root.file(path))
        if not all(map(is_settled, found.values())):
            time.sleep(SETTLED_NS / 1e9)
        return {path: stat for path, stat in found.items() if is_settled(stat)}

    def _fingerprint(self) -> str:
        """Return what changes whenever a page that needed nothing may need something."""
        parts = msgspec.json.encode(self._config), str(RENDER_VERSION).encode(), self.manifest.version.encode()
        return hashlib.sha256(b"\n".join([*parts, str(self._dimensions_only).encode()])).hexdigest()
