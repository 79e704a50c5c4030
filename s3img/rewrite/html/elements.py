"""Which attributes of which HTML elements name images, and the patterns that find those tags.

The default set is what browsers, link previews and search engines load; ``OPTIONAL`` kinds are found when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import msgspec

from s3img.rewrite.html.tokens import NAME_ENDS, RAW_TEXT, SIMPLE_COMMENT, VALUE, WS, any_case, any_of, attributes
from s3img.rewrite.reference import Extra, Syntax

Values = Mapping[bytes, str]

When = Callable[[Values], Collection[bytes]]

_DEFAULT: dict[str, dict[str, Syntax]] = {
    "img": {"src": "url", "srcset": "srcset"},
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

JSON_LD = "script json-ld"
"""The optional kind that looks into ``<script type="application/ld+json">``; what is there has kinds of its own."""

IMAGE_EXTENSIONS = (
    "apng",
    "avif",
    "bmp",
    "gif",
    "heic",
    "heif",
    "ico",
    "j2k",
    "jfif",
    "jp2",
    "jpe",
    "jpeg",
    "jpf",
    "jpg",
    "jxl",
    "mpo",
    "png",
    "svg",
    "svgz",
    "tif",
    "tiff",
    "webp",
)

_IMAGE_FILES = tuple(f".{extension}" for extension in IMAGE_EXTENSIONS)

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


def input_attributes(values: Values) -> Collection[bytes]:
    """Return ``src`` of an image button."""
    return (b"src",) if values.get(b"type", "").lower() == "image" else ()


def link_attributes(values: Values) -> Collection[bytes]:
    """Return those of an icon, or of an image that is loaded early."""
    relations = set(values.get(b"rel", "").lower().split())
    if relations & _ICONS:
        return (b"href",)
    is_image = "preload" in relations and values.get(b"as", "").lower() == "image"
    return (b"href", b"imagesrcset") if is_image else ()


def meta_attributes(values: Values) -> Collection[bytes]:
    """Return ``content`` of what link previews show."""
    names = (values.get(name, "").strip().lower() for name in (b"property", b"name", b"itemprop"))
    return (b"content",) if any(name in _METAS for name in names) else ()


def anchor_attributes(values: Values) -> Collection[bytes]:
    """Return ``href`` of a link to an image file, by its extension."""
    path = values.get(b"href", "").partition("#")[0].partition("?")[0]
    return (b"href",) if path.rstrip().lower().endswith(_IMAGE_FILES) else ()


def svg_image_attributes(values: Values) -> Collection[bytes]:
    """Return ``href``, which wins over its older name."""
    return (b"href",) if b"href" in values else (b"xlink:href",)


class Condition(NamedTuple):
    """Which attributes ``when`` decides about, and which it reads for that."""

    decides: str
    reads: str
    when: When


_CONDITIONS = {
    "a": Condition("href", "href", anchor_attributes),
    "input": Condition("src", "type", input_attributes),
    "link": Condition("href imagesrcset", "rel as", link_attributes),
    "meta": Condition("content", "property name itemprop", meta_attributes),
}


class ElementRule(msgspec.Struct, frozen=True):
    """How to read the tags of one element.

    ``wanted`` are syntax and kind of each attribute that names images. ``step`` matches the next attribute of interest
    (group 1 its name, 2 its value if that is plain ASCII between double quotes, else 3 its value with the quotes) and
    what follows without interest, up to the end of the tag (group ``TAG_ENDS``) or the next one. ``when`` returns, from
    the values of those to ``read``, which of the ``conditional`` attributes count.
    """

    name: str
    wanted: dict[bytes, tuple[Syntax, str]]
    step: re.Pattern[bytes]
    conditional: frozenset[bytes]
    read: tuple[bytes, ...]
    when: When


def element_rule(name: str, syntaxes: Mapping[str, Syntax], condition: Condition | None = None) -> ElementRule:
    """Return the rule for the attributes of an element, of which ``condition`` decides about some."""
    condition = condition or Condition("", "", lambda _: ())
    wanted: dict[bytes, tuple[Syntax, str]] = {
        attribute.encode(): (syntax, f"{name} {attribute}") for attribute, syntax in syntaxes.items()
    }
    return ElementRule(
        name=name,
        wanted=wanted | {b"style": ("css", "css url")},
        step=attribute_step((*syntaxes, *condition.reads.split(), "style")),
        conditional=frozenset(condition.decides.encode().split()),
        read=tuple(condition.reads.encode().split()),
        when=condition.when,
    )


TAG_ENDS = 4


@lru_cache(maxsize=64)
def attribute_step(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return the pattern of ``ElementRule.step`` for some attributes."""
    wanted = b"(?:%b)%b" % (b"|".join(any_case(name.encode()) for name in names), rb"(?=[%b/>=])" % WS)
    others = attributes(rb"(?!%b)" % wanted)
    return re.compile(
        rb'%b(?:(%b)(?:="([!#-%%\'-~]++)"|[%b]*+=[%b]*+(%b)|(?![%b]*+=)))?+%b(>)?+'
        % (others, wanted, WS, WS, VALUE, WS, others)
    )


SVG_IMAGES = {
    name.encode(): element_rule(
        name, {"href": "url", "xlink:href": "url"}, Condition("href xlink:href", "href", svg_image_attributes)
    )
    for name in ("image", "feimage")
}


