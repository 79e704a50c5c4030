"""The whole document at once: find references, replace them."""

from __future__ import annotations

import re
from bisect import bisect_left
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import msgspec

from s3img.rewrite.charset import sniff
from s3img.rewrite.formats import essence, finder_of
from s3img.rewrite.source import Source, from_bytes, from_text
from s3img.rewrite.splice import edits, splice
from s3img.rewrite.xml import spans

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from s3img.rewrite.reference import Attribute, Extra, Reference, Replace, Tag

Data = TypeVar("Data", bytes, str)
NO_EXTRA: Extra = MappingProxyType({})
_SNIFFED = ("text/html", "application/xhtml+xml", "text/css")
_XML = ("application/rss+xml", "application/atom+xml", "application/rdf+xml", "application/xml", "text/xml")
_UTF16 = ("utf-16-le", "utf-16-be")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def find_references(
    data: bytes | str,
    media_type: str = "text/html",
    *,
    charset: str | None = None,
    optional: Collection[str] = (),
    extra: Extra = NO_EXTRA,
) -> list[Reference]:
    """Return the image references of a document in its order; offsets count bytes, or characters of a str.

    ``charset`` is what the transport says (a byte order mark wins over it); ``optional`` names further kinds of
    ``OPTIONAL_KINDS``; ``extra`` further attributes, as ``{("amp-img", "src"): "url"}``. A media type that is not
    known, or an encoding that browsers refuse, has no references.
    """
    source, find = source_of(data, media_type, charset), finder_of(media_type)
    found = find(source, optional, extra) if source and find else []
    return found if source is None or source.data is data else _in_utf16(found, str(source.data))


def rewrite(
    data: Data,
    media_type: str,
    replace: Replace,
    *,
    charset: str | None = None,
    optional: Collection[str] = (),
    extra: Extra = NO_EXTRA,
    found: Sequence[Reference] | None = None,
) -> Data:
    """Return the document with what ``replace`` answers put in place; ``data`` itself when nothing changes.

    ``replace`` is called for every reference in order and returns None, another URL, or a ``TagEdit`` (then the other
    references of the tag are not asked). The other arguments are those of ``find_references``; ``found`` is what that
    has returned for the same ones, or those of it that count, and saves the search.
    """
    source, find = source_of(data, media_type, charset), finder_of(media_type)
    if source is None or find is None:
        return data
    if isinstance(data, str) or source.data is data:
        known = find(source, optional, extra) if found is None else found
        return splice(data, edits(source, known, replace))
    found = find(source, optional, extra)  # in UTF-16 the ones that were returned count bytes
    shown = {reference.start: moved for reference, moved in zip(found, _in_utf16(found, str(source.data)), strict=True)}
    changes = edits(source, found, lambda reference: replace(shown[reference.start]))
    if not changes:
        return data
    return splice(str(source.data), changes).encode(source.charset, "surrogatepass") + data[len(data) & ~1 :]


def source_of(data: bytes | str, media_type: str, charset: str | None) -> Source | None:
    """Return what the finders read, None for an encoding that browsers refuse; UTF-16 is searched as text."""
    if isinstance(data, str):
        return from_text(data)
    kind = essence(media_type)
    if kind in _XML:
        charset = charset or spans.declared(data)
    elif kind not in _SNIFFED:
        charset = charset or "utf-8"
    codec = sniff(data, given=charset, css=kind == "text/css")
    if codec in _UTF16:
        return from_text(data[: len(data) & ~1].decode(codec, "surrogatepass"), codec)
    return from_bytes(data, codec) if codec else None


def _in_utf16(references: list[Reference], text: str) -> list[Reference]:
    """Return references with offsets of bytes instead of characters."""
    long = [found.start() for found in _ASTRAL.finditer(text)]

    def offset(characters: int) -> int:
        return 2 * (characters + bisect_left(long, characters))

    def attribute(old: Attribute) -> Attribute:
        start, end, name_start = map(offset, (old.start, old.end, old.name_start))
        return msgspec.structs.replace(old, start=start, end=end, name_start=name_start)

    def moved_tag(tag: Tag) -> Tag:
        start, end = offset(tag.start), offset(tag.end)
        return msgspec.structs.replace(tag, start=start, end=end, read=lambda *_: tuple(map(attribute, tag.attributes)))

    tags: dict[int, Tag] = {}
    moved = []
    for reference in references:
        tag = reference.tag
        if tag:
            tag = tags.get(tag.start) or tags.setdefault(tag.start, moved_tag(tag))
        start, end = offset(reference.start), offset(reference.end)
        moved.append(msgspec.structs.replace(reference, start=start, end=end, tag=tag))
    return moved
