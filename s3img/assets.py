"""Files of a built site: which there are, where a reference leads, what an image is."""

from __future__ import annotations

import difflib
import os
import posixpath
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from s3img.atomic import TEMPORARY_PREFIX
from s3img.errors import AssetError
from s3img.urls import quote_path, relative_url

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_FOLDER = "assets/_s3img"
"""Where variants, the style sheet and the page manifest of a site without a bucket live."""

_ORIGIN = "http://site.invalid"
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]*:|//")
_ENCODED_DOT = re.compile(r"%2e", re.IGNORECASE)
_DROPPED_BY_BROWSERS = re.compile(r"[\t\n\r]")


class Lead(Enum):
    """Say where a reference leads."""

    FILE = "file"
    OWN = "own"  # something that s3img wrote
    MISSING = "missing"
    OUTSIDE = "outside"  # a link out of the tree, or above the site's path prefix
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Target:
    """Hold where a reference leads and how its author wrote it.

    ``path`` is relative to the root; ``start`` is the folder that relative URLs of the document count from; ``front``
    is what an author's root-relative or absolute URL begins with; ``tail`` is its query and fragment.
    """

    lead: Lead
    path: str = ""
    start: str = ""
    front: str | None = None
    tail: str = ""

    def url(self, path: str) -> str:
        """Return the URL of another file of the tree in the form that the author used."""
        return relative_url(path, start=self.start) if self.front is None else self.front + quote_path(path)


class FileStat(msgspec.Struct, frozen=True, array_like=True):
    """Hold what tells a changed file from an unchanged one: bytes, and two times in ns."""

    size: int
    mtime: int
    ctime: int


class ImageFacts(msgspec.Struct, frozen=True, array_like=True):
    """Hold what is known of an image: type from its bytes, upright size in px (0 where it has none)."""

    media_type: str
    width: int
    height: int
    animated: bool = False
    alpha: bool = False


@dataclass(frozen=True, slots=True)
class Asset:
    """Hold one image file: path below the root, content digest (sha256, hex), bytes, and what it is."""

    path: str
    digest: str
    size: int
    facts: ImageFacts


