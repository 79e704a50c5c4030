"""What else in a site vouches for the bytes of a page or style sheet, and has to follow when they change.

Digests: ``integrity`` of a link (Subresource Integrity 3.3), hashes of inline styles in a Content-Security-Policy
(CSP 3, 6.7.3.3), the lists of files that service workers keep (Workbox: MD5, Angular: SHA-1, both in hexadecimal).
Copies: ``index.html.gz``, ``.br`` and ``.zst`` beside a file, for servers that send them as they are.

A digest is only replaced where it is that of the old bytes, so whatever holds it meant these bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote

from s3img import codings
from s3img.atomic import write_atomically
from s3img.publish.files import media_type_of
from s3img.publish.result import Problem
from s3img.publish.site_text import MOST_UNPACKED, PACKED, text_files
from s3img.rewrite.charset import sniff
from s3img.rewrite.html.entities import decode as without_references
from s3img.rewrite.html.tokens import END_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Set

    from s3img.publish.files import SiteFiles

_ALGORITHMS = {16: "md5", 20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}
_POLICY_SIZES = (32, 48, 64)  # bytes of the digests that a Content-Security-Policy can name

_WRITTEN = (
    rb"[A-Za-z0-9+/_=-]|&#(?:43|47|61|[xX]2[bBfF]|[xX]3[dD]);|&(?:plus|sol|equals);"
    rb"|\\/|\\u00(?:2[bBfF]|3[dD])|%2[bBfF]|%3[dD]"
)
_INTEGRITY = re.compile(
    rb"(&\#39;|&\#[xX]27;|&apos;|\\?'|\\u0027)?([sS][hH][aA](?:256|384|512)-)((?:%b){43,120}+)" % _WRITTEN
)
"""A digest in base64, perhaps escaped (Hugo writes ``&#43;``); group 1 is the quote before it, in a policy."""

_MARK = re.compile(rb"-(?<=256-|384-|512-)")
"""What every digest in base64 has in front; a search for the one byte is far faster than one for three words."""

_HEXADECIMAL = re.compile(rb"(?<![0-9A-Za-z])[0-9a-fA-F]{32,128}+(?![0-9A-Za-z])")
_STYLE = re.compile(rb"<style(?=[\s/>])[^>]*+>", re.IGNORECASE)
_STYLE_ATTRIBUTE = re.compile(rb"\sstyle\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')", re.IGNORECASE)
_CODE = re.compile(r"\\u00([0-9a-fA-F]{2})")

Digests = dict[bytes, dict[bytes, None]]
"""Old digests -> the new ones, in the order in which they were found; nearly always one."""


class SiteDigests:
    """Follows the changes of one run: every change is noted, then digests are put right."""

    def __init__(self, files: SiteFiles, read: Mapping[str, Set[bytes]] = MappingProxyType({})) -> None:
        """Look for digests in the files of a site; ``read`` has those of files that need not be opened again."""
        self._files = files
        self._root = files.root
        self._holders: dict[str, set[bytes]] = {}  # the digests in each file that has any
        # The file that a link leads to is looked into under its own name.
        self._holders |= {path: {*found} for path, found in read.items() if found and path not in files.root.links}
        for path, data in text_files(files.root, without=read):
            if data and not path.endswith(tuple(PACKED)) and (found := set(digests_in(data, path))):
                self._holders[path] = found
        self._wanted = set().union(*self._holders.values())
        self._sizes = {len(digest) for digest in self._wanted}
        self._originals: dict[str, list[bytes]] = {}  # all digests that a changed file had, by its path
        self._lengths: dict[str, int] = {}
        self._new: Digests = defaultdict(dict)
        self._styles: Digests = defaultdict(dict)
        self.problems: list[Problem] = []

    def with_own_styles(self, path: str, old: bytes, new: bytes) -> bytes:
        """Return a page in which its own policy allows its inline styles as they are now."""
        if media_type_of(path) != "text/html" or self._sizes.isdisjoint(_POLICY_SIZES):
            return new
        own: Digests = defaultdict(dict)
        for before, after in changed_styles(old, new):
            for size in self._sizes.intersection(_POLICY_SIZES):
                own[_digest(before, size)][_digest(after, size)] = None
        for digest, others in own.items():
            self._styles[digest] |= others
        return replaced(new, path, lambda digest: list(own.get(digest, ())))

    def note(self, path: str, old: bytes, new: bytes) -> None:
        """Note that a file was changed, and change its compressed copies with it."""
        self._change(path, old, new)
        for suffix, coding in PACKED.items():
            copy = path + suffix
            if copy in self._root.files:
                self.update_copy(copy, coding, old, new)

    def finish(self, settled: Iterable[str]) -> None:
        """Replace what was noted wherever it is held; ``settled`` are the pages that need nothing more."""
        finished = set(settled)
        for _ in range(len(self._holders) + 1):  # a list of files may itself be in another list
            changed = [path for path, held in self._holders.items() if not held.isdisjoint(self.stale(path))]
            if not changed:
                return
            for path in changed:
                self.update_holder(path, is_finished=path in finished)

    def stale(self, path: str) -> set[bytes]:
        """Return the digests that a file must not hold alone any more."""
        held = self._holders[path]
        outdated = {digest for digest, new in self._new.items() if digest not in new or not new.keys() <= held}
        return outdated | {digest for digest, new in self._styles.items() if not new.keys() <= held}

    def update_holder(self, path: str, *, is_finished: bool) -> None:
        """Put the digests in one file right, which is a change of that file in turn."""
        self._holders[path] -= self.stale(path)  # whatever comes of it: looked at once for each change
        try:
            old = self._root.file(path).read_bytes()
            new = replaced(old, path, lambda digest: list(self._new.get(digest, ())))
            new = added(new, path, lambda digest: list(self._styles.get(digest, ())))
            if new == old:
                return
            if media_type_of(path):
                self._files.write_page(path, new, is_finished=is_finished)
            else:
                write_atomically(self._root.file(path), new)
        except OSError as error:
            text = f"can't be written ({error.strerror}), and still has digests of files that were changed."
            self.problems.append(Problem(path, 0, 0, "stale-digest", f"{text} Browsers may refuse these files."))
            return
        self._holders[path] |= set(digests_in(new, path))
        self.note(path, old, new)

    def _change(self, path: str, old: bytes, new: bytes) -> None:
        before = self._originals.setdefault(path, [])
        if not before:
            self._lengths[path] = len(old)
        before += [digest for size in self._sizes if (digest := _digest(old, size)) not in before]
        for digest in before:
            if digest in self._wanted or digest in self._new:
                after = _digest(new, len(digest))
                self._wanted.add(after)
                self._new[digest] = {after: None, **self.twins(path, digest)}

    def twins(self, path: str, digest: bytes) -> dict[bytes, None]:
        """Return the digests that other files with the same old bytes have now: a page may mean any of them."""
        found: dict[bytes, None] = {}
        size = self._lengths[path]
        for other, stat in self._root.files.items():
            if stat.size != size or other == path or other in self._root.links:
                continue
            if other in self._originals and digest not in self._originals[other]:
                continue
            try:
                now = self._root.file(other).read_bytes()
            except OSError:
                continue
            if other in self._originals or _digest(now, len(digest)) == digest:
                found[_digest(now, len(digest))] = None
        return found

    def update_copy(self, copy: str, coding: str, old: bytes, new: bytes) -> None:
        """Compress a changed file anew into the copy beside it, if that is a copy of what the file was."""
        if not codings.is_known(coding):
            text = (
                f"can't be written anew here, and shows the page before publishing: delete it, or compress {copy} anew."
            )
            self.problems.append(Problem(copy, 0, 0, "stale-copy", text))
            return
        try:
            packed = self._root.file(copy).read_bytes()
            text_in_copy = codings.decoded(packed, coding, MOST_UNPACKED)
            if text_in_copy == new:
                return
            if text_in_copy != old:
                text = "is not a copy of the file beside it, and stays as it is: compress the file anew."
                self.problems.append(Problem(copy, 0, 0, "stale-copy", text))
                return
            fresh = codings.encoded(new, coding, smallest=True)
            write_atomically(self._root.file(copy), fresh)
        except OSError as error:
            text = f"can't be written ({error.strerror}), and shows the page before publishing: delete it."
            self.problems.append(Problem(copy, 0, 0, "stale-copy", text))
            return
        self._change(copy, packed, fresh)


def digests_in(data: bytes, path: str) -> Iterator[bytes]:
    """Yield the digests that a file holds: in base64, and outside of pages in hexadecimal."""
    if _MARK.search(data):
        for found in _INTEGRITY.finditer(data):
            if digest := _from_base64(found):
                yield digest
    if media_type_of(path) in (None, "application/manifest+json"):
        for text in _HEXADECIMAL.findall(data):
            if len(text) // 2 in _ALGORITHMS and not len(text) % 2:
                yield bytes.fromhex(text.decode("ascii"))


def replaced(data: bytes, path: str, new: Callable[[bytes], list[bytes]]) -> bytes:
    """Return a text with other digests in place of some; several for one are a list, which ``integrity`` may be."""

    def in_base64(found: re.Match[bytes]) -> bytes:
        digest = _from_base64(found)
        others = new(digest) if digest else []
        if not others:
            return found[0]
        return (found[1] or b"") + b" ".join(found[2] + base64.b64encode(other) for other in others)

    def in_hexadecimal(found: re.Match[bytes]) -> bytes:
        others = new(bytes.fromhex(found[0].decode("ascii"))) if len(found[0]) % 2 == 0 else []
        text = others[0].hex() if others else ""
        return (text.upper() if found[0].isupper() else text).encode() or found[0]

    data = _INTEGRITY.sub(in_base64, data)
    return data if media_type_of(path) == "text/html" else _HEXADECIMAL.sub(in_hexadecimal, data)


def added(data: bytes, path: str, new: Callable[[bytes], list[bytes]]) -> bytes:
    """Return a text in which policies allow further hashes beside some, as other pages may still have the old text."""

    def extended(found: re.Match[bytes]) -> bytes:
        quote, digest = found[1], _from_base64(found)
        others = new(digest) if digest and quote else []
        missing = [text for other in others if (text := base64.b64encode(other)) not in data]
        return found[0] + b"".join(quote + b" " + quote + found[2] + text for text in missing)

    return _INTEGRITY.sub(extended, data) if path else data


def changed_styles(old: bytes, new: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the inline styles that differ, before and after, as browsers hash them: text in UTF-8."""
    for before, after in ((style_elements(old), style_elements(new)), (style_attributes(old), style_attributes(new))):
        if len(before) == len(after):
            yield from ((one, other) for one, other in zip(before, after, strict=True) if one != other)


def style_elements(page: bytes) -> list[bytes]:
    """Return the texts of ``<style>`` elements."""
    found, at = [], 0
    while (start := _STYLE.search(page, at)) and (end := END_TAG[b"style"].search(page, start.end())):
        found.append(_hashed_text(page, start.end(), end.start()))
        at = end.end()
    return found


def style_attributes(page: bytes) -> list[bytes]:
    """Return the values of ``style`` attributes that load something; placeholders of ours are not counted."""
    found = []
    for attribute in _STYLE_ATTRIBUTE.finditer(page):
        group = attribute.lastindex or 0
        if b"url(" in attribute[group] and b"url(data:" not in attribute[group]:
            text = _hashed_text(page, *attribute.span(group)).decode("utf-8", "replace")
            found.append(without_references(text).encode("utf-8", "replace"))
    return found


def _hashed_text(page: bytes, start: int, end: int) -> bytes:
    text = page[start:end]
    if not text.isascii() and (codec := sniff(page)) not in ("", "utf-8"):
        text = text.decode(codec, "replace").encode("utf-8")
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")  # the parser of HTML does so before


def _from_base64(found: re.Match[bytes]) -> bytes | None:
    """Return the digest that a match of ``_INTEGRITY`` stands for, None where it does not fit its algorithm."""
    text = without_references(found[3].decode("ascii"), attribute=False).replace("\\/", "/")
    text = unquote(_CODE.sub(lambda code: chr(int(code[1], 16)), text))
    text = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        digest = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None
    return digest if 8 * len(digest) == int(found[2][3:6]) else None


def _digest(data: bytes, size: int) -> bytes:
    return hashlib.new(_ALGORITHMS[size], data, usedforsecurity=False).digest()
