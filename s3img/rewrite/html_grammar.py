"""Patterns of the HTML tokenizer over bytes (https://html.spec.whatwg.org/#tokenization).

All are possessive, so none backtracks: matching is linear in the length of what matches.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WS = rb"\t\n\f\r "
SPACES = b"\t\n\f\r "
NAME_ENDS = rb"(?=[%b/>])" % WS
# a value; nothing at all before '>' (`src=>`); an unterminated quote is no match
VALUE = rb"""(?:"[^"]*+"|'[^']*+'|[^%b>"'][^%b>]*+|(?=>))""" % (WS, WS)
_NAME = rb"[^%b/>][^%b/>=]*+" % (WS, WS)


def attributes(guard: bytes = b"") -> bytes:
    """Return a pattern for any number of attributes; ``guard`` is a look-ahead that every name has to pass."""
    return rb"(?:[%b/]++|%b%b(?:[%b]*+=[%b]*+%b|(?![%b]*+=)))*+" % (WS, guard, _NAME, WS, WS, VALUE, WS)


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

SIMPLE_COMMENT = rb"--(?!-?>|[%b]*+s3img:)[^<>]*+(?<=--)>" % WS
"""Behind `<!`: a comment that needs no attention, and whose only `>` is its end."""

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
