"""HTML inside XML: escaped, in CDATA sections or as elements; found in the HTML, placed in the XML."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import msgspec

from s3img.rewrite import html
from s3img.rewrite.reference import Tag
from s3img.rewrite.source import Source, from_bytes, from_text
from s3img.rewrite.xml import spans
from s3img.rewrite.xml.spans import Piece

if TYPE_CHECKING:
    from collections.abc import Collection

    from s3img.rewrite.reference import Encoder, Extra, Reference
    from s3img.rewrite.xml.spans import XmlElement


class _TextRun(msgspec.Struct, frozen=True, gc=False):
    """A stretch of the HTML at ``at``, and what stands for it in the XML: the ``same`` text, or one reference."""

    at: int
    start: int
    end: int
    same: bool
    piece: Piece


def find(source: Source, element: XmlElement, optional: Collection[str], extra: Extra) -> list[Reference]:
    """Return the references of the HTML that an element holds, placed in ``source``.

    Only URLs can be replaced there. So they have no ``tag``, except where the author excluded an image, by
    ``data-s3img="off"`` or a region: that one has a tag without attributes that is ``off``.
    """
    page = EmbeddedHtml(source)
    for piece in spans.pieces(source.code, element):
        page.read(piece)
    return page.references(optional, extra)


class EmbeddedHtml:
    """The HTML of an element, put together from its pieces."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts: list[bytes | str] = []
        self._runs: list[_TextRun] = []
        self._size = 0

    def read(self, piece: Piece) -> None:
        """Append a piece."""
        data, at = self._source.data, piece.start
        if piece.form == "text":
            for found in spans.CHARACTER.finditer(self._source.code, piece.start, piece.end):
                self._add(data[at : found.start()], at, found.start(), piece, same=True)
                character: bytes | str = spans.character(found)
                if isinstance(character, str) and not isinstance(data, str):
                    character = character.encode(self._source.charset, "xmlcharrefreplace")
                self._add(character, *found.span(), piece, same=False)
                at = found.end()
        self._add(data[at : piece.end], at, piece.end, piece, same=True)

    def _add(self, part: bytes | str, start: int, end: int, piece: Piece, *, same: bool) -> None:
        self._parts.append(part)
        self._runs.append(_TextRun(self._size, start, end, same, piece))
        self._size += len(part)

    def references(self, optional: Collection[str], extra: Extra) -> list[Reference]:
        """Return the references; one that more than one piece holds can't be replaced, and is left out."""
        starts = [run.at for run in self._runs]
        parts: list[Any] = self._parts  # all of the type of the source's data
        if isinstance(self._source.data, str):
            joined = from_text("".join(parts))
        else:
            joined = from_bytes(b"".join(parts), self._source.charset)
        found = []
        for reference in html.find(joined, optional, extra):
            first = self._runs[bisect_right(starts, reference.start) - 1]
            last = self._runs[bisect_right(starts, reference.end - 1) - 1]
            if first.piece is last.piece:
                start = first.start + (reference.start - first.at if first.same else 0)
                end = last.start + reference.end - last.at if last.same else last.end
                tag = reference.tag
                is_off = tag is not None and (tag.off or tag.get("data-s3img") == "off")
                off = Tag(tag.name, start, start, off=True) if tag and is_off else None
                encode = encoder(first.piece, reference.encode)
                found.append(msgspec.structs.replace(reference, start=start, end=end, tag=off, encode=encode))
        return found


def encoder(piece: Piece, encode: Encoder) -> Encoder:
    """Return what writes a URL into HTML that itself stands in a piece of XML."""
    if piece.form == "text":
        return lambda url: spans.encode(encode(url))
    if piece.form == "cdata":
        return lambda url: encode(spans.in_cdata(url))
    return lambda url: encode(url).replace("<", "&lt;")