class AssetRoot:
    """Hold the files of a site as they were when it was read, and resolve references to them.

    ``site_url`` is the address that the folder is served at; its path is the prefix of root-relative references.
    """

    def __init__(self, root: Path, *, site_url: str = "") -> None:
        self.root = root
        parts = urlsplit(site_url)
        self.origin = f"{parts.scheme}://{parts.netloc}" if site_url else ""
        self.prefix = parts.path.rstrip("/") + "/"
        self.files: dict[str, FileStat] = {}
        self.outside: set[str] = set()
        self.leftovers: list[Path] = []
        for path, stat in _walk(root):
            if posixpath.basename(path).startswith(TEMPORARY_PREFIX):
                self.leftovers.append(root / path)
            elif stat is None:
                self.outside.add(path)
            else:
                self.files[path] = stat
        self._resolve = lru_cache(maxsize=4096)(self._resolve_uncached)

    def file(self, path: str) -> Path:
        """Return the place on disk of a path of the tree."""
        return self.root / path

    def resolve(self, url: str, *, document: str, base: str | None = None) -> Target:
        """Find the file that a URL in ``document`` leads to, as a browser would; ``base`` is ``<base href>``."""
        return self._resolve(url, posixpath.dirname(document), base)

    def _resolve_uncached(self, url: str, folder: str, base: str | None) -> Target:
        url = _DROPPED_BY_BROWSERS.sub("", url)
        if not url or url.startswith(("#", "data:")):
            return Target(Lead.EXTERNAL)
        here = (self.origin or _ORIGIN) + self.prefix + quote_path(f"{folder}/" if folder else "")
        try:
            start = urljoin(here, base.strip()) if base else here
            path = self._local_path(urljoin(start, _with_plain_dots(url)))
        except ValueError:  # an unclosed [ in the host
            return Target(Lead.EXTERNAL)
        if path is None:
            return Target(Lead.EXTERNAL)
        if path == "":
            return Target(Lead.OUTSIDE)
        lead, path = self._lead(path)
        return Target(
            lead,
            path,
            start=_folder(self._local_path(start) or ""),
            front=self._front(url, start),
            tail=_tail(url),
        )

    def _lead(self, path: str) -> tuple[Lead, str]:
        if path.startswith(OWN_FOLDER + "/"):
            return (Lead.OWN if path in self.files else Lead.MISSING), path
        if path in self.files:
            return Lead.FILE, path
        return self._through_links(path)

    def _through_links(self, path: str) -> tuple[Lead, str]:
        """Follow links to folders, which the walk left alone because they may form loops."""
        if "\0" in path:
            return Lead.MISSING, path
        root, real = os.path.realpath(self.root), os.path.realpath(self.root / path)
        if (
            real.startswith(root + os.sep)
            and (inside := os.path.relpath(real, root).replace(os.sep, "/")) in self.files
        ):
            return Lead.FILE, inside
        leaves = path in self.outside or (not real.startswith(root) and Path(real).exists())
        return (Lead.OUTSIDE if leaves else Lead.MISSING), path

    def _local_path(self, absolute: str) -> str | None:
        """Return the path below the root, "" when it lies above the prefix, None when it is another site's."""
        parts = urlsplit(absolute)
        if f"{parts.scheme}://{parts.netloc}" not in {_ORIGIN, self.origin}:
            return None
        if not parts.path.startswith(self.prefix):
            return ""
        return unquote(parts.path[len(self.prefix) :], errors="surrogateescape")

    def _front(self, url: str, start: str) -> str | None:
        if _SCHEME.match(url):
            return self.origin + self.prefix
        if url[:1] in {"/", "\\"}:
            return self.prefix
        return None if start.startswith((self.origin or _ORIGIN) + self.prefix) else self.prefix

    def nearest(self, path: str) -> str:
        """Return the existing path most like one that is missing, or ""."""
        name = posixpath.basename(path)
        same = [other for other in self.files if posixpath.basename(other).lower() == name.lower()]
        near = same or difflib.get_close_matches(path, self._images_like(path), n=1, cutoff=0.6)
        return near[0] if near else ""

    def _images_like(self, path: str) -> list[str]:
        suffix = posixpath.splitext(path)[1].lower()
        return [other for other in self.files if other.lower().endswith(suffix)] if suffix else list(self.files)


def _with_plain_dots(url: str) -> str:
    """Write what a browser makes of backslashes and encoded dots in a path."""
    path, mark, tail = _partition(url)
    return _ENCODED_DOT.sub(".", path.replace("\\", "/")) + mark + tail


def _partition(url: str) -> tuple[str, str, str]:
    match = re.search(r"[?#]", url)
    return (url[: match.start()], match[0], url[match.end() :]) if match else (url, "", "")


def _tail(url: str) -> str:
    _, mark, tail = _partition(url)
    return mark + tail


def _folder(path: str) -> str:
    return path.rstrip("/") if path.endswith("/") else posixpath.dirname(path)


def _walk(root: Path) -> Iterator[tuple[str, FileStat | None]]:
    """Yield each regular file with its stat, or None for a link that leads out of the tree or nowhere."""
    real_root = os.path.realpath(root)
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            raise AssetError(f"{root / folder}: can't be read: {error.strerror}.", path=str(root / folder)) from error
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif not entry.is_symlink() or _inside(entry.path, real_root):
                yield from _file(path, entry)
            else:
                yield path, None


def _inside(path: str, real_root: str) -> bool:
    return os.path.realpath(path).startswith(real_root + os.sep)


def _file(path: str, entry: os.DirEntry[str]) -> Iterator[tuple[str, FileStat | None]]:
    try:
        stat = entry.stat()
    except OSError:  # a dangling link, or a loop of links
        return
    if entry.is_file():
        yield path, FileStat(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
