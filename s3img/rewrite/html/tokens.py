"""Patterns of the HTML tokenizer over bytes (https://html.spec.whatwg.org/#tokenization).

All are possessive, so none backtracks: matching is linear in the length of what matches.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from s3img.rewrite.html.entities import decode
from s3img.rewrite.reference import Attribute, Attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from s3img.rewrite.source import Source

WS = rb"\t\n\f\r "

SPACES = b"\t\n\f\r "

NAME_ENDS = rb"(?=[%b/>])" % WS


# a value; nothing at all before '>' (`src=>`); an unterminated quote is not a match
VALUE = rb"""(?:"[^"]*+"|'[^']*+'|[^%b>"'][^%b>]*+|(?=>))""" % (WS, WS)

_NAME = rb"[^%b/>][^%b/>=]*+" % (WS, WS)


def attributes(guard: bytes = b"") -> bytes:
    """Return a pattern for any number of attributes; ``guard`` is a look-ahead that every name has to pass."""
    return rb"(?:[%b/]*+%b%b[%b]*+(?:=[%b]*+%b|(?!=)))*+[%b/]*+" % (WS, guard, _NAME, WS, WS, VALUE, WS)


_ATTRIBUTES = attributes()

TAG = re.compile(rb"</?+([a-zA-Z][^%b/>]*+)%b>" % (WS, _ATTRIBUTES))
"""A whole start or end tag; group 1 is its name."""

ATTRIBUTE = re.compile(
    rb"""[%b/]*+(%b)(?:[%b]*+=[%b]*+(?:"([^"]*+)"|'([^']*+)'|([^%b>"'][^%b>]*+))?+)?+""" % (WS, _NAME, WS, WS, WS, WS)
)
"""The next attribute inside a tag; group 1 is its name, 2 to 4 the value by its quote: double, single, none."""

QUOTES = ("", "", '"', "'", "")
"""The quote of a value by the number of its group in ``ATTRIBUTE``."""

COMMENT = re.compile(rb"<!--(?:-?+>|(?:[^-]++|-(?!-!?>))*+--!?>)")

COMMENT_END = re.compile(rb"--!?>")

BOGUS = re.compile(rb"<(?:/(?![a-zA-Z])|[?!])[^>]*+>")
"""A bogus comment, a doctype, or `</>`."""

SIMPLE_COMMENT = rb"(?:--(?!-?>|[%b]*+s3img:)[^<>]*+(?<=--)>|[a-zA-Z][^<>]*+>)" % WS
"""Behind `<!`: a comment that needs no attention, and whose only `>` is its end, or a doctype."""

SKIP = re.compile(
    rb"[^<]*+(?:<(?:/?+[a-zA-Z][^%b/>]*+%b>|/(?![a-zA-Z])[^>]*+>|\?[^>]*+>|!%b|(?![a-zA-Z/!?]))[^<]*+)*+"
    % (WS, _ATTRIBUTES, SIMPLE_COMMENT)
)
"""Text, tags, bogus and simple comments, as many as there are in full; not another `<!`."""

CSS_FUNCTION = re.compile(rb"\((?:(?<=[uU][rR][lL]\()|(?<=[iI][mM][aA][gG][eE]-[sS][eE][tT]\())")
"""The parenthesis of `url(` or `image-set(`: only then can style declarations name an image."""

UP_TO_META = re.compile(
    rb"(?:[^<]++|<!--(?:-?>|.*?(?:-->|\Z))|<(?!meta[%b/])(?:/?+[a-z][^%b/>]*+%b>?+|[!/?][^>]*+>?+)?+)*+"
    % (WS, WS, _ATTRIBUTES),
    re.IGNORECASE | re.DOTALL,
)
"""Everything before the next `<meta` that the encoding sniffer sees; it knows comments and tags, no raw text."""


def any_of(letters: Iterable[int]) -> bytes:
    """Return a pattern for one of some ASCII characters, letters in any case."""
    return b"[%b]" % b"".join(sorted({re.escape(bytes((code,)) + bytes((code,)).upper()) for code in letters}))


def any_case(name: bytes) -> bytes:
    """Return a pattern for an ASCII name in any case; a flag would be slower, as it costs the literal prefix."""
    return b"".join(any_of((letter,)) for letter in name.lower())


RAW_TEXT = frozenset((b"script", b"style", b"textarea", b"title", b"xmp", b"iframe", b"noembed", b"noframes"))

END_TAG = {name: re.compile(b"</" + any_case(name) + NAME_ENDS) for name in (*RAW_TEXT, b"noscript")}

SCRIPT_MARK = re.compile(rb"<!--|-->|</%b%b|<%b%b" % (any_case(b"script"), NAME_ENDS, any_case(b"script"), NAME_ENDS))
"""What changes the state of the tokenizer in a script."""

_EQUALS = 0x3D


def proved(code: bytes, at: int, start: int, end: int) -> int:
    """Return ``start`` if the tokenizer is in its data state there, given that it is at ``at``.

    Between the two stand only text, tags and bogus comments. If ``start`` is inside one of them the result is its end,
    or -1 if it has none before ``end``. The proof: a ``>`` behind the last ``<`` ends a tag or is text, unless it
    stands in a quoted value.
    """
    less = code.rfind(b"<", at, start)
    if less < 0:
        return start
    greater = code.rfind(b">", less, start)
    if greater >= 0 and not maybe_quoted(code, at, greater):
        return start
    whole = skip(code, at, start)
    if whole == start:
        return start
    over = TAG.match(code, whole, end) or BOGUS.match(code, whole, end)
    return over.end() if over else -1


def maybe_quoted(code: bytes, at: int, offset: int) -> bool:
    """Tell whether an offset may be inside a quoted value: only if the last such mark before it follows a ``=``."""
    double, single = code.rfind(b'"', at, offset), code.rfind(b"'", at, offset)
    return (double > at and _follows_equals(code, at, double)) or (single > at and _follows_equals(code, at, single))


def _follows_equals(code: bytes, at: int, mark: int) -> bool:
    before = mark - 1
    while before > at and code[before] in SPACES:
        before -= 1
    return code[before] == _EQUALS


def skip(code: bytes, at: int, end: int) -> int:
    """Return the start of the first construct that is not complete, ``end`` if all are."""
    found = SKIP.match(code, at, end)
    return found.end() if found else at


class Raw(msgspec.Struct, frozen=True, gc=False):
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
    for found in ATTRIBUTE.finditer(code, tag.end(1) if tag else end, end - 1):
        group, (name_start, name_end) = found.lastindex or 1, found.span(1)
        low, high = found.span(group) if group > 1 else (name_end, name_end)
        yield Raw(found[1].lower(), name_start, low, high, QUOTES[group], found.end())


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
    """Tell whether a tag ends in a slash that is not part of an unquoted value: ``<path/>``, not ``<a b=c/>``."""
    if code[end - 2] != 0x2F:
        return False
    last = start
    for attribute in raw(code, start, end):
        last = attribute.after
    return last < end - 1
