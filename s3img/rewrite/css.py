r"""Image URLs of style sheets: ``url()`` and the strings of ``image-set()`` (https://www.w3.org/TR/css-syntax-3/).

Not looked at: comments, strings, ``@import``, ``@namespace``, ``@charset``, ``@font-face`` and fragments (``url(#a)``).
Function names written with escapes (``u\72l(``) are not recognized.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from s3img.rewrite.quoting import style_sheet
from s3img.rewrite.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.rewrite.source import Source


class CssSpan(NamedTuple):
    """The raw text of a URL without its quotes; ``quote`` is ``'"'``, ``"'"`` or ``""``."""

    start: int
    end: int
    quote: str


_SPACE = rb"[\t\n\f\r ]*+"
_ESCAPE = rb"\\(?s:.)?+"
_DOUBLE = rb'(?:[^"\\\n\f\r]++|%b)*+' % _ESCAPE
_SINGLE = rb"(?:[^'\\\n\f\r]++|%b)*+" % _ESCAPE
_STRING = rb"""(?:"%b"?+|'%b'?+)""" % (_DOUBLE, _SINGLE)
_COMMENT = rb"/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/)?+"
_IS_URL = rb"(?<=[uU][rR][lL]\()(?<![-\w\\\x80-\xff][uU][rR][lL]\()"
_IS_SET = rb"(?<=[iI][mM][aA][gG][eE]-[sS][eE][tT]\()"


def up_to(stops: bytes) -> bytes:
    """Return a pattern for everything up to one of the stops that is outside strings and comments."""
    return rb"""(?:[^%b"'/\\]++|%b|%b|%b|/)*+""" % (stops, _COMMENT, _STRING, _ESCAPE)


_AT_RULE = rb"@(?:(?i:import|namespace|charset)(?![-\w])%b;?+|(?i:font-face)(?![-\w])%b\}?+)?+" % (
    up_to(b";{"),
    up_to(b"}"),
)
_NEXT = re.compile(
    rb"""(?:[^"'/@\\(]++|\((?!%b|%b)|%b|%b|/|%b|%b)*+\(?+""" % (_IS_URL, _IS_SET, _STRING, _COMMENT, _ESCAPE, _AT_RULE)
)
"""Everything up to and with the parenthesis of the next ``url(`` or ``image-set(`` that counts."""

_ARGUMENT = re.compile(
    rb"""%b(?:"(%b)(?:"|\Z)|'(%b)(?:'|\Z)|((?:%b|\\%b)*+)(?=%b(?:\)|\Z)))"""
    % (
        _SPACE,
        _DOUBLE,
        _SINGLE,
        rb"""[^"'()\\\t\n\f\r \x00-\x08\x0b\x0e-\x1f\x7f]++""",
        rb"(?:[0-9a-fA-F]{1,6}+(?:\r\n|[\t\n\f\r ])?+|[^\n\f\r])",
        _SPACE,
    )
)
"""The argument of ``url(``: group 1 or 2 a string by its quote, 3 a bare URL."""

_BAD_URL = re.compile(rb"""(?!%b["'])(?:[^)\\]++|%b)*+""" % (_SPACE, _ESCAPE))
"""What else may stand after ``url(``; a bad string there is left to the next search."""

_IN_SET = re.compile(
    rb"""%b|%b|(?P<string>%b)|\((?:%b(?P<url>)|(?P<open>))|(?P<close>\))""" % (_COMMENT, _ESCAPE, _STRING, _IS_URL)
)
_QUOTES = ("", '"', "'", "")
_UNESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\f\r])?|(\r\n|[\n\f\r])|(.))", re.DOTALL)


def find(source: Source) -> list[Reference]:
    """Return the references of a style sheet in its order."""
    found = []
    for start, end, quote in spans(source.code, 0, len(source.code)):
        url = unescape(source.text(start, end)).strip("\t\n\f\r ").replace("\0", "\ufffd")
        if url:
            found.append(Reference(start, end, url, "css url", None, None, style_sheet(quote)))
    return found


def spans(code: bytes, start: int, end: int) -> Iterator[CssSpan]:
    """Yield the URLs between two offsets; no byte of a multi-byte character may look like ASCII."""
    at, depth = start, 0
    while at < end:
        span = None
        if depth:
            at, depth, span = in_image_set(code, at, end, depth)
        else:
            at = _NEXT.match(code, at, end).end()  # type: ignore[union-attr]  # the empty string matches, too
            if code[at - 1 : at] != b"(":
                return
            if code[at - 2 : at - 1] in (b"l", b"L"):  # url(, else image-set(
                at, span = argument(code, at, end)
            else:
                depth = 1
        if span and span.start < span.end and not code.startswith(b"#", span.start):
            yield span


def in_image_set(code: bytes, at: int, end: int, depth: int) -> tuple[int, int, CssSpan | None]:
    """Go to the next string, URL or parenthesis inside ``image-set(`` -> where to go on, depth there, URL."""
    found = _IN_SET.search(code, at, end)
    if found is None:
        return end, 0, None
    low, at = found.span()
    if found.lastgroup == "url":
        at, span = argument(code, at, end)
        return at, depth + 1, span
    if found.lastgroup == "string" and depth == 1:  # deeper ones are those of type()
        quote = code[low : low + 1]
        closed = code.endswith(quote, low + 1, at)
        return at, depth, CssSpan(low + 1, at - closed, quote.decode()) if closed or at == end else None
    return at, depth + (found.lastgroup == "open") - (found.lastgroup == "close"), None


def argument(code: bytes, at: int, end: int) -> tuple[int, CssSpan | None]:
    """Read what follows ``url(``, up to its parenthesis."""
    found = _ARGUMENT.match(code, at, end)
    if found is None or found.lastindex is None:
        bad = _BAD_URL.match(code, at, end)
        return bad.end() if bad else at, None
    return found.end(), CssSpan(*found.span(found.lastindex), _QUOTES[found.lastindex])


def unescape(text: str) -> str:
    """Return the text of a URL or string with its escapes decoded."""
    return _UNESCAPE.sub(character, text) if "\\" in text else text


def character(found: re.Match[str]) -> str:
    """Return what an escape stands for (CSS Syntax 4.3.7); an escaped line end is nothing."""
    digits, newline, other = found.groups()
    if not digits:
        return "" if newline else str(other)
    number = int(digits, 16)
    return "\ufffd" if number == 0 or number > 0x10FFFF or 0xD800 <= number <= 0xDFFF else chr(number)
