"""The search pattern for the tags of a page that matter."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from s3img.rewrite.html_elements import IMAGE_EXTENSIONS, JSON_LD, OPTIONAL, Rule, rules
from s3img.rewrite.html_grammar import NAME_ENDS, RAW_TEXT, SIMPLE_COMMENT, WS, any_case, any_of

if TYPE_CHECKING:
    from s3img.rewrite.reference import Extra, Syntax


class Role(IntEnum):
    """What a tag changes for what follows."""

    RAW_TEXT = 1
    FOREIGN = 2
    BASE = 3
    NOSCRIPT = 4
    PICTURE = 5
    PICTURE_END = 6
    HEAD_END = 7


_ROLES = {
    **dict.fromkeys((*RAW_TEXT, b"plaintext"), Role.RAW_TEXT),
    b"svg": Role.FOREIGN,
    b"math": Role.FOREIGN,
    b"base": Role.BASE,
    b"noscript": Role.NOSCRIPT,
    b"picture": Role.PICTURE,
}
_ENDS = {b"/picture": Role.PICTURE_END}


class Elements(msgspec.Struct, frozen=True):
    """The tags to look for.

    ``anchor`` matches ``<`` and a name, which is a key of ``rules`` or ``roles``, or ``<!``; inside ``<picture>`` its
    end matters, too, and ``in_picture`` is the pattern. ``plain`` are the rules of elements without a role.
    """

    anchor: re.Pattern[bytes]
    in_picture: re.Pattern[bytes]
    rules: Mapping[bytes, Rule]
    roles: Mapping[bytes, Role]
    plain: Mapping[bytes, Rule]


def elements(optional: Collection[str], extra: Extra) -> Elements:
    """Return what to look for; kinds that are not of HTML are ignored."""
    return _elements(frozenset(optional).intersection((*OPTIONAL, JSON_LD)), tuple(sorted(extra.items())))


@lru_cache(maxsize=32)
def _elements(optional: frozenset[str], extra: tuple[tuple[tuple[str, str], Syntax], ...]) -> Elements:
    wanted = rules(optional - {JSON_LD}, dict(extra))
    touched = {element.lower().encode() for (element, _), _ in extra}
    if JSON_LD in optional:
        touched.add(b"script")
    rejected = {name: pattern for name, pattern in _REJECTED.items() if name not in touched}
    names = [*wanted, *(name for name in _ROLES if name not in wanted)]
    plain = {name: rule for name, rule in wanted.items() if name not in _ROLES}
    return Elements(_anchor(names, rejected), _anchor([*names, *_ENDS], rejected), wanted, _ROLES | _ENDS, plain)


@lru_cache(maxsize=1)
def head_end_elements() -> Elements:
    """Return what has to be looked at to find the end tag of ``<head>``."""
    roles = _ROLES | {b"/head": Role.HEAD_END}
    anchor = _anchor(list(roles), _REJECTED)
    return Elements(anchor, anchor, {}, roles, {})


# link, meta and input tags that can't name an image: neither "image" nor "icon", "&" nor "(" in them
_NO_IMAGE = rb"[iI](?![mM][aA][gG][eE]|[cC][oO][nN])"
_PLAIN_TAG = rb"""(?:[^<>"'=iI&(]++|%b|=[%b]*+(?:"(?:[^"<iI&(]++|%b)*+"|'(?:[^'<iI&(]++|%b)*+'|(?!["'])))*+>""" % (
    _NO_IMAGE,
    WS,
    _NO_IMAGE,
    _NO_IMAGE,
)
# a link to no image file: no extension of one, and no "&" that could hide it, nor "(" of a style attribute
_NO_FILE = rb"\.(?!%b)" % b"|".join(any_case(extension.encode()) for extension in IMAGE_EXTENSIONS)
_PLAIN_LINK = rb"""(?:[^<>"'.&(]++|%b|"(?:[^"<.&(]++|%b)*+"|'(?:[^'<.&(]++|%b)*+')*+>""" % (
    _NO_FILE,
    _NO_FILE,
    _NO_FILE,
)
_QUOTED_ONLY = rb"""(?:[^<>"']++|"[^"<>]*+"|'[^'<>]*+')*+>"""
# an inline icon: shapes only, for which HTML and SVG are tokenized alike
_SHAPES = (
    rb"%b(?:[^<]++|</?+(?:path|g|circle|rect|line|polyline|polygon|ellipse|use|defs|symbol|stop|linearGradient"
    rb"|radialGradient|clipPath|mask|text|tspan)%b%b)*+</svg[%b]*+>"
) % (_QUOTED_ONLY, NAME_ENDS, _QUOTED_ONLY, WS)
# a raw text element without any "<", which reads the same as text; no function in a style sheet
_RAW = {
    name: rb"%b[^%b]*+</%b[%b]*+>" % (_QUOTED_ONLY, b"<(" if name == b"style" else b"<", any_case(name), WS)
    for name in RAW_TEXT
}
_REJECTED = {b"a": _PLAIN_LINK, b"link": _PLAIN_TAG, b"meta": _PLAIN_TAG, b"input": _PLAIN_TAG, b"svg": _SHAPES, **_RAW}

_SORTED_OUT = 3
"""Characters of a name that sort out nearly all other tags before whole names are tried."""


def _anchor(names: Collection[bytes], rejected: Mapping[bytes, bytes]) -> re.Pattern[bytes]:
    """Return the search pattern for names; ``rejected`` patterns after one say that the tag is of no interest."""
    leaves = {name: NAME_ENDS + (rb"(?!%b)" % rejected[name] if name in rejected else b"") for name in names}
    long = [name for name in names if len(name) >= _SORTED_OUT and not name.startswith(b"/")]
    others = [any_case(name) + leaves[name] for name in names if name not in long]
    first, second = (any_of(name[place] for name in long) for place in (0, 1))
    thirds: dict[bytes, list[bytes]] = {}
    for name in long:
        known = rb"(?<=%b)%b%b" % (any_case(name[:_SORTED_OUT]), any_case(name[_SORTED_OUT:]), leaves[name])
        thirds.setdefault(any_case(name[2:_SORTED_OUT]), []).append(known)
    tried = b"|".join(rb"%b(?:%b)" % (third, b"|".join(tails)) for third, tails in thirds.items())
    branches = [rb"%b%b(?:%b)" % (first, second, tried), rb"!(?!%b)" % SIMPLE_COMMENT, *others]
    return re.compile(rb"<(?:%b)" % b"|".join(branches))
