"""A site as it is on disk, and what earlier runs found out: enough to see that nothing is left to do.

Nothing here reads a page's markup, so a run with nothing to do ends before the rest of the program is even loaded.
"""

from __future__ import annotations

import contextlib
import time
from functools import cached_property
from typing import TYPE_CHECKING

from s3img.assets import OWN_FOLDER, AssetRoot
from s3img.atomic import remove_stale, write_atomically
from s3img.cache import SETTLED_NS, Cache, file_digests, is_settled, stat_of
from s3img.errors import AssetError, FileUnwritable
from s3img.keys import RENDER_VERSION
from s3img.publish.result import Problem

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from s3img.assets import FileStat
    from s3img.config import Config

NAME = f"{OWN_FOLDER}/pages.sha256"

RECORD = f"{OWN_FOLDER}/keys.txt"

STYLE_PATH = f"{OWN_FOLDER}/s3img.css"

_MOST_SHEETS = 20
"""Style sheets of which the cache keeps what they say: those that were used last."""

_ADDRESS = "# public_url: "
"""How the first line of the record begins."""


def record_keys(root: Path, keys: Iterable[str], *, address: str, anew: bool = False) -> frozenset[str]:
    """Add keys to the record inside a built site, and return all of it; ``anew`` forgets what it held.

    Pages that an earlier run finished are not read again: only the record still knows what they may point at, and below
    which public address. Raise AssetError when it can't be read,
    FileUnwritable when it can't be written.
    """
    known = recorded_keys(root)
    before = recorded_address(root)
    every = frozenset(keys) if anew else known.union(keys)
    if every != known or (anew and before != address):
        lines = [f"{_ADDRESS}{address if anew else before or address}\n", *(f"{key}\n" for key in sorted(every))]
        try:
            write_atomically(root / RECORD, "".join(lines).encode())
        except OSError as error:
            raise FileUnwritable(str(root / RECORD), error) from error
    return every


def recorded_keys(root: Path) -> frozenset[str]:
    """Return the keys that the pages of a built site may point at; raise AssetError when they can't be read."""
    return frozenset(line for line in record_lines(root) if line and not line.startswith(_ADDRESS))


def recorded_address(root: Path) -> str | None:
    """Return the public address below which finished pages show their pictures, None without a record."""
    first = next(iter(record_lines(root)), "")
    return first.removeprefix(_ADDRESS) if first.startswith(_ADDRESS) else None


def record_lines(root: Path) -> list[str]:
    """Return the lines of the record, none where there is no record; raise AssetError."""
    try:
        return (root / RECORD).read_text("utf-8").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(root, error) from error


def _unusable(root: Path, error: Exception) -> AssetError:
    reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    message = f"{root / RECORD}: can't be read: {reason}."
    return AssetError(message, path=str(root / RECORD), fix="Correct its permissions, or build the site anew.")


