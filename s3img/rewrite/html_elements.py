"""Which attributes of which HTML elements name images, and the patterns that find those tags.

The default set is what browsers, link previews and search engines load; ``OPTIONAL`` kinds are found when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import msgspec

from s3img.rewrite.html_grammar import NAME_ENDS, RAW_TEXT, WS, any_case, attributes
from s3img.rewrite.reference import Extra, Syntax

Values = Mapping[bytes, str]
When = Callable[[Values], Collection[bytes]]

_DEFAULT: dict[str, dict[str, Syntax]] = {
    "img": {"src": "url", "srcset": "srcset"},
    "image": {"src": "url", "srcset": "srcset"},  # the parser makes it an img
    "source": {"srcset": "srcset"},
    "video": {"poster": "url"},
    "input": {"src": "url"},
    "link": {"href": "url", "imagesrcset": "srcset"},
    "meta": {"content": "url"},
}
_TABLE_PARTS = ("body", "table", "thead", "tbody", "tfoot", "tr", "td", "th")
OPTIONAL: dict[str, Syntax] = {
    "a href": "url",
    "img data-src": "url",
    "img data-srcset": "srcset",
    "source data-srcset": "srcset",
    **{f"{element} background": "url" for element in _TABLE_PARTS},
}
_ICONS = frozenset(
    (
        "icon",
        "apple-touch-icon",
        "apple-touch-icon-precomposed",
        "apple-touch-startup-image",
        "mask-icon",
        "fluid-icon",
        "image_src",
    )
)
_METAS = frozenset(
    (
        "og:image",
        "og:image:url",
        "og:image:secure_url",
        "twitter:image",
        "twitter:image:src",
        "image",
        "thumbnailurl",
        "thumbnail",
        "msapplication-tileimage",
    )
)


def _input(values: Values) -> Collection[bytes]:
    return (b"src",) if values.get(b"type", "").lower() == "image" else ()


def _link(values: Values) -> Collection[bytes]:
    relations = set(values.get(b"rel", "").lower().split())
    if relations & _ICONS:
        return (b"href",)
    is_image = "preload" in relations and values.get(b"as", "").lower() == "image"
    return (b"href", b"imagesrcset") if is_image else ()


def _meta(values: Values) -> Collection[bytes]:
    names = (values.get(name, "").strip().lower() for name in (b"property", b"name", b"itemprop"))
    return (b"content",) if any(name in _METAS for name in names) else ()


def _svg_image(values: Values) -> Collection[bytes]:
    return (b"href",) if b"href" in values else (b"xlink:href",)


class Condition(NamedTuple):
    """Which attributes ``when`` decides about, and which it reads for that."""

    decides: str
    reads: str
    when: When


_CONDITIONS = {
    "input": Condition("src", "type", _input),
    "link": Condition("href imagesrcset", "rel as", _link),
    "meta": Condition("content", "property name itemprop", _meta),
}


class Rule(msgspec.Struct, frozen=True):
    """How to read the tags of one element.

    ``syntaxes`` and ``kinds`` by attribute; ``step`` matches up to and with the next attribute of interest (group 1
    its name, 2 to 4 the value by its quote: double, single, none), without a group at the end of the tag; ``when``
    returns, from the values, which of the ``conditional`` attributes count.
    """

    name: str
    syntaxes: dict[bytes, Syntax]
    kinds: dict[bytes, str]
    step: re.Pattern[bytes]
    conditional: frozenset[bytes]
    when: When


def _rule(name: str, syntaxes: Mapping[str, Syntax], condition: Condition | None = None) -> Rule:
    condition = condition or Condition("", "", lambda _: ())
    return Rule(
        name=name,
        syntaxes={attribute.encode(): syntax for attribute, syntax in syntaxes.items()} | {b"style": "css"},
        kinds={attribute.encode(): f"{name} {attribute}" for attribute in syntaxes} | {b"style": "css url"},
        step=_step((*syntaxes, *condition.reads.split(), "style")),
        conditional=frozenset(condition.decides.encode().split()),
        when=condition.when,
    )


def _step(names: Collection[str]) -> re.Pattern[bytes]:
    wanted = trie({name.encode(): rb"(?=[%b/>=])" % WS for name in names})
    value = rb"""[%b]*+=[%b]*+(?:"([^"]*+)"|'([^']*+)'|([^%b>"'][^%b>]*+)|(?=>))""" % (WS, WS, WS, WS)
    return re.compile(rb"%b(?:(%b)(?:%b|(?![%b]*+=)))?+" % (attributes(rb"(?!%b)" % wanted), wanted, value, WS))


