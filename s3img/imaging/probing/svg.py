"""Recognise SVG and read its size, without an XML parser: no entity is ever expanded, nothing is ever fetched.

Only the root element's start tag is read, within the first 64 KiB. Sizes follow CSS Values 4 (absolute lengths at
96 px an inch) and SVG 2, 7.2 and 8.2: ``width`` and ``height``, the missing one or both from ``viewBox``.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from s3img.errors import UnsupportedImage
from s3img.imaging.image_info import ImageInfo

if TYPE_CHECKING:
    from typing import BinaryIO

_HEAD: Final = 1 << 16
_BOMS: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SKIPPED: Final = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[[^\]]*\]\s*)?>", re.DOTALL | re.IGNORECASE)
_ROOT: Final = re.compile(r"<(?:[\w.-]+:)?svg(?=[\s/>])((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
_ATTRIBUTE: Final = re.compile(r"([\w:.-]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_LENGTH: Final = re.compile(r"\s*\+?(\d{0,9}\.?\d{1,9}(?:e[+-]?\d)?)(px|pt|pc|mm|cm|in|q|)\s*", re.IGNORECASE)
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
    """Return the size the root element states, or raise ``UnsupportedImage`` where the file is no SVG."""
    fp.seek(0)
    text = _decode(fp.read(_HEAD))
    position = 0
    while skipped := _SKIPPED.match(text, position):
        position = skipped.end()
    root = _ROOT.match(text, position)
    if root is None:
        raise UnsupportedImage(
            "The file is not an image of a kind that is handled.", fix="Remove the reference, or convert the file."
        )
    attributes = {name: value[1:-1] for name, value in _ATTRIBUTE.findall(root[1])}
    width, height = _size(attributes)
    return ImageInfo("svg", width, height, alpha=True)


def _decode(head: bytes) -> str:
    """Decode by the byte order mark, UTF-8 without one; the tags of the root are ASCII in either case."""
    for mark, name in _BOMS.items():
        if head.startswith(mark):
            return head[len(mark) :].decode(name, "replace")
    return head.decode("utf-8", "replace")


def _size(attributes: dict[str, str]) -> tuple[int, int]:
    """Return the px of width and height, (0, 0) where nothing states them."""
    width, height = _length(attributes.get("width", "")), _length(attributes.get("height", ""))
    box = _view_box(attributes.get("viewBox", ""))
    if width and not height and box:
        height = width * box[1] / box[0]
    elif height and not width and box:
        width = height * box[0] / box[1]
    elif not width and box:
        width, height = box
    if not (width and height):
        return 0, 0
    return max(1, round(width)), max(1, round(height))


def _length(text: str) -> float:
    """Return a length in px, 0 for a percentage, a font-relative or a malformed one."""
    match = _LENGTH.fullmatch(text)
    return float(match[1]) * _PX[match[2].lower()] if match else 0.0


def _view_box(text: str) -> tuple[float, float] | None:
    """Return width and height of a ``viewBox``, None without a usable one."""
    parts = text.replace(",", " ").split()
    sides = [_length(part) for part in parts[2:]]
    return (sides[0], sides[1]) if len(parts) == 4 and all(sides) else None