class PageManifest:
    """The digests of finished pages; the file is read when somebody asks."""

    def __init__(self, root: Path) -> None:
        self._file = root / NAME
        self._journal: io.FileIO | None = None
        self._has_news = False

    @cached_property
    def _finished(self) -> dict[str, str]:
        try:
            lines = self._file.read_text("utf-8", "surrogateescape").split("\n")
        except OSError:
            return {}
        return {line[66:]: line[:64] for line in lines if len(line) > 66}

    def digest(self, path: str) -> str | None:
        """Return the sha256 (hex) of what an earlier run made of a page, None if it finished no page of this name."""
        return self._finished.get(path)

    def add(self, path: str, data: bytes) -> None:
        """Record a page just before it is written; raise OSError."""
        import hashlib  # a run with nothing to do needs none

        self._finished[path] = digest = hashlib.sha256(data).hexdigest()
        if self._journal is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._journal = self._file.open("ab", buffering=0)  # a run may end at any moment, so nothing is held back
            self._has_news = True
        self._journal.write(f"\n{digest}  {path}\n".encode("utf-8", "surrogateescape"))

    def close(self) -> None:
        """Close the file until the next page is added."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def save(self) -> None:
        """Put the lines in order, one a page, where any was added; raise OSError."""
        self.close()
        if self._has_news:
            lines = [f"{digest}  {path}\n" for path, digest in sorted(self._finished.items()) if "\n" not in path]
            write_atomically(self._file, "".join(lines).encode("utf-8", "surrogateescape"))


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


_SOURCES = (
    *("mkdocs.yml", "hugo.toml", "hugo.yaml", "_config.yml", "conf.py", ".eleventy.js", "eleventy.config.js"),
    *("astro.config.mjs", "docusaurus.config.js", "docusaurus.config.ts", "gatsby-config.js", "next.config.js"),
    *("nuxt.config.ts", "svelte.config.js", "zensical.toml"),
)
"""Settings of site generators, which lie beside their sources and in no site that they build."""


def media_type_of(path: str) -> str | None:
    """Return the media type of a file that may refer to images, None for any other."""
    if path == "manifest.json" or path.endswith("/manifest.json"):
        return _MEDIA_TYPES[".webmanifest"]
    return _MEDIA_TYPES.get(path[path.rfind(".") :].lower())


class SiteFiles:
    """A site's files, the manifest of finished pages in it, and the cache's state of it."""

    def __init__(self, folder: Path, config: Config, cache: Cache, *, dimensions_only: bool = False) -> None:
        if not folder.is_dir():
            raise AssetError(f"{folder}: is not a folder.", path=str(folder), fix="Name the folder of a built site.")
        self.root = AssetRoot(folder, site_url=config.site_url)
        self.state = cache.load_state(folder)
        self.pages = tuple(self.find_pages())
        self._manifest = PageManifest(folder)
        self._config = config
        self._cache = cache
        self._dimensions_only = dimensions_only
        self._written: set[str] = set()
        if self.state.settings != self._fingerprint(self.root.files.get(NAME)):
            self.state.settled, self.state.confirmed = {}, 0.0

    def find_pages(self) -> Iterator[tuple[str, str]]:
        """Yield (path, media type) of the files that may hold references, in the order of paths."""
        linked: set[str] = set()
        for path in sorted(self.root.files):
            media_type = media_type_of(path)
            if not media_type or path.startswith(OWN_FOLDER + "/"):
                continue
            target = self.root.links.get(path)
            if target is not None:
                # a link shows what the file shows that it leads to: that one is the page, under whichever name first
                if media_type_of(target) or target in linked:
                    continue
                linked.add(target)
            yield path, media_type

    def doubt(self) -> str:
        """Return why this folder is probably not a built site, "" where nothing speaks against it."""
        sources = next((name for name in _SOURCES if name in self.root.files), "")
        advice = "Name the folder that the site generator writes: site, public, _site, dist, build or out."
        if sources:
            return f"{self.root.root} has a {sources}, so it seems to be what a site is built from. {advice}"
        return "" if self.pages else f"{self.root.root} has no pages, so there was nothing to publish. {advice}"

    @cached_property
    def settled(self) -> frozenset[str]:
        """The pages in which an earlier run left nothing to do, and which have not changed since."""
        unknown = {path: digest for path in self._unknown if (digest := self._manifest.digest(path))}
        digests = file_digests(self.root.root, unknown)
        finished = {path for path, digest in unknown.items() if digests.get(path) == digest}
        return frozenset(path for path, _ in self.pages).difference(set(self._unknown) - finished)

    @cached_property
    def _unknown(self) -> list[str]:
        """The pages that have to be read, as their stat does not tell what they hold."""
        settled, files = self.state.settled, self.root.files
        return [path for path, _ in self.pages if settled.get(path) != files[path]]

    @property
    def is_known(self) -> bool:
        """Tell whether the cache's state alone says that nothing is left to do."""
        return not self._unknown

    def elsewhere(self, base_url: str) -> list[Problem]:
        """Tell where finished pages show their pictures, if this run puts them elsewhere ("" is inside the site)."""
        if not self.settled:
            return []
        before = recorded_address(self.root.root)
        if before is None:
            made = (path for path in self.root.files if path.startswith(f"{OWN_FOLDER}/"))
            before = "" if any(path not in {NAME, RECORD, STYLE_PATH} for path in made) else base_url
        if before == base_url:
            return []
        was, now = (f"at {url}" if url else "inside the site" for url in (before, base_url))
        message = (
            f"pages that were published before show their pictures {was} already, and stay as they are. To have the "
            f"pictures {now}, build the site anew and publish it once."
        )
        return [Problem("", 0, 0, "published-before", message)]

    def write_page(self, path: str, data: bytes, *, is_finished: bool) -> None:
        """Replace a page; one that ``is_finished`` is left alone from now on. Raise OSError."""
        if is_finished and not self._dimensions_only:
            self._manifest.add(path, data)
        write_atomically(self.root.name(self.root.links.get(path, path)), data)  # a link stays a link
        self._written.add(path)

    def close(self) -> None:
        """Close what is kept open while pages are written."""
        self._manifest.close()

    def save(self, settled: Iterable[str]) -> None:
        """Keep what was found out for the next run, and clear what a killed one left."""
        with contextlib.suppress(OSError):
            self._manifest.save()
        self.state.settings = self._fingerprint(self._present_stat(NAME))
        stats = {path: self._present_stat(path) if path in self._written else self.root.files[path] for path in settled}
        if self._written:
            # A stat proves what a file holds only once the clock has moved on: writes of one tick look the same.
            time.sleep(SETTLED_NS / 1e9)
        self.state.settled = {path: stat for path, stat in stats.items() if stat and is_settled(stat)}
        self.state.digests = {path: known for path, known in self.state.digests.items() if path in self.root.files}
        self.state.sheets = dict([*self.state.sheets.items()][-_MOST_SHEETS:])
        self._cache.save_state(self.root.root, self.state)
        self.remove_stale()

    def remove_stale(self) -> None:
        """Delete what killed runs have left behind, in the site and in the cache."""
        remove_stale(self.root.leftovers)
        self._cache.remove_stale_states()

    def _present_stat(self, path: str) -> FileStat | None:
        try:
            return stat_of(self.root.name(path))
        except OSError:
            return None

    def _fingerprint(self, manifest_stat: FileStat | None) -> str:
        """Return what changes whenever a page that needed nothing may need something; it holds no secret."""
        return f"{self._config!r} {RENDER_VERSION} {self._dimensions_only} {manifest_stat}"
