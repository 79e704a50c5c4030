"""Files that people write or build, and the addresses in them that lead to objects of the bucket.

Nothing is asked of the bucket. What an address leads to follows from ``public_url`` and ``service_url``.
"""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from s3img.atomic import write_atomically
from s3img.errors import AssetError, FileUnreadable, FileUnwritable
from s3img.rewrite import OPTIONAL_KINDS, find_references, position, rewrite
from s3img.rewrite.markdown.proof import rewrite_markdown
from s3img.urls import quote_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from s3img.config import Config
    from s3img.rewrite import Reference

MARKDOWN: Final = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"})

MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".css": "text/css",
    ".xml": "application/xml",
    ".rss": "application/rss+xml",
    ".atom": "application/atom+xml",
    ".webmanifest": "application/manifest+json",
}

PLAIN: Final = frozenset(
    (
        *(".rst", ".adoc", ".asciidoc", ".txt", ".tex", ".org", ".toml", ".yml", ".yaml", ".json", ".ini", ".csv"),
        *(".py", ".js", ".mjs", ".ts", ".jsx", ".tsx", ".vue", ".svelte", ".astro", ".php", ".rb", ".go", ".j2"),
        *(".jinja", ".jinja2", ".tmpl", ".ipynb", ".scss", ".less", ".bib"),
    )
)
"""Kinds of text in which an address may stand, though no rule tells how to write another one there."""

SKIPPED: Final = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})
"""Folders of other people's files; hidden ones are left out as well."""

MOST_BYTES: Final = 20_000_000  # of a source that is looked into: larger ones are data

_SIGNED = re.compile(r"[?&](?:sig|ik-s)=")
_TAIL = re.compile(r"[?#].*", re.DOTALL)
_STEPS = re.compile(r"(tr:[^/]*)/(.+)", re.DOTALL)
_URL_CHARACTERS = r"[^\s\"'<>()\[\]{}|\\^`,;]"


@dataclass(frozen=True, slots=True)
class KeyUrl:
    """An address that leads to an object: what stands before the key, the key, what stands behind it."""

    head: str
    key: str
    tail: str

    @property
    def is_signed(self) -> bool:
        """Tell whether the address is worth nothing under another key."""
        return bool(_SIGNED.search(self.tail))

    def at(self, key: str) -> str:
        """Return the same address of another key."""
        return f"{self.head}{quote_path(key)}{self.tail}"


