"""Character references in attribute values and text (https://html.spec.whatwg.org/#character-reference-state)."""

from __future__ import annotations

import re
from html import entities as _entities
from typing import NamedTuple

_REFERENCE = re.compile(r"&(?:#(?:([0-9]++)|[xX]([0-9a-fA-F]++));?|([a-zA-Z][a-zA-Z0-9]*+;?))")
_NAMED = _entities.html5
_LONGEST = max(map(len, _NAMED))
_FILLER = 0xFF  # stands for a character that is not ASCII
# numbers that mean the windows-1252 character of that byte
_WINDOWS = {
    byte: ord(text) for byte in range(0x80, 0xA0) if (text := bytes([byte]).decode("cp1252", "replace")) != "\ufffd"
}


def decode(text: str, *, attribute: bool = True) -> str:
    """Return the text with its character references decoded, by the rules of attribute values or of text."""
    return _REFERENCE.sub(in_attribute if attribute else in_text, text) if "&" in text else text


def in_attribute(found: re.Match[str]) -> str:
    """Leave a reference without semicolon before ``=``, a letter or a digit as it is: ``?a=1&copy=2``."""
    name = found[3]
    if name is None or name[-1] == ";":
        return in_text(found) if name is None or name in _NAMED else found[0]
    follows = found.string[found.end() : found.end() + 1]
    return found[0] if follows == "=" else _NAMED.get(name, found[0])


def in_text(found: re.Match[str]) -> str:
    """Take the longest name that is known: ``&notit;`` is ``¬it;``."""
    decimal, hexadecimal, name = found.groups()
    if name is None:
        digits, radix = (decimal, 10) if decimal else (hexadecimal, 16)
        digits = digits.lstrip("0")
        # the largest code point has seven decimal digits; longer numbers are not even converted
        number = int(digits, radix) if 0 < len(digits) <= 8 else 0
        if number == 0 or number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            return "\ufffd"
        return chr(_WINDOWS.get(number, number))
    for size in range(min(len(name), _LONGEST), 1, -1):
        if name[:size] in _NAMED:
            return _NAMED[name[:size]] + name[size:]
    return found[0]


class Flat(NamedTuple):
    """A stretch without character references.

    ``code`` has one byte for each character (0xFF for those that are not ASCII and were written as a reference); the
    i-th stands for the bytes ``starts[i]`` to ``ends[i]`` of the document.
    """

    code: bytes
    starts: list[int]
    ends: list[int]


def flatten(code: bytes, start: int, end: int, *, attribute: bool = True) -> Flat:
    """Decode the character references of a stretch and remember where each character came from."""
    flat = Flat(b"", [], [])
    out, at = bytearray(), start
    for found in _REFERENCE.finditer(code[start:end].decode("latin-1")):
        value = (in_attribute if attribute else in_text)(found)
        if value == found[0]:
            continue
        low, high = start + found.start(), start + found.end()
        _literal(flat, at, low)
        out += code[at:low] + bytes(ord(character) if character.isascii() else _FILLER for character in value)
        flat.starts.extend([low] * len(value))
        flat.ends.extend([high] * len(value))
        at = high
    _literal(flat, at, end)
    return flat._replace(code=bytes(out + code[at:end]))


def _literal(flat: Flat, start: int, end: int) -> None:
    flat.starts.extend(range(start, end))
    flat.ends.extend(range(start + 1, end + 1))
