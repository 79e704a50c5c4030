"""Which attributes of which HTML elements name images, and the patterns that find those tags.

The default set is what browsers, link previews and search engines load; ``OPTIONAL`` kinds are found when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec

from s3img.rewrite.html_grammar import VALUE, WS, any_case, attributes
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
    "jfif",
    "jpe",
    "jpeg",
    "jpg",
    "jxl",
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


def _link_to_image(values: Values) -> Collection[bytes]:
    path = values.get(b"href", "").partition("#")[0].partition("?")[0]
    return (b"href",) if path.rstrip().lower().endswith(_IMAGE_FILES) else ()


def _svg_image(values: Values) -> Collection[bytes]:
    return (b"href",) if b"href" in values else (b"xlink:href",)


class Condition(NamedTuple):
    """Which attributes ``when`` decides about, and which it reads for that."""

    decides: str
    reads: str
    when: When


_CONDITIONS = {
    "a": Condition("href", "href", _link_to_image),
    "input": Condition("src", "type", _input),
    "link": Condition("href imagesrcset", "rel as", _link),
    "meta": Condition("content", "property name itemprop", _meta),
}


class Rule(msgspec.Struct, frozen=True):
    """How to read the tags of one element.

    ``wanted`` are syntax and kind of each attribute that names images; ``step`` matches the next attribute of interest
    (group 1 its name, 2 its value with the quotes) and what follows without interest, up to the end of the tag
    (group 3) or the next one; ``when`` returns, from the values of those to ``read``, which of the ``conditional``
    attributes count.
    """

    name: str
    wanted: dict[bytes, tuple[Syntax, str]]
    step: re.Pattern[bytes]
    conditional: frozenset[bytes]
    read: tuple[bytes, ...]
    when: When


def _rule(name: str, syntaxes: Mapping[str, Syntax], condition: Condition | None = None) -> Rule:
    condition = condition or Condition("", "", lambda _: ())
    wanted: dict[bytes, tuple[Syntax, str]] = {
        attribute.encode(): (syntax, f"{name} {attribute}") for attribute, syntax in syntaxes.items()
    }
    return Rule(
        name=name,
        wanted=wanted | {b"style": ("css", "css url")},
        step=_step((*syntaxes, *condition.reads.split(), "style")),
        conditional=frozenset(condition.decides.encode().split()),
        read=tuple(condition.reads.encode().split()),
        when=condition.when,
    )


@lru_cache(maxsize=64)
def _step(names: tuple[str, ...]) -> re.Pattern[bytes]:
    wanted = b"(?:%b)%b" % (b"|".join(any_case(name.encode()) for name in names), rb"(?=[%b/>=])" % WS)
    others = attributes(rb"(?!%b)" % wanted)
    return re.compile(
        rb"%b(?:(%b)(?:[%b]*+=[%b]*+(%b)|(?![%b]*+=)))?+%b(>)?+" % (others, wanted, WS, WS, VALUE, WS, others)
    )


SVG_IMAGES = {
    name.encode(): _rule(name, {"href": "url", "xlink:href": "url"}, Condition("href xlink:href", "href", _svg_image))
    for name in ("image", "feimage")
}


def rules(optional: Collection[str], extra: Extra) -> dict[bytes, Rule]:
    """Return the rules of HTML elements: the default ones, some optional kinds, further attributes."""
    wanted = {element: dict(syntaxes) for element, syntaxes in _DEFAULT.items()}
    for kind in sorted(optional):
        element, _, attribute = kind.partition(" ")
        wanted.setdefault(element, {})[attribute] = OPTIONAL[kind]
    for (element, attribute), syntax in extra.items():
        wanted.setdefault(element.lower(), {})[attribute.lower()] = syntax
    return {
        element.encode(): _rule(element, syntaxes, _CONDITIONS.get(element)) for element, syntaxes in wanted.items()
    } | {b"image": _rule("img", wanted["img"])}  # the parser makes it an img
