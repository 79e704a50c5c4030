"""Image references of Markdown sources: inline, by definition, in raw HTML and in front matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.rewrite import front_matter, html, markdown_destination
from s3img.rewrite.markdown_blocks import BlockReader, Span
from s3img.rewrite.markdown_inline import Inline, InlineScanner
from s3img.rewrite.reference import Extra, Reference
from s3img.rewrite.source import Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from s3img.rewrite.markdown_destination import Definition, Destination

LINK = "markdown link"
OPTIONAL = frozenset((LINK, *front_matter.KINDS))
"""The kinds that are found when asked for."""


def find(source: Source, optional: Collection[str], extra: Extra) -> list[Reference]:
    """Return the image references of a Markdown text in source order, as CommonMark 0.31 reads it.

    Kinds: ``"markdown image"``, ``"markdown definition"`` (of an image; links may share it), HTML's own for raw HTML;
    on request ``"markdown link"`` and ``"front matter image"``, ``"… cover"``, ``"… thumbnail"``. Nothing is found in
    code, comments and math.
    """
    code = source.code.decode("latin-1")
    start = front_matter.end(code)
    blocks = BlockReader(code, start)
    masked = _without(code, blocks.quoted)
    definitions, texts = _definitions(source, masked, blocks.paragraphs)
    scanner = InlineScanner(source, masked, definitions)
    for span in sorted(texts + blocks.texts):
        scanner.scan(*span)
    found = [
        *front_matter.find(source, start, optional),
        *_references(source, scanner.found, definitions, optional),
        *html.find(_only(source, masked, blocks.html + scanner.html), optional, extra),
    ]
    return sorted(found, key=lambda reference: reference.start)


def _definitions(source: Source, code: str, paragraphs: list[Span]) -> tuple[dict[str, Definition], list[Span]]:
    """Take the definitions from the beginnings of paragraphs; the first one of a label counts."""
    found: dict[str, Definition] = {}
    rest = []
    for start, end in paragraphs:
        at = start
        while definition := markdown_destination.definition(source, code, at, end):
            found.setdefault(definition.label, definition)
            at = definition.end
        rest.append((at, end))
    return found, rest


def _references(
    source: Source, inlines: list[Inline], definitions: dict[str, Definition], optional: Collection[str]
) -> Iterator[Reference]:
    for inline in inlines:
        if inline.destination and (inline.image or LINK in optional):
            yield from _reference(source, inline.destination, "markdown image" if inline.image else LINK)
    images = {inline.label for inline in inlines if inline.image and inline.label}
    links = {inline.label for inline in inlines if not inline.image and inline.label} if LINK in optional else set()
    for label in images | links:
        kind = "markdown definition" if label in images else LINK
        yield from _reference(source, definitions[label].destination, kind)


def _reference(source: Source, place: Destination, kind: str) -> Iterable[Reference]:
    url = markdown_destination.meaning(source.text(place.start, place.end))
    encode = markdown_destination.in_angles if place.angle else markdown_destination.bare
    return [Reference(place.start, place.end, url, kind, None, None, encode)] if url else []


def _without(code: str, spans: list[Span]) -> str:
    """Return the text with blanks in some places."""
    parts, at = [], 0
    for start, end in spans:
        parts += [code[at:start], " " * (end - start)]
        at = end
    return "".join((*parts, code[at:]))


def _only(source: Source, code: str, spans: list[Span]) -> Source:
    """Return a source that is blank except in some places, at the same offsets."""
    parts, at = [], 0
    for start, end in sorted(spans):
        parts += [" " * (start - at), code[start:end]]
        at = end
    return Source(source.data, "".join(parts).encode("latin-1"), source.charset)
