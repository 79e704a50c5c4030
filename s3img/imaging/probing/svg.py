"""Recognise SVG and read its size, without an XML parser: no entity is ever expanded, nothing is ever fetched.

Only the root element's start tag is read, within the first 64 KiB. Sizes follow CSS Values 4 (absolute lengths at
96 px an inch) and SVG 2, 7.2 and 8.2: ``width`` and ``height``, a missing one from the other and ``viewBox``. A
``viewBox`` alone (or beside percentages) gives a ratio and no size: such a picture fills what contains it (CSS 2.2,
10.3.2). Declarations in the root's ``style`` count before its attributes.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from s3img.errors import UnsupportedImage
from s3img.imaging.image_info import ImageInfo

if TYPE_CHECKING:
    from typing import BinaryIO

_HEAD: Final = 1 << 16
_BOMS: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SKIPPED: Final = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[[^\]]*\]\s*)?>", re.DOTALL | re.IGNORECASE)
_ROOT: Final = re.compile(r"<(?:[\w.-]+:)?svg(?=[\s/>])((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
# One match takes a whole name, whatever follows: a search that began again inside it would read n names n times.
_ATTRIBUTE: Final = re.compile(
    r"([\w:.-]++)(?:\s*+=\s*+(\"[^\"]*+\"|'[^']*+'))?+|\"[^\"]*+\"|'[^']*+'|[^\w:.\"'-]++|[\"']"
)
_DECLARATION: Final = re.compile(r"(?:(?<=;)|\A)\s*+(width|height)\s*+:([^;!]*+)", re.IGNORECASE)
_LENGTH: Final = re.compile(r"\s*\+?(\d{0,9}\.?\d{1,9}(?:e[+-]?\d)?)(px|pt|pc|mm|cm|in|q|)\s*", re.IGNORECASE)
_LARGEST: Final = 1_000_000  # px of a side
_PX: Final = {
    "": 1.0,
    "px": 1.0,
    "pt": 96 / 72,
    "pc": 16.0,
    "mm": 96 / 25.4,
    "cm": 96 / 2.54,
    "in": 96.0,
    "q": 96 / 101.6,
}


def svg(fp: BinaryIO) -> ImageInfo:
    """Return the size the root element states, or raise ``UnsupportedImage`` where the file is not a SVG."""
    fp.seek(0)
    root, _, _ = root_tag(fp.read(_HEAD))
    if root is None:
        raise UnsupportedImage(
            "The file is not an image of a kind that s3img reads.",
            fix="Save it as JPEG, PNG, WebP, AVIF, GIF or SVG, or remove the reference to it.",
        )
    attributes = {found[1]: found[2][1:-1] for found in _ATTRIBUTE.finditer(root[1]) if found[2]}
    given = attributes | {name.lower(): value for name, value in _DECLARATION.findall(attributes.get("style", ""))}
    width, height = _length(given.get("width", "")), _length(given.get("height", ""))
    parts = attributes.get("viewBox", "").replace(",", " ").split()
    box = [_length(part) for part in parts[2:]] if len(parts) == 4 else []
    if len(box) == 2 and all(box):
        if width and not height:
            height = width * box[1] / box[0]
        elif height and not width:
            width = height * box[0] / box[1]
    # A number that no screen shows is not a size: it would go into pages as it stands.
    if not (width and height) or max(width, height) > _LARGEST:
        return ImageInfo("svg", 0, 0, alpha=True)
    return ImageInfo("svg", max(1, round(width)), max(1, round(height)), alpha=True)


def root_tag(head: bytes) -> tuple[re.Match[str] | None, str, int]:
    """Return the start tag of the root in the decoded text, the text's encoding, and how many bytes its mark has.

    The tag's first group are its attributes; it is None where the file is not an SVG.
    """
    # Decoded by the byte order mark, else as UTF-8: the tags of the root are ASCII in every other encoding of the web.
    mark = next((mark for mark in _BOMS if head.startswith(mark)), b"")
    encoding = _BOMS.get(mark, "utf-8")
    # Bytes that aren't UTF-8 are kept, one character each, so that a place in the text tells the place in the file.
    text = head[len(mark) :].decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
    position = 0
    while skipped := _SKIPPED.match(text, position):
        position = skipped.end()
    return _ROOT.match(text, position), encoding, len(mark)


def with_style(data: bytes, css: str) -> bytes:
    """Return an SVG with a ``<style>`` as the first child of its root; ``css`` is text and never becomes markup."""
    root, encoding, mark = root_tag(data[:_HEAD])
    if root is None or root[1].endswith("/"):  # an empty picture has nothing to style
        return data
    before = root.string[: root.end()].encode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    # The namespace is stated because the root may have it under a prefix. References hold in every encoding.
    element = f'<style xmlns="http://www.w3.org/2000/svg">{escape(css)}</style>'.encode("ascii", "xmlcharrefreplace")
    at = mark + len(before)
    return data[:at] + element.decode("ascii").encode(encoding) + data[at:]


def _length(text: str) -> float:
    """Return a length in px, 0 for a percentage, a font-relative or a malformed one."""
    match = _LENGTH.fullmatch(text)
    return float(match[1]) * _PX[match[2].lower()] if match else 0.0
