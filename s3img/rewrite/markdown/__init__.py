"""Image references of Markdown sources: inline, by definition, in raw HTML and in front matter."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

from s3img.rewrite import html
from s3img.rewrite.markdown import destination, front_matter
from s3img.rewrite.markdown.blocks import BlockReader, Span
from s3img.rewrite.markdown.inline import Inline, InlineScanner
from s3img.rewrite.reference import Extra, Reference, Tag
from s3img.rewrite.source import Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from s3img.rewrite.markdown.destination import Definition, Destination

LINK = "markdown link"
OPTIONAL = frozenset((LINK, *front_matter.KINDS))
"""The kinds that are found when asked for."""

_SWITCH = re.compile(r"<!--[ \t\r\n]*+s3img:(on|off)[ \t\r\n]*+-->")
_OFF = re.compile(r"\{:?+[^{}\r\n]*?(?<![\w-])data-s3img=([\"']?)off\1(?![^ \t}])[^{}\r\n]*+\}")


def find(source: Source, optional: Collection[str], extra: Extra) -> list[Reference]:
    """Return the image references of a Markdown text in source order, as CommonMark 0.31 reads it.

    Kinds: ``"markdown image"``, ``"markdown definition"`` (of an image; links may share it), HTML's own for raw HTML;
    on request ``"markdown link"`` and ``"front matter image"``, ``"… cover"``, ``"… thumbnail"``. Nothing is found in
    code, comments and math. What the author excluded (``data-s3img=off`` in an attribute list, ``s3img:off`` in a
    comment) has a tag that is ``off``; what is not HTML has no tag otherwise.
    """
    code = source.code.decode("latin-1")
    start = front_matter.end(code)
    blocks = BlockReader(code, start)
    masked = blanked(code, blocks.quoted)
    definitions, texts = take_definitions(source, masked, blocks.paragraphs)
    scanner = InlineScanner(source, masked, definitions)
    for span in sorted(texts + blocks.texts):
        scanner.scan(*span)
    raw = blocks.html + scanner.html
    found = [
        *front_matter.find(source, start, optional),
        *_Finder(source, masked, raw, links=LINK in optional).find(scanner.found, definitions),
        *html.find(only(source, masked, raw), optional, extra),
    ]
    return sorted(found, key=lambda reference: reference.start)


def take_definitions(source: Source, code: str, paragraphs: list[Span]) -> tuple[dict[str, Definition], list[Span]]:
    """Take the definitions from the beginnings of paragraphs; the first one of a label counts."""
    found: dict[str, Definition] = {}
    rest = []
    for start, end in paragraphs:
        at = start
        while definition := destination.definition(source, code, at, end):
            found.setdefault(definition.label, definition)
            at = definition.end
        rest.append((at, end))
    return found, rest


class _Finder:
    """Turn images and links into references."""

    def __init__(self, source: Source, code: str, html: list[Span], *, links: bool) -> None:
        self._source = source
        self._code = code
        self._links = links
        switches = (switch for span in sorted(html) for switch in _SWITCH.finditer(code, *span))
        self._switches = [(switch.start(), switch[1] == "off") for switch in switches]

    def find(self, inlines: list[Inline], definitions: dict[str, Definition]) -> Iterator[Reference]:
        """Yield the references; a definition is off when one of its images is."""
        by_label: dict[str, list[Inline]] = {}
        for inline in inlines:
            if not (inline.image or self._links):
                continue
            if inline.destination:
                yield from self._reference(inline.destination, [inline])
            else:
                by_label.setdefault(inline.label, []).append(inline)
        for label, users in by_label.items():
            yield from self._reference(definitions[label].destination, users)

    def _reference(self, place: Destination, users: list[Inline]) -> Iterator[Reference]:
        url = destination.meaning(self._source.text(place.start, place.end))
        if url:
            kind = LINK
            if any(inline.image for inline in users):
                kind = "markdown image" if users[0].destination else "markdown definition"
            encode = destination.in_angles if place.angle else destination.bare
            tag = Tag("img", place.start, place.start, off=True) if any(map(self.is_off, users)) else None
            yield Reference(place.start, place.end, url, kind, tag, None, encode)

    def is_off(self, inline: Inline) -> bool:
        """Tell whether the author excluded an image, by its attribute list or by a region."""
        before = bisect_left(self._switches, (inline.start, False)) - 1
        return (before >= 0 and self._switches[before][1]) or _OFF.match(self._code, inline.end) is not None


def blanked(code: str, spans: list[Span]) -> str:
    """Return the text with blanks in some places."""
    parts, at = [], 0
    for start, end in spans:
        parts += [code[at:start], " " * (end - start)]
        at = end
    return "".join((*parts, code[at:]))


def only(source: Source, code: str, spans: list[Span]) -> Source:
    """Return a source that is blank except in some places, at the same offsets."""
    parts, at = [], 0
    for start, end in sorted(spans):
        parts += [" " * (start - at), code[start:end]]
        at = end
    return Source(source.data, "".join(parts).encode("latin-1"), source.charset)