def rules(optional: Collection[str], extra: Extra) -> dict[bytes, ElementRule]:
    """Return the rules of HTML elements: the default ones, some optional kinds, further attributes."""
    wanted = {element: dict(syntaxes) for element, syntaxes in _DEFAULT.items()}
    for kind in sorted(optional):
        element, _, attribute = kind.partition(" ")
        wanted.setdefault(element, {})[attribute] = OPTIONAL[kind]
    for (element, attribute), syntax in extra.items():
        wanted.setdefault(element.lower(), {})[attribute.lower()] = syntax
    return {
        element.encode(): element_rule(element, syntaxes, _CONDITIONS.get(element))
        for element, syntaxes in wanted.items()
    } | {b"image": element_rule("img", wanted["img"])}  # the parser makes it an img


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
    rules: Mapping[bytes, ElementRule]
    roles: Mapping[bytes, Role]
    plain: Mapping[bytes, ElementRule]


def element_table(optional: Collection[str], extra: Extra) -> Elements:
    """Return what to look for; kinds that are not of HTML are ignored."""
    return _element_table(_OF_HTML.intersection(optional), tuple(sorted(extra.items())))


_OF_HTML = frozenset((*OPTIONAL, JSON_LD))


@lru_cache(maxsize=32)  # the patterns take milliseconds to compile, and a site asks for the same ones page by page
def _element_table(optional: frozenset[str], extra: tuple[tuple[tuple[str, str], Syntax], ...]) -> Elements:
    wanted = rules(optional - {JSON_LD}, dict(extra))
    touched = {element.lower().encode() for (element, _), _ in extra}
    if JSON_LD in optional:
        touched.add(b"script")
    rejected = {name: pattern for name, pattern in _REJECTED.items() if name not in touched}
    names = [*wanted, *(name for name in _ROLES if name not in wanted)]
    plain = {name: rule for name, rule in wanted.items() if name not in _ROLES}
    return Elements(
        anchor_pattern(names, rejected), anchor_pattern([*names, *_ENDS], rejected), wanted, _ROLES | _ENDS, plain
    )


@lru_cache(maxsize=1)
def head_end_elements() -> Elements:
    """Return what has to be looked at to find the end tag of ``<head>``."""
    roles = _ROLES | {b"/head": Role.HEAD_END}
    anchor = anchor_pattern(list(roles), _REJECTED)
    return Elements(anchor, anchor, {}, roles, {})


@lru_cache(maxsize=1)
def meta_elements() -> Elements:
    """Return what has to be looked at to find every ``<meta content>``."""
    wanted = {b"meta": element_rule("meta", {"content": "url"})}
    rejected = {name: pattern for name, pattern in _REJECTED.items() if name != b"meta"}
    names = [*wanted, *_ROLES]
    in_picture = anchor_pattern([*names, *_ENDS], rejected)
    return Elements(anchor_pattern(names, rejected), in_picture, wanted, _ROLES | _ENDS, wanted)


# link, meta and input tags that can't name an image: no "image", "icon" or "thumbnail", no "&" or "(" in them
_NO_IMAGE = rb"[iI](?![mM][aA][gG][eE]|[cC][oO][nN]|(?<=[bB][nN][aA][iI])[lL])"

_PLAIN_TAG = rb"""(?:[^<>"'=iI&(]++|%b|=[%b]*+(?:"(?:[^"<iI&(]++|%b)*+"|'(?:[^'<iI&(]++|%b)*+'|(?!["'])))*+>""" % (
    _NO_IMAGE,
    WS,
    _NO_IMAGE,
    _NO_IMAGE,
)


# a link to no image file: no extension of one, and no "&" that could hide it, nor "(" of a style attribute
_NO_FILE = rb"\.(?!%b)" % b"|".join(any_case(extension.encode()) for extension in IMAGE_EXTENSIONS)

_PLAIN_LINK = (
    rb"""[^<>"'.&(]*+(?:(?:%b|"[^"<.&(]*+(?:%b[^"<.&(]*+)*+"|'[^'<.&(]*+(?:%b[^'<.&(]*+)*+')[^<>"'.&(]*+)*+>"""
    % (_NO_FILE, _NO_FILE, _NO_FILE)
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


def anchor_pattern(names: Collection[bytes], rejected: Mapping[bytes, bytes]) -> re.Pattern[bytes]:
    """Return the search pattern for names; ``rejected`` patterns after one say that the tag is of no interest."""
    leaves = {name: NAME_ENDS + (rb"(?!%b)" % rejected[name] if name in rejected else b"") for name in names}
    long = [name for name in names if len(name) >= _SORTED_OUT and not name.startswith(b"/")]
    others = [any_case(name) + leaves[name] for name in names if name not in long]
    first, second, third = (any_of(name[place] for name in long) for place in range(_SORTED_OUT))
    thirds: dict[bytes, list[bytes]] = {}
    for name in long:
        known = rb"(?<=%b)%b%b" % (any_case(name[:_SORTED_OUT]), any_case(name[_SORTED_OUT:]), leaves[name])
        thirds.setdefault(any_case(name[2:_SORTED_OUT]), []).append(known)
    tried = b"|".join(rb"%b(?:%b)" % (letter, b"|".join(tails)) for letter, tails in thirds.items())
    branches = [rb"%b%b(?=%b)(?:%b)" % (first, second, third, tried), rb"!(?!%b)" % SIMPLE_COMMENT, *others]
    return re.compile(rb"<(?:%b)" % b"|".join(branches))
