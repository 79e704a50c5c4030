"""The text files of a site, of whatever kind, and which images they name: only what none names may be deleted.

What was not found counts as used. A name is looked for in every text file (pages, scripts, data, templates, server
settings, compressed copies), as it is written and with each escaping taken off: character references of HTML, escapes
of JSON, scripts and CSS, percent-encoding, several of them around each other. Names that a script puts together from
parts can't be found so.
"""

from __future__ import annotations

import codecs
import posixpath
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import unquote

from s3img import codings
from s3img.assets import OWN_FOLDER
from s3img.publish.result import Problem
from s3img.rewrite.charset import sniff
from s3img.rewrite.html.entities import decode as without_references

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from s3img.assets import AssetRoot

MOST_UNPACKED = 64_000_000
"""Bytes that a compressed text may become; beyond that it is not looked into."""

_BINARY = frozenset(
    (
        *(".apng", ".avif", ".bmp", ".cur", ".gif", ".heic", ".heif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".jxl", ".png", ".psd", ".tif", ".tiff", ".webp", ".avi", ".flac", ".m4a", ".m4v", ".mov", ".mp3", ".mp4"),
        *(".mpeg", ".mpg", ".ogg", ".ogv", ".opus", ".wav", ".webm", ".eot", ".otf", ".ttf", ".woff", ".woff2"),
        *(".7z", ".bz2", ".jar", ".rar", ".tar", ".tgz", ".whl", ".xz", ".zip", ".docx", ".epub", ".pdf", ".pptx"),
        *(".exe", ".so", ".wasm", ".xlsx"),
    )
)
PACKED = {".gz": "gzip", ".br": "br", ".zst": "zstd"}
"""The content coding of a compressed copy, by the end of its name."""

_BEGINNING = 4096  # bytes in which a binary file has a zero byte
_DROPPED = dict.fromkeys(map(ord, "\t\n\r"))
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_files(root: AssetRoot, *, without: Container[str] = ()) -> Iterator[tuple[str, bytes | None]]:
    """Yield (path, text) of every file that may be text, as it is on disk now; None where it can't be read.

    Files that s3img wrote, and links to other files of the site, are left out, and the paths in ``without``. Compressed
    text comes unpacked.
    """
    for path in sorted(root.files):
        suffix = path[path.rfind(".") :].lower()
        if suffix in _BINARY or path in without or path in root.links or path.startswith(OWN_FOLDER + "/"):
            continue
        try:
            data: bytes | None = root.read(path)
        except OSError:
            data = None
        coding = "gzip" if suffix == ".svgz" else PACKED.get(suffix)
        if data is not None and coding:
            data = codings.decoded(data, coding, MOST_UNPACKED) if codings.is_known(coding) else None
        if data is None or data.startswith(_UTF16) or b"\0" not in data[:_BEGINNING]:
            yield path, data


def decode_text(data: bytes) -> str:
    """Return a file's text: UTF-8, or else what its byte order mark or its own declaration says."""
    if not data.startswith(_UTF16):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    codec = sniff(data)
    return data.decode("cp1252" if codec in ("", "utf-8") else codec, "replace")


_ROUNDS = 4  # escapings around each other: an attribute that holds JSON that holds HTML with a percent-encoded URL
_ESCAPE = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-9a-fA-F]{2,6})[ \t\n\f]?|([^\w\s]))"
)
_LAST_CODE_POINT = 0x10FFFF


def unused(paths: Iterable[str], root: AssetRoot, base_url: str) -> tuple[set[str], list[Problem]]:
    """Return the images that nothing in the site names any more, and a note for each of the others that says why.

    ``base_url`` is the bucket's public address: what pages name below it is not a file of the site.
    """
    names = NamedFiles(paths, base_url)
    found: dict[str, str] = {}
    for link, target in root.links.items():  # a link without its file would lead nowhere
        if target in names.paths:
            found.setdefault(target, f"the link {link} leads to it")
    for path, data in text_files(root):
        if data is None:
            reason = f"{path} can't be looked into, and may name it"
            found |= dict.fromkeys(names.paths - found.keys(), reason)
            break
        for named in names.in_text(decode_text(data)):
            if named != path:
                found.setdefault(named, f"{path} still names it")
    notes = [
        Problem(path, 0, 0, "kept-local", f"stays in the site: {reason}.", "note") for path, reason in found.items()
    ]
    return set(names.paths) - found.keys(), notes


class NamedFiles:
    """Files that are looked for in texts by their names, without regard to case and Unicode form."""

    def __init__(self, paths: Iterable[str], base_url: str) -> None:
        self.paths = frozenset(paths)
        self._by_name: dict[str, set[str]] = {}
        for path in self.paths:
            self._by_name.setdefault(_folded(posixpath.basename(path)), set()).add(path)
        self._has_blanks = any(" " in name for name in self._by_name)
        self._lengths = sorted({len(name) for name in self._by_name})
        # Names are found by their ends, which are few: looking for thousands of names one by one would take hours.
        ends = {posixpath.splitext(name)[1] or name[-1:] for name in self._by_name}
        self._end = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(ends)))})(?![^\W_])")
        self._public = re.compile(rf"{re.escape(base_url)}/[^\s\"'<>)\\]*+") if base_url else None

    def in_text(self, text: str) -> Iterator[str]:
        """Yield the paths of the files that a text names, perhaps more than once."""
        for reading in self.readings(text):
            folded = _folded(reading)
            for end in self._end.finditer(folded):
                for length in self._lengths:
                    start = end.end() - length
                    if start < 0:
                        break
                    name = folded[start : end.end()]
                    # "cat.jpg" is not named where "bobcat.jpg" is
                    if name in self._by_name and not (start and re.match(r"[\w.-]", folded[start - 1])):
                        yield from self._by_name[name]

    def readings(self, text: str) -> Iterator[str]:
        """Yield the text as it is written, and with one escaping after the other taken off."""
        for _ in range(_ROUNDS):
            if self._public:
                text = self._public.sub(" ", text)
            yield text
            before = text
            for without in (without_character_references, without_backslashes, without_percent):
                after = without(text)
                if after != text:
                    text = after
                    yield text
            if text == before:
                break
        # Parsers of URLs drop line ends and tabs (URL standard 4.4); in queries a plus sign stands for a blank.
        before = text
        text = text.translate(_DROPPED)
        if self._has_blanks:
            text = text.replace("+", " ")
        if text != before:
            yield text


def without_character_references(text: str) -> str:
    """Return text without HTML's escaping."""
    return without_references(text, attribute=False)


def without_backslashes(text: str) -> str:
    """Return text without the escaping of strings in JSON, scripts and style sheets."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def without_percent(text: str) -> str:
    """Return text without percent-encoding; bytes that are not UTF-8 become what names on disk have for them."""
    return unquote(text, errors="surrogateescape") if "%" in text else text


def _character(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3] or found[4]
    if not digits:
        return found[5]
    number = int(digits, 16)
    return chr(number) if number <= _LAST_CODE_POINT else "\ufffd"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
