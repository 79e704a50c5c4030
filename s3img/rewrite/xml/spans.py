"""XML elements with their places in the text, as far as feeds and sitemaps need them (XML 1.0, Namespaces)."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from s3img.rewrite.reference import Attribute, Reference, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.rewrite.source import Source

_MARKUP = re.compile(
    rb"<(?:(?P<end>/?+)(?P<name>[A-Za-z_:\x80-\xff][^ \t\r\n/<>]*+)"
    rb"(?P<rest>(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+)>|(?P<section>!--|!\[CDATA\[|\?|!))"
)
_CDATA = b"![CDATA["
_SECTION_END = {b"!--": b"-->", _CDATA: b"]]>", b"?": b"?>"}
_DOCTYPE = re.compile(rb"[^\[>\"']*+(?:(?:\"[^\"]*+\"|'[^']*+')[^\[>\"']*+)*+(?:\[[^\]]*+\][ \t\r\n]*+)?+>")
_ATTRIBUTE = re.compile(rb"([^ \t\r\n=\"'/]++)[ \t\r\n]*+=[ \t\r\n]*+(?:\"([^\"]*+)\"|'([^']*+)')")
_NAMESPACE = re.compile(rb"xmlns:([^ \t\r\n=:\"'<>]++)[ \t\r\n]*+=[ \t\r\n]*+[\"']([^\"']*+)[\"']")
_PREFIXES = {
    b"http://www.w3.org/2005/Atom": "",
    b"http://search.yahoo.com/mrss/": "media",
    b"http://search.yahoo.com/mrss": "media",
    b"http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    b"http://purl.org/rss/1.0/modules/content/": "content",
    b"http://www.google.com/schemas/sitemap-image/1.1": "image",
}
_DECLARED = re.compile(
    rb"(?:\xef\xbb\xbf)?<\?xml[^>]*?[ \t\r\n]encoding[ \t\r\n]*=[ \t\r\n]*[\"']([A-Za-z0-9._-]+)[\"']"
)

CHARACTER = re.compile(rb"&(?:#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));")
"""A reference to a character; those of a document's own entities are left as they are."""

_NAMED = {b"amp": "&", b"lt": "<", b"gt": ">", b"quot": '"', b"apos": "'"}
_LAST = 0x10FFFF
_SPACE = b" \t\r\n"


class XmlElement(msgspec.Struct, frozen=True):
    """An element: ``start`` and ``end`` are the span of its content, ``parent`` is the name of the one around it.

    Names carry the usual prefix of their namespace, whatever prefix the document chose: ``media:content``; Atom's
    have none. A prefix means the same in the whole document: the last declaration of a known namespace counts.
    """

    name: str
    parent: str
    tag: Tag
    start: int
    end: int


class Piece(msgspec.Struct, frozen=True):
    """A stretch of an element's content: character data as text or as a CDATA section, or markup of its own."""

    start: int
    end: int
    form: Literal["text", "cdata", "markup"]


def declared(data: bytes) -> str | None:
    """Return the encoding that an XML declaration names, None without one."""
    found = _DECLARED.match(data.removeprefix(codecs.BOM_UTF8))
    return found[1].decode("ascii") if found else None


def root(source: Source) -> str:
    """Return the local name of the outermost element, ``""`` when there is none."""
    first = next((markup["name"] for markup in _markup(source.code) if markup["name"]), b"")
    return str(first.rpartition(b":")[2].decode("ascii", "replace"))


def elements(source: Source, wanted: frozenset[str]) -> Iterator[XmlElement]:
    """Yield the elements with a wanted name, inner ones first, up to where the text stops being well-formed."""
    names = _Names(source.code)
    parents, starts = [""], list[re.Match[bytes]]()
    for markup in _markup(source.code):
        if markup["section"]:
            continue
        name, start = names[markup["name"]], markup
        if markup["end"]:
            if not starts or parents.pop() != name:  # `</:x>` has no local name, as the outermost parent
                return
            start = starts.pop()
        elif not markup["rest"].endswith(b"/"):
            parents.append(name)
            starts.append(markup)
            continue
        if name in wanted:
            tag = read_tag(source, start, name)
            yield XmlElement(name, parents[-1], tag, tag.end, max(markup.start(), tag.end))


