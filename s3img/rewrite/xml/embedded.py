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
    import re
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
    page = _Html(source)
    for piece in spans.pieces(source.code, element):
        page.read(piece)
    return page.references(optional, extra)


class _Html:
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
                self._add(self._character(found), *found.span(), piece, same=False)
                at = found.end()
        self._add(data[at : piece.end], at, piece.end, piece, same=True)

    def _character(self, found: re.Match[bytes]) -> bytes | str:
        character = spans.character(found)
        if isinstance(self._source.data, str):
            return character
        return character.encode(self._source.charset, "xmlcharrefreplace")

    def _add(self, part: bytes | str, start: int, end: int, piece: Piece, *, same: bool) -> None:
        self._parts.append(part)
        self._runs.append(_TextRun(self._size, start, end, same, piece))
        self._size += len(part)

    def references(self, optional: Collection[str], extra: Extra) -> list[Reference]:
        """Return the references; one that more than one piece holds can't be replaced, and is left out."""
        starts = [run.at for run in self._runs]
        found = []
        for reference in html.find(self._joined(), optional, extra):
            first = self._runs[bisect_right(starts, reference.start) - 1]
            last = self._runs[bisect_right(starts, reference.end - 1) - 1]
            if first.piece is last.piece:
                start = first.start + (reference.start - first.at if first.same else 0)
                end = last.start + reference.end - last.at if last.same else last.end
                encode = _WRITERS[first.piece.form](reference.encode)
                found.append(
                    msgspec.structs.replace(reference, start=start, end=end, tag=_off(reference, start), encode=encode)
                )
        return found

    def _joined(self) -> Source:
        parts: list[Any] = self._parts
        if isinstance(self._source.data, str):
            return from_text("".join(parts))
        return from_bytes(b"".join(parts), self._source.charset)


def _off(reference: Reference, at: int) -> Tag | None:
    tag = reference.tag
    return Tag(tag.name, at, at, off=True) if tag and (tag.off or tag.get("data-s3img") == "off") else None


def _escaped(encode: Encoder) -> Encoder:
    return lambda url: spans.encode(encode(url))


def _in_cdata(encode: Encoder) -> Encoder:
    return lambda url: encode(spans.in_cdata(url))


def _in_markup(encode: Encoder) -> Encoder:
    return lambda url: encode(url).replace("<", "&lt;")


_WRITERS = {"text": _escaped, "cdata": _in_cdata, "markup": _in_markup}
