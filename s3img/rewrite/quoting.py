"""How a new URL is written where an old one stood: HTML attribute, image candidate, style sheet."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3img.rewrite.reference import Encoder

_UNQUOTED = re.compile(r"[A-Za-z0-9._~:/?#@!$()*+,;%-]*[A-Za-z0-9._~:?#@!$()*+,;%-]")
_UNSAFE = re.compile(r"[^A-Za-z0-9._~:/?#@!$()*+,;%-]")
_CSS_BARE = re.compile(r"[^\s\"'()\\\x00-\x1f\x7f]+")
_CSS_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CSS_MARKUP = re.compile(r"[<>]")


def in_double_quotes(text: str) -> str:
    """Escape text for an attribute value between double quotes."""
    return text.replace("&", "&amp;").replace('"', "&quot;")


def in_single_quotes(text: str) -> str:
    """Escape text for an attribute value between single quotes."""
    return text.replace("&", "&amp;").replace("'", "&#39;")


def as_value(text: str) -> str:
    """Return a whole attribute value that had no quotes; it gets double ones unless every character is safe."""
    return text if _UNQUOTED.fullmatch(text) else f'"{in_double_quotes(text)}"'


def in_no_quotes(text: str) -> str:
    """Escape text for a part of an attribute value without quotes."""
    return _UNSAFE.sub(lambda found: f"&#{ord(found[0])};" if found[0].isascii() else found[0], text)


WHOLE: dict[str, Encoder] = {'"': in_double_quotes, "'": in_single_quotes, "": as_value}
PART: dict[str, Encoder] = {'"': in_double_quotes, "'": in_single_quotes, "": in_no_quotes}


def candidate(url: str) -> str:
    """Return a URL that stands for one image candidate: many tools split a ``srcset`` at every comma."""
    return re.sub(r"[\t\n\f\r ]", "%20", url.strip("\t\n\f\r ")).replace(",", "%2C")


@cache
def srcset(quote: str) -> Encoder:
    """Return the encoder of a ``srcset`` between such quotes."""
    escape = PART[quote]
    return lambda url: escape(candidate(url))


def css(url: str, quote: str, *, spare: str = '"') -> str:
    """Write a URL into a style sheet; without quotes it gets ``spare`` ones when it needs some."""
    if not quote and _CSS_BARE.fullmatch(url):
        return url
    mark = quote or spare
    text = url.replace("\\", "\\\\").replace(mark, "\\" + mark)
    text = _CSS_CONTROL.sub(as_hexadecimal, text)
    return text if quote else f"{mark}{text}{mark}"


def as_hexadecimal(found: re.Match[str]) -> str:
    """Write a character as a CSS escape; the blank ends it."""
    return f"\\{ord(found[0]):x} "


@cache
def style_sheet(quote: str) -> Encoder:
    """Return the encoder for a style sheet in a file."""
    return lambda url: css(url, quote)


@cache
def style_element(quote: str) -> Encoder:
    """Return the encoder for ``<style>``, where a URL can't end the element."""
    return lambda url: _CSS_MARKUP.sub(as_hexadecimal, css(url, quote))


@cache
def style_text(quote: str) -> Encoder:
    """Return the encoder for ``<style>`` in SVG, where character references count."""
    return lambda url: style_element(quote)(url).replace("&", "&amp;")


@cache
def style_attribute(attribute_quote: str, quote: str) -> Encoder:
    """Return the encoder for a ``style`` attribute between such quotes."""
    escape, spare = PART[attribute_quote], "'" if attribute_quote == '"' else '"'
    return lambda url: escape(css(url, quote, spare=spare))
