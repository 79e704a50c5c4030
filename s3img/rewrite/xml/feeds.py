"""Images of RSS 2.0, RSS 1.0, Atom, Media RSS and podcast feeds, and those of the HTML inside them."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import msgspec

from s3img.rewrite import html
from s3img.rewrite.reference import Extra, Reference, Tag
from s3img.rewrite.source import Source, from_bytes, from_text
from s3img.rewrite.xml import spans
from s3img.rewrite.xml.spans import Piece

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from s3img.rewrite.reference import Encoder, Extra
    from s3img.rewrite.source import Source
    from s3img.rewrite.xml.spans import XmlElement


class _TextRun(msgspec.Struct, frozen=True, gc=False):
    """A stretch of the HTML at ``at``, and what stands for it in the XML: the ``same`` text, or one reference."""

    at: int
    start: int
    end: int
    same: bool
    piece: Piece


def find_in_element(source: Source, element: XmlElement, optional: Collection[str], extra: Extra) -> list[Reference]:
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


_ROOTS = ("rss", "RDF", "feed")

_ATTRIBUTES = {
    "enclosure": "url",
    "media:content": "url",
    "media:thumbnail": "url",
    "itunes:image": "href",
    "link": "href",
}

_TEXTS = {"url": "image url", "logo": "feed logo", "icon": "feed icon"}

_RSS_HTML = frozenset(("description", "content:encoded"))

_ATOM_HTML = frozenset(("summary", "content"))

_WANTED = frozenset((*_ATTRIBUTES, *_TEXTS, *_RSS_HTML, *_ATOM_HTML))

_HTML_TYPES = ("html", "text/html", "xhtml")

_NOT_IMAGES = ("audio/", "video/", "text/")


def find_feed(source: Source, optional: Collection[str], extra: Extra) -> list[Reference]:
    """Return the image URLs of a feed in source order.

    Kinds: ``"enclosure url"``, ``"media:content url"``, ``"media:thumbnail url"``, ``"itunes:image href"``,
    ``"link href"`` (Atom, ``rel="enclosure"``), ``"image url"`` (RSS), ``"feed logo"``, ``"feed icon"``; those of HTML
    in ``description``, ``content:encoded``, ``summary`` and ``content`` are HTML's own. The first five have a ``tag``:
    its URL, ``type`` and ``length`` can be changed together.
    """
    found: list[Reference] = []
    if spans.root(source) not in _ROOTS:
        return found
    read = 0  # what is HTML is read once, whatever elements are in it
    for element in sorted(spans.elements(source, _WANTED), key=lambda element: element.tag.start):
        if element.tag.start < read:
            continue
        name, tag = element.name, element.tag
        if name in _RSS_HTML or (name in _ATOM_HTML and tag.get("type") in _HTML_TYPES):
            found += find_in_element(source, element, optional, extra)
            read = element.end
        elif name in _ATTRIBUTES and may_be_image(element):
            found += url_attributes(element, _ATTRIBUTES[name])
        elif name in _TEXTS and (name != "url" or element.parent == "image"):
            found += spans.address(source, element, _TEXTS[name])
    return found


def may_be_image(element: XmlElement) -> bool:
    """Tell images from podcasts and films by what the feed declares; without a declaration it may be one."""
    tag = element.tag
    if element.name == "link" and tag.get("rel") != "enclosure":
        return False
    return not (tag.get("type") or "").lower().startswith(_NOT_IMAGES) and tag.get("medium") in (None, "image")


def url_attributes(element: XmlElement, name: str) -> Iterator[Reference]:
    """Yield the attribute of an element that is a URL, if it has it."""
    for attribute in element.tag.attributes:
        if attribute.name == name:
            url, kind = attribute.value.strip(), f"{element.name} {name}"
            if url:
                yield Reference(attribute.start, attribute.end, url, kind, element.tag, None, spans.encode)


_LOCATIONS = frozenset(("image:loc",))


def find_sitemap(source: Source) -> list[Reference]:
    """Return the ``image:loc`` of every ``image:image`` in source order, of kind ``"image:loc"``."""
    if b"image" not in source.code:  # most sitemaps have no images, and some have 50,000 pages
        return []
    return [
        reference
        for element in spans.elements(source, _LOCATIONS)
        if element.parent == "image:image"
        for reference in spans.address(source, element, "image:loc")
    ]
