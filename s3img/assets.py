"""Files of a built site: which there are, where a reference leads, what an image is."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from s3img.atomic import TEMPORARY_PREFIX
from s3img.errors import AssetError
from s3img.urls import clean_url, quote_path, relative_url

OWN_FOLDER = "assets/_s3img"
"""Where variants, the style sheet and the page manifest of a site without a bucket live."""

_ORIGIN = "http://site.invalid"
# Compiled when they are used: most runs resolve nothing.
_SCHEME = r"[a-zA-Z][a-zA-Z0-9+.\-]*:|//"
_PLAIN = r"((?:\.\./)*+)(?:[A-Za-z0-9_~-][A-Za-z0-9_.~-]*/)*[A-Za-z0-9_~-][A-Za-z0-9_.~-]*"
"""A relative URL in which nothing needs decoding; group 1 are its steps upwards."""


class Lead(Enum):
    """Where a reference leads."""

    FILE = "file"
    OWN = "own"  # something that s3img wrote
    MISSING = "missing"
    OUTSIDE = "outside"  # a link out of the tree, or above the site's path prefix
    EXTERNAL = "external"


class LinkTarget(msgspec.Struct, frozen=True):
    """Where a reference leads, and how its author wrote it.

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


class FileStat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What tells a changed file from an unchanged one: bytes, and two times in ns."""

    size: int
    mtime: int
    ctime: int


class ImageFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of an image: type from its bytes, upright size in px (0 where it has none).

    ``is_cut`` is a JPEG that ends without its end marker.
    """

    media_type: str
    width: int
    height: int
    animated: bool = False
    alpha: bool = False
    is_cut: bool = False


class Asset(msgspec.Struct, frozen=True):
    """One image file: path below the root, content digest (sha256, hex), bytes, and what it is."""

    path: str
    digest: str
    size: int
    facts: ImageFacts


class AssetRoot:
    """The files of a site as they were when it was read; resolves references to them.

    ``site_url`` is the address that the folder is served at; its path is the prefix of root-relative references.
    ``links`` are the symbolic links to files of the tree, with the path that each leads to; ``outside`` those that
    leave it; ``leftovers`` the temporary files of runs that were killed.
    """

    def __init__(self, root: Path, *, site_url: str = "") -> None:
        self.root = root
        parts = urlsplit(site_url)
        self.origin = f"{parts.scheme}://{parts.netloc}" if site_url else ""
        self.prefix = parts.path.rstrip("/") + "/"
        self.files: dict[str, FileStat] = {}
        self.links: dict[str, str] = {}
        self.outside: set[str] = set()
        self.leftovers: list[Path] = []
        self._walk()
        self._resolve = lru_cache(maxsize=4096)(self._resolve_uncached)

    def _walk(self) -> None:
        """Note each regular file with its stat; links that lead out of the tree are noted apart."""
        inside = os.path.realpath(self.root).rstrip(os.sep) + os.sep
        pending = [""]
        while pending:
            folder = pending.pop()
            for entry in _entries(self.root / folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.name.startswith(TEMPORARY_PREFIX):
                    self.leftovers.append(self.root / path)
                elif entry.is_symlink() and not (real := os.path.realpath(entry.path)).startswith(inside):
                    self.outside.add(path)
                elif stat := _file_stat(entry):
                    self.files[path] = stat
                    if entry.is_symlink():
                        self.links[path] = real[len(inside) :].replace(os.sep, "/")

    def file(self, path: str) -> Path:
        """Return the place on disk of a path of the tree."""
        return self.root / path

    def resolve(self, url: str, *, document: str, base: str | None = None) -> LinkTarget:
        """Find the file that a URL in ``document`` leads to, as a browser would; ``base`` is ``<base href>``."""
        return self._resolve(url, posixpath.dirname(document), base)

    def _resolve_uncached(self, url: str, folder: str, base: str | None) -> LinkTarget:
        plain = None if base else re.fullmatch(_PLAIN, url)
        if plain and len(plain[1]) // len("../") <= (folder.count("/") + 1 if folder else 0):
            return LinkTarget(*self._lead(posixpath.normpath(posixpath.join(folder, url))), start=folder)
        url, tail = clean_url(url)
        if not url or url.startswith(("#", "data:")):
            return LinkTarget(Lead.EXTERNAL)
        here = (self.origin or _ORIGIN) + self.prefix + quote_path(f"{folder}/" if folder else "")
        try:
            start = urljoin(here, base.strip()) if base else here
            path = self._local_path(urljoin(start, url))
        except ValueError:  # an unclosed [ in the host
            return LinkTarget(Lead.EXTERNAL)
        if path is None:
            return LinkTarget(Lead.EXTERNAL)
        if path == "":
            return LinkTarget(Lead.OUTSIDE)
        lead, path = self._lead(path)
        return LinkTarget(
            lead,
            path,
            start=_folder(self._local_path(start) or ""),
            front=self._front(url, start),
            tail=tail,
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
        if re.match(_SCHEME, url):
            return self.origin + self.prefix
        if url[:1] in {"/", "\\"}:
            return self.prefix
        return None if start.startswith((self.origin or _ORIGIN) + self.prefix) else self.prefix

    def nearest(self, path: str) -> str:
        """Return the existing path most like one that is missing, or "" where none is near."""
        import difflib  # most sites miss nothing

        name = posixpath.basename(path)
        same = [other for other in self.files if posixpath.basename(other).lower() == name.lower()]
        suffix = posixpath.splitext(path)[1].lower()
        others = [other for other in self.files if other.lower().endswith(suffix)]
        near = difflib.get_close_matches(path, same or others, n=1, cutoff=0.0 if same else 0.75)
        return near[0] if near else ""

    def missing_hint(self, path: str) -> str:
        """Return what to do about a file that is missing: the nearest name, or the cause where no name shows it.

        Two names that look the same may differ in their form of Unicode: macOS writes decomposed ones (NFD).
        """
        form = unicodedata.normalize("NFC", path)
        same = next((other for other in self.files if unicodedata.normalize("NFC", other) == form), "")
        if same:
            return (
                f"the file {same!r} has the same name in another Unicode form (the page writes {_form(path)}, the file"
                f" {_form(same)}), which servers take for two names: rename the file to the form that the page writes."
            )
        near = self.nearest(path)
        return f"did you mean {near!r}?" if near else "add the file or remove the reference."

    def path_below_site(self, url: str, path: str) -> str:
        """Return the file that a root-relative URL leads to where the site is served below a path, or "".

        Only without ``site_url``, which says the path.
        """
        if self.origin or not url.startswith(("/", "\\")) or url.startswith("//"):
            return ""
        parts = path.split("/")
        tails = ("/".join(parts[at:]) for at in range(1, len(parts)))
        return next((tail for tail in tails if tail in self.files), "")


def _form(text: str) -> str:
    return "NFC" if unicodedata.is_normalized("NFC", text) else "NFD"


def _folder(path: str) -> str:
    return path.rstrip("/") if path.endswith("/") else posixpath.dirname(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=attrgetter("name"))
    except OSError as error:
        raise AssetError(f"{folder}: can't be read: {error.strerror}.", path=str(folder)) from error


def _file_stat(entry: os.DirEntry[str]) -> FileStat | None:
    """Return the stat of a regular file, None for anything else: a dangling link, a loop of links, a pipe."""
    try:
        stat = entry.stat()
    except OSError:
        return None
    return FileStat(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) if entry.is_file() else None