class KeyUrls:
    """Tell which object an address leads to: below ``public_url``, or through the transform service."""

    def __init__(self, config: Config) -> None:
        found = [config.base_url] if config.bucket else []
        self.bases = tuple(sorted({url.rstrip("/") for url in (*found, config.service_url) if url}, key=len))
        # http and https are one address to people who link, and `//host/` is both.
        ends = [re.escape(base.partition("://")[2] or base) for base in reversed(self.bases)]
        self._start = re.compile(
            rf"(?<![\w.-])(?:(?:[a-z][a-z0-9+.-]*:)?//)?(?:{'|'.join(ends) or '(?!)'})/", re.IGNORECASE
        )

    def read(self, url: str) -> KeyUrl | None:
        """Return what an address leads to, None for one elsewhere."""
        start = self._start.match(url)
        if start is None:
            return None
        rest = url[start.end() :]
        path = _TAIL.sub("", rest)
        steps = _STEPS.fullmatch(path)
        key = unquote(steps[2] if steps else path)
        head = start[0] + (f"{steps[1]}/" if steps else "")
        return KeyUrl(head, key, rest[len(path) :]) if key else None

    def in_text(self, text: str) -> Iterator[tuple[int, KeyUrl]]:
        """Yield (offset, address) of everything in a text that begins like an address of the bucket."""
        for start in self._start.finditer(text):
            end = re.compile(_URL_CHARACTERS + "*").match(text, start.end())
            found = self.read(text[start.start() : end.end() if end else start.end()].rstrip(".:!?"))
            if found:
                yield start.start(), found


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file and what kind of text it is: ``markdown``, a media type that has references, or ``""`` for plain text."""

    path: Path
    kind: str

    def read(self) -> str | None:
        """Return the text; None where it is not UTF-8 or too large, and so no source. Raise AssetError."""
        try:
            if self.path.stat().st_size > MOST_BYTES:
                return None
            with self.path.open(encoding="utf-8", newline="") as file:  # line ends stay as they are
                return file.read()
        except OSError as error:
            raise FileUnreadable(str(self.path), error) from error
        except UnicodeDecodeError:
            return None


def source_files(places: Iterable[Path]) -> Iterator[SourceFile]:
    """Yield the text files below some folders, or those that are named themselves; raise AssetError for no such place.

    Links below a folder are not followed, so that no file outside is read or written; one that is named itself is the
    file that it leads to.
    """
    for place in places:
        if not place.exists():
            raise AssetError(f"{place}: does not exist.", path=str(place), fix="Name the folder of your pages.")
        if place.is_file():
            yield SourceFile(place.resolve() if place.is_symlink() else place, kind_of(place.name) or "")
            continue
        for folder, names, files in os.walk(place):
            names[:] = sorted(name for name in names if name not in SKIPPED and not name.startswith("."))
            for name in sorted(files):
                path = Path(folder, name)
                kind = kind_of(name)
                if kind is not None and not name.startswith(".") and not path.is_symlink():
                    yield SourceFile(path, kind)


def kind_of(name: str) -> str | None:
    """Return the kind of a file by its name, None for one that is not text."""
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in MARKDOWN:
        return "markdown"
    return MEDIA_TYPES.get(suffix, "" if suffix in PLAIN else None)


def references_in(text: str, kind: str) -> list[Reference]:
    """Return the references of a text, links to pictures and front matter included."""
    return find_references(text, "text/markdown" if kind == "markdown" else kind, optional=OPTIONAL_KINDS)


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What became of one file: references changed, and (line, column, address, why) of each that stays."""

    file: SourceFile
    changed: int
    left: tuple[tuple[int, int, str, str], ...] = ()


def rename_references(
    file: SourceFile, keys: Mapping[str, str], urls: KeyUrls, render: Callable[[str], str], *, apply: bool
) -> SourceChange | None:
    """Write new addresses into a file; None where it names none of the old ones. Raise AssetError.

    ``keys`` leads from old keys to new ones. Markdown changes as far as ``render`` proves that the page stays the same
    except for them; other documents change byte for byte in the places of references. What stays is told.
    """
    text = file.read()
    if text is None or not any(found.key in keys for _, found in urls.in_text(text)):
        return None
    changed = 0
    new_keys = {*keys.values()}  # where objects change places, a new name is also an old one
    left: list[tuple[int, int, str, str]] = []

    def replace(reference: Reference) -> str | None:
        nonlocal changed
        found = urls.read(reference.url)
        if found is None or found.key not in keys or found.is_signed:
            return None
        changed += 1
        return found.at(keys[found.key])

    new = text
    if file.kind == "markdown":
        result = rewrite_markdown(text, replace, render, optional=OPTIONAL_KINDS)
        new, changed = result.text, result.changed
        reasons = {refusal.url: refusal.reason for refusal in result.refusals}
    else:
        reasons = {}
        if file.kind:
            new = rewrite(text, file.kind, replace, optional=OPTIONAL_KINDS)
    for offset, found in urls.in_text(new):
        if found.key in keys and found.key not in new_keys:
            url = found.at(found.key)
            why = "it is signed: sign it anew" if found.is_signed else "it is not a reference of this kind of file"
            left.append((*position(new, offset), url, reasons.get(url, why)))
    if apply and new != text:
        try:
            write_atomically(file.path, new.encode("utf-8"))
        except OSError as error:
            raise FileUnwritable(str(file.path), error) from error
    return SourceChange(file, changed, tuple(left))
