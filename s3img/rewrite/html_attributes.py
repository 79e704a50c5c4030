"""Read the attributes of a start tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from s3img.rewrite.entities import decode
from s3img.rewrite.html_grammar import ATTRIBUTE, QUOTES, TAG
from s3img.rewrite.reference import Attribute, Attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.rewrite.source import Source


class Raw(NamedTuple):
    """An attribute as it is written; the value's span is without quotes, ``after`` is where the attribute ends."""

    name: bytes
    name_start: int
    start: int
    end: int
    quote: str
    after: int


def raw(code: bytes, start: int, end: int) -> Iterator[Raw]:
    """Yield all attributes of the tag between two offsets, repeated ones too."""
    tag = TAG.match(code, start, end)
    at = tag.end(1) if tag else end
    while found := ATTRIBUTE.match(code, at, end - 1):
        group = found.lastindex or 1
        low, high = found.span(group) if group > 1 else (found.end(1), found.end(1))
        yield Raw(found[1].lower(), found.start(1), low, high, QUOTES[group], found.end())
        at = found.end()


def read(source: Source, start: int, end: int) -> Attributes:
    """Return the attributes that count: of a repeated name the first."""
    found: dict[bytes, Attribute] = {}
    for attribute in raw(source.code, start, end):
        if attribute.name not in found:
            value = decode(source.text(attribute.start, attribute.end)).replace("\0", "\ufffd")
            found[attribute.name] = Attribute(
                source.text(attribute.name_start, attribute.name_start + len(attribute.name)).lower(),
                value,
                attribute.start,
                attribute.end,
                attribute.quote,
                attribute.name_start,
            )
    return tuple(found.values())


def value(source: Source, start: int, end: int, name: bytes) -> str | None:
    """Return the decoded value of one attribute, None if the tag does not have it."""
    for attribute in raw(source.code, start, end):
        if attribute.name == name:
            return decode(source.text(attribute.start, attribute.end))
    return None


def is_empty(code: bytes, start: int, end: int) -> bool:
    """Tell whether a tag ends in a slash that is no part of an unquoted value: ``<path/>``, not ``<a b=c/>``."""
    if code[end - 2] != 0x2F:
        return False
    last = start
    for attribute in raw(code, start, end):
        last = attribute.after
    return last < end - 1
