"""The files of a built site: which there are, where references lead, and the facts of an image."""

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
from s3img.errors import FileUnreadable
from s3img.urls import clean_url, quote_path, relative_url

OWN_FOLDER = "assets/_s3img"
"""Where variants, the style sheet and the page manifest of a site without a bucket live."""

_ORIGIN = "http://site.invalid"
# Compiled when they are used: most runs resolve nothing.
_SCHEME = r"[a-zA-Z][a-zA-Z0-9+.\-]*:|//"
_PLAIN = r"((?:\.\./)*+)(?:[A-Za-z0-9_~-][A-Za-z0-9_.~-]*/)*[A-Za-z0-9_~-][A-Za-z0-9_.~-]*"
"""A relative URL in which nothing needs decoding; group 1 are its steps upwards."""


class TargetKind(Enum):
    """What a reference leads to."""

    FILE = "file"
    OWN = "own"  # something that s3img wrote
    MISSING = "missing"
    OUTSIDE = "outside"  # a link out of the tree, or above the site's path prefix
    EXTERNAL = "external"


class LinkTarget(msgspec.Struct, frozen=True):
    """Where a reference leads, and how its author wrote it.

    ``path`` is relative to the root; ``start`` is the folder that relative URLs of the document are relative to;
    ``front`` is the beginning of the author's root-relative or absolute URL; ``tail`` is its query and fragment.
    """

    kind: TargetKind
    path: str = ""
    start: str = ""
    front: str | None = None
    tail: str = ""

    def url(self, path: str) -> str:
        """Return the URL of another file of the tree in the form that the author used."""
        return relative_url(path, start=self.start) if self.front is None else self.front + quote_path(path)


class FileStat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What differs once a file has changed: its size in bytes, and two times in ns."""

    size: int
    mtime: int
    ctime: int


_SUFFIXES = frozenset((".avif", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp"))
"""Suffixes under which people look for one picture."""

CUT_JPEG = "lacks its end marker, and perhaps more. Browsers show it all the same; save it again."
"""The note about a JPEG that is used although something is wrong with it."""


class ImageFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The facts of an image: type from its bytes, upright size in px (0 where it has none).

    ``is_cut`` is a JPEG that ends without its end marker, of which `CUT_JPEG` tells.
    """

    media_type: str
    width: int
    height: int
    animated: bool = False
    alpha: bool = False
    is_cut: bool = False


class Asset(msgspec.Struct, frozen=True):
    """One image file: path below the root, content digest (sha256, hex), size in bytes, and facts.

    ``key`` is that of an object which a page names by its public URL, "" for a file; the path is then the same.
    """

    path: str
    digest: str
    size: int
    facts: ImageFacts
    key: str = ""