def pieces(code: bytes, element: XmlElement) -> list[Piece]:
    """Return the character data of an element in order, without comments; all as one when it has child elements."""
    found, at = [], element.start
    for markup in _markup(code, element.start, element.end):
        if markup["name"]:
            return [Piece(element.start, element.end, "markup")]
        found.append(Piece(at, markup.start(), "text"))
        at = _section_end(code, markup)
        if markup["section"] == _CDATA:
            found.append(Piece(markup.end(), at - len(b"]]>"), "cdata"))
    return [piece for piece in (*found, Piece(at, element.end, "text")) if piece.start < piece.end]


def address(source: Source, element: XmlElement, kind: str) -> list[Reference]:
    """Return the URL that an element holds, none when it is written in more than one piece."""
    code = source.code
    filled = [piece for piece in pieces(code, element) if code[piece.start : piece.end].strip(_SPACE)]
    if len(filled) != 1 or filled[0].form == "markup":
        return []
    raw, start, end = code[filled[0].start : filled[0].end], filled[0].start, filled[0].end
    start, end = end - len(raw.lstrip(_SPACE)), start + len(raw.rstrip(_SPACE))
    if filled[0].form == "cdata":
        return [Reference(start, end, source.text(start, end), kind, None, None, in_cdata)]
    return [Reference(start, end, decode(source, start, end), kind, None, None, encode)]


def decode(source: Source, start: int, end: int) -> str:
    """Return character data with its references resolved."""
    found, at = [], start
    for reference in CHARACTER.finditer(source.code, start, end):
        found += [source.text(at, reference.start()), character(reference)]
        at = reference.end()
    return "".join((*found, source.text(at, end)))


def character(reference: re.Match[bytes]) -> str:
    """Return what a match of ``CHARACTER`` stands for."""
    decimal, hexadecimal, name = reference.groups()
    if name:
        return _NAMED[name]
    return chr(min(int(decimal) if decimal else int(hexadecimal, 16), _LAST))


def encode(value: str) -> str:
    """Write a string as character data, or as an attribute's value between either quotes."""
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return value.replace('"', "&quot;").replace("'", "&#39;")


def in_cdata(url: str) -> str:
    """Write a URL into a CDATA section, which the first ``]]>`` would end."""
    return url.replace("]]", "]%5D")


def _markup(code: bytes, at: int = 0, end: int | None = None) -> Iterator[re.Match[bytes]]:
    """Yield tags and the openings of sections; what stands inside a section is passed over."""
    end = len(code) if end is None else end
    while markup := _MARKUP.search(code, at, end):
        at = _section_end(code, markup) if markup["section"] else markup.end()
        if at < 0:
            return
        yield markup


def _section_end(code: bytes, markup: re.Match[bytes]) -> int:
    """Return where a comment, CDATA section, instruction or doctype ends; -1 when it does not."""
    if closing := _SECTION_END.get(markup["section"]):
        at = code.find(closing, markup.end())
        return at if at < 0 else at + len(closing)
    doctype = _DOCTYPE.match(code, markup.end())
    return doctype.end() if doctype else -1


class _Names(dict[bytes, str]):
    """Names as written -> names with the usual prefix of their namespace, by the declarations of the document."""

    def __init__(self, code: bytes) -> None:
        super().__init__()
        declared = ((prefix, _PREFIXES[uri]) for prefix, uri in _NAMESPACE.findall(code) if uri in _PREFIXES)
        self._prefixes = {b"atom": "", **dict(declared)}

    def __missing__(self, written: bytes) -> str:
        prefix, _, local = written.rpartition(b":")
        usual = self._prefixes.get(prefix, prefix.decode("latin-1"))
        self[written] = f"{usual}:{local.decode('latin-1')}".removeprefix(":")
        return self[written]


def read_tag(source: Source, markup: re.Match[bytes], name: str) -> Tag:
    """Return a start tag with its attributes."""
    attributes = []
    for found in _ATTRIBUTE.finditer(source.code, *markup.span("rest")):
        start, end = found.span(found.lastindex or 0)
        quote = source.text(end, end + 1)
        attributes.append(
            Attribute(found[1].decode("latin-1").lower(), decode(source, start, end), start, end, quote, found.start())
        )
    return Tag(name, *markup.span(), tuple(attributes))