def trie(leaves: Mapping[bytes, bytes]) -> bytes:
    """Return a pattern for names in any case, each followed by its own pattern."""
    branches: dict[bytes, dict[bytes, bytes]] = {}
    for name, leaf in leaves.items():
        branches.setdefault(name[:1], {})[name[1:]] = leaf
    parts = [any_case(head) + trie(tails) if head else tails[b""] for head, tails in branches.items()]
    return parts[0] if len(parts) == 1 else b"(?:%b)" % b"|".join(parts)


SVG_IMAGES = {
    name.encode(): _rule(name, {"href": "url", "xlink:href": "url"}, Condition("href xlink:href", "", _svg_image))
    for name in ("image", "feimage")
}


class Role(IntEnum):
    """What the tokenizer or the scanner does after a start tag."""

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
    b"/picture": Role.PICTURE_END,
}


class Elements(msgspec.Struct, frozen=True):
    """The tags to look for: ``anchor`` finds them, and comments; group 1 is a key of ``rules`` or ``roles``."""

    anchor: re.Pattern[bytes]
    rules: dict[bytes, Rule]
    roles: dict[bytes, Role]


def elements(optional: Collection[str] = (), extra: Extra | None = None) -> Elements:
    """Return what to look for; kinds that are not of HTML are ignored."""
    return _elements(frozenset(optional).intersection(OPTIONAL), tuple(sorted((extra or {}).items())))


@lru_cache(maxsize=32)
def _elements(optional: frozenset[str], extra: tuple[tuple[tuple[str, str], Syntax], ...]) -> Elements:
    wanted = {element: dict(attributes) for element, attributes in _DEFAULT.items()}
    for kind in sorted(optional):
        element, _, attribute = kind.partition(" ")
        wanted.setdefault(element, {})[attribute] = OPTIONAL[kind]
    for (element, attribute), syntax in extra:
        wanted.setdefault(element.lower(), {})[attribute.lower()] = syntax
    wanted["image"] = wanted["img"]
    rules = {
        element.encode(): _rule("img" if element == "image" else element, attributes, _CONDITIONS.get(element))
        for element, attributes in wanted.items()
    }
    rejecting = {name: pattern for name, pattern in _REJECTED.items() if wanted.get(name) == _DEFAULT.get(name)}
    names = {*rules, *_ROLES}
    return Elements(_anchor(names, rejecting), rules, _ROLES)


def head_end_elements() -> Elements:
    """Return what has to be looked at to find the end tag of ``<head>``."""
    roles = _ROLES | {b"/head": Role.HEAD_END}
    return Elements(_anchor(set(roles), _REJECTED), {}, roles)


# link, meta and input tags that can't name an image: neither "image" nor "icon", "&" nor "(" in them
_NO_IMAGE = rb"[iI](?![mM][aA][gG][eE]|[cC][oO][nN])"
_PLAIN_TAG = rb"""(?:[^<>"'=iI&(]++|%b|=[%b]*+(?:"(?:[^"<iI&(]++|%b)*+"|'(?:[^'<iI&(]++|%b)*+'|(?!["'])))*+>""" % (
    _NO_IMAGE,
    WS,
    _NO_IMAGE,
    _NO_IMAGE,
)
# an inline icon: shapes only, for which HTML and SVG are tokenized alike
_QUOTED_ONLY = rb"""(?:[^<>"']++|"[^"<>]*+"|'[^'<>]*+')*+>"""
_SHAPES = (
    rb"%b(?:[^<]++|</?+(?:path|g|circle|rect|line|polyline|polygon|ellipse|use|defs|symbol|stop|linearGradient"
    rb"|radialGradient|clipPath|mask|text|tspan)%b%b)*+</svg[%b]*+>"
) % (_QUOTED_ONLY, NAME_ENDS, _QUOTED_ONLY, WS)
_REJECTED = {"link": _PLAIN_TAG, "meta": _PLAIN_TAG, "input": _PLAIN_TAG, "svg": _SHAPES}


def _anchor(names: Collection[bytes], rejected: Mapping[str, bytes]) -> re.Pattern[bytes]:
    """Return the search pattern: two characters sort out most tags before the names are tried."""
    leaves = {
        name: NAME_ENDS + (rb"(?!%b)" % rejected[name.decode()] if name.decode() in rejected else b"")
        for name in sorted(names)
    }
    starts = [name + b" " for name in names if not name.startswith(b"/")]
    first, second = _characters(name[0] for name in starts), _characters(name[1] for name in starts)
    ends = _characters(name[1] for name in names if name.startswith(b"/"))
    return re.compile(rb"<(?=[%b][%b]|!|/[%b])(?:(%b)|!)" % (first, second, ends, trie(leaves)))


def _characters(codes: Iterable[int]) -> bytes:
    """Return the inside of a character class: letters in both cases, all ends of a name for a space."""
    letters = b"".join(sorted({bytes((code,)) for code in codes}))
    return re.escape(letters.replace(b" ", b"") + letters.upper().replace(b" ", b"\t\n\f\r />"))