class AssetRoot:
    """The files of a site as they were when it was read; resolves references to them.

    ``site_url`` is the address that the folder is served at; its path is the prefix of root-relative references.
    ``links`` are the symbolic links to files of the tree, with the path that each leads to; ``outside`` those that
    leave it; ``leftovers`` the temporary files of runs that were killed.
    """

    def __init__(self, root: Path, *, site_url: str = "") -> None:
        self.root = root
        self._front = os.path.join(root, "")  # noqa: PTH118 - what the names of files are put behind
        parts = urlsplit(site_url)
        self.origin = f"{parts.scheme}://{parts.netloc}".lower() if site_url else ""
        self.prefix = parts.path.rstrip("/") + "/"
        self.files: dict[str, FileStat] = {}
        self.links: dict[str, str] = {}
        self.outside: set[str] = set()
        self.leftovers: list[Path] = []
        self._walk()
        self._resolve = lru_cache(maxsize=4096)(self._resolve_uncached)

    def _walk(self) -> None:
        """Note each regular file with its stat, and links that lead out of the tree separately."""
        inside = os.path.realpath(self.root).rstrip(os.sep) + os.sep
        pending = [""]
        while pending:
            folder = pending.pop()
            for entry in sorted_entries(self.root / folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.name.startswith(TEMPORARY_PREFIX):
                    self.leftovers.append(self.root / path)
                elif entry.is_symlink() and not (real := os.path.realpath(entry.path)).startswith(inside):
                    self.outside.add(path)
                elif stat := regular_file_stat(entry):
                    self.files[path] = stat
                    if entry.is_symlink():
                        self.links[path] = real[len(inside) :].replace(os.sep, "/")

    def file(self, path: str) -> Path:
        """Return the place on disk of a path of the tree."""
        return self.root / path

    def name(self, path: str) -> str:
        """Return the place on disk of a path of the tree as text: paths of thousands of files take time and memory."""
        return f"{self._front}{path}"

    def read(self, path: str) -> bytes:
        """Return the bytes of a file of the tree; raise OSError."""
        # Without pathlib and a buffer: half of the time that opening thousands of small files takes.
        with open(f"{self._front}{path}", "rb", buffering=0) as file:  # noqa: PTH123
            return file.read()

    def target(self, path: str) -> LinkTarget:
        """Find the file at a path below the root; links are followed as they are for references."""
        return LinkTarget(*self._find(path))

    def resolve(self, url: str, *, document: str, base: str | None = None) -> LinkTarget:
        """Find the file that a URL in ``document`` leads to, as a browser would; ``base`` is ``<base href>``."""
        return self._resolve(url, posixpath.dirname(document), base)

    def _resolve_uncached(self, url: str, folder: str, base: str | None) -> LinkTarget:
        # Nearly all references are plain; for them, the general way below would take ten times as long.
        plain = None if base else re.fullmatch(_PLAIN, url)
        if plain and len(plain[1]) // len("../") <= (folder.count("/") + 1 if folder else 0):
            return LinkTarget(*self._find(posixpath.normpath(posixpath.join(folder, url))), start=folder)
        url, tail = clean_url(url)
        if not url or url.startswith(("#", "data:")):
            return LinkTarget(TargetKind.EXTERNAL)
        here = (self.origin or _ORIGIN) + self.prefix + quote_path(f"{folder}/" if folder else "")
        try:
            start = urljoin(here, base.strip()) if base else here
            path = self._local_path(urljoin(start, url))
        except ValueError:  # an unclosed [ in the host
            return LinkTarget(TargetKind.EXTERNAL)
        if path is None:
            return LinkTarget(TargetKind.EXTERNAL)
        if path == "":
            return LinkTarget(TargetKind.OUTSIDE)
        if re.match(_SCHEME, url):
            front: str | None = self.origin + self.prefix
        else:
            # A relative URL is written back as one, unless <base> leads to another place.
            is_relative = url[:1] not in {"/", "\\"} and start.startswith((self.origin or _ORIGIN) + self.prefix)
            front = None if is_relative else self.prefix
        above = self._local_path(start) or ""
        above = above.rstrip("/") if above.endswith("/") else posixpath.dirname(above)
        return LinkTarget(*self._find(path), start=above, front=front, tail=tail)

    def _find(self, path: str) -> tuple[TargetKind, str]:
        if path.startswith(OWN_FOLDER + "/"):
            return (TargetKind.OWN if path in self.files else TargetKind.MISSING), path
        if path in self.files:
            return TargetKind.FILE, path
        return self._through_links(path)

    def _through_links(self, path: str) -> tuple[TargetKind, str]:
        """Follow links to folders, which the walk left alone because they may form loops."""
        if "\0" in path:
            return TargetKind.MISSING, path
        root, real = os.path.realpath(self.root), os.path.realpath(self.root / path)
        if (
            real.startswith(root + os.sep)
            and (inside := os.path.relpath(real, root).replace(os.sep, "/")) in self.files
        ):
            return TargetKind.FILE, inside
        leaves = path in self.outside or (not real.startswith(root) and Path(real).exists())
        return (TargetKind.OUTSIDE if leaves else TargetKind.MISSING), path

    def _local_path(self, absolute: str) -> str | None:
        """Return the path below the root, "" when it lies above the prefix, None when it is another site's."""
        parts = urlsplit(absolute)
        if f"{parts.scheme}://{parts.netloc}".lower() not in {_ORIGIN, self.origin}:
            return None
        if not parts.path.startswith(self.prefix):
            return ""
        return unquote(parts.path[len(self.prefix) :], errors="surrogateescape")

    def nearest(self, path: str) -> str:
        """Return the existing path that is most similar to a missing one, "" where none is."""
        import difflib  # most sites have no missing file

        name = posixpath.basename(path)
        same = [other for other in self.files if posixpath.basename(other).lower() == name.lower()]
        stem, suffix = posixpath.splitext(name.lower())
        if not same and suffix in _SUFFIXES:  # a.jpeg beside a.jpg
            twins = {stem + other for other in _SUFFIXES}
            same = [other for other in self.files if posixpath.basename(other).lower() in twins]
        others = [other for other in self.files if other.lower().endswith(suffix)]
        near = difflib.get_close_matches(path, same or others, n=1, cutoff=0.0 if same else 0.75)
        return near[0] if near else ""

    def missing_hint(self, path: str) -> str:
        """Return what to do about a missing file: the nearest name, or the cause where names look the same.

        Two names that look the same may differ in their form of Unicode: macOS writes decomposed ones (NFD).
        """
        form = unicodedata.normalize("NFC", path)
        same = next((other for other in self.files if unicodedata.normalize("NFC", other) == form), "")
        if same:
            forms = f"the page writes {unicode_form(path)}, the file {unicode_form(same)}"
            return (
                f"the file {same!r} has the same name in another Unicode form ({forms}), and servers take these for two"
                " names: rename the file to the page's form."
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


def unicode_form(text: str) -> str:
    """Return the name of the normal form that a text is in."""
    return "NFC" if unicodedata.is_normalized("NFC", text) else "NFD"


def sorted_entries(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder by name, so that every machine finds the same files in the same order; raise AssetError."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=attrgetter("name"))
    except OSError as error:
        raise FileUnreadable(str(folder), error) from error


def regular_file_stat(entry: os.DirEntry[str]) -> FileStat | None:
    """Return the stat of a regular file, None for anything else: a dangling link, a loop of links, a pipe."""
    try:
        stat = entry.stat()
    except OSError:
        return None
    return FileStat(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) if entry.is_file() else None
