"""Link destinations of Markdown: where one ends, what it means, how a new one is written (CommonMark 0.31, 6.3)."""

from __future__ import annotations

import re
from html.entities import html5
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from s3img.rewrite.source import Source

PUNCTUATION = r"!-/:-@\[-`{-~"
_WHITE_SPACE = re.compile(r"[ \t\r\n]+")
_SPACES = re.compile(r"[ \t\r\n]*+")
_ANGLE = re.compile(rf"<((?:[^<>\\\r\n]++|\\[{PUNCTUATION}]|\\)*+)>")
_BARE = re.compile(rf"(?:[^\x00-\x20\x7f\\()]++|\\[{PUNCTUATION}]|\\)*+")
_DEEPEST = 32  # parentheses in parentheses, as in cmark and markdown-it
_TITLE = r"""(?:"(?:[^"\\]++|\\.)*+"|'(?:[^'\\]++|\\.)*+'|\((?:[^()\\]++|\\.)*+\))"""
_INLINE_END = re.compile(rf"(?:[ \t\r\n]++{_TITLE})?+[ \t\r\n]*+\)", re.DOTALL)
_LINE_END = r"[ \t]*+(?=[\r\n]|\Z)"
_DEFINITION_START = re.compile(r"[ \t\r\n]*+\[((?:[^\[\]\\]++|\\.){1,999}+)\]:[ \t\r\n]*+", re.DOTALL)
_DEFINITION_TITLE = re.compile(rf"[ \t\r\n]++{_TITLE}{_LINE_END}", re.DOTALL)
_DEFINITION_END = re.compile(_LINE_END)
_MEANING = re.compile(rf"\\([{PUNCTUATION}])|&(?:#([0-9]{{1,7}});|#[xX]([0-9a-fA-F]{{1,6}});|([a-zA-Z][a-zA-Z0-9]*+;))")

_UNSAFE = re.compile(r'[\x00-\x20\x7f"<>\\`|]')
_REFERENCE = re.compile(r"&(?=#[0-9xX]|[a-zA-Z][a-zA-Z0-9]*;)")


class Destination(msgspec.Struct, frozen=True, gc=False):
    """The span of a destination without its angle brackets."""

    start: int
    end: int
    angle: bool


class Definition(msgspec.Struct, frozen=True, gc=False):
    """A link reference definition: its normalized label, its destination, and where it ends."""

    label: str
    destination: Destination
    end: int


def inline(code: str, at: int, end: int) -> tuple[Destination, int] | None:
    """Read what follows ``](``: the destination and the offset after ``)``, None when it is not a link."""
    found = scan_destination(code, _after(_SPACES, code, at, end), end)
    closing = found and _INLINE_END.match(code, found.end + found.angle, end)
    return (found, closing.end()) if found and closing else None


def definition(source: Source, code: str, at: int, end: int) -> Definition | None:
    """Read a link reference definition at the beginning of a line."""
    start = _DEFINITION_START.match(code, at, end)
    found = start and scan_destination(code, start.end(), end)
    if not start or not found or (found.start == found.end and not found.angle):
        return None
    after = found.end + found.angle
    closing = _DEFINITION_TITLE.match(code, after, end) or _DEFINITION_END.match(code, after, end)
    name = label(source.text(*start.span(1)))
    return Definition(name, found, closing.end()) if closing and name else None


def label(text: str) -> str:
    """Return a label as it is compared: without regard to case and white space; ``""`` when it is none."""
    return _WHITE_SPACE.sub(" ", text).strip(" ").casefold()


def meaning(raw: str) -> str:
    """Return the URL that a destination stands for.

    Escapes and character references are resolved; a backslash that is left is the separator of a Windows path, which
    a browser reads as a slash.
    """
    return _MEANING.sub(resolved, raw).replace("\\", "/").strip()


def in_angles(url: str) -> str:
    """Write a URL between angle brackets.

    What could end a destination, a table cell or a code span, or begin an escape, is percent-encoded; ``&`` is only
    escaped where a character reference would come out of it.
    """
    return _REFERENCE.sub("&amp;", _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", url))


def bare(url: str) -> str:
    """Write a URL without angle brackets, or with them where its parentheses ask for it."""
    text = in_angles(url)
    whole = scan_destination(text, 0, len(text))  # what reads it decides
    return text if text and whole and whole.end == len(text) else f"<{text}>"


def scan_destination(code: str, at: int, end: int) -> Destination | None:
    """Read a destination: between angle brackets, or up to a blank or a parenthesis that it does not open."""
    if code.startswith("<", at, end):
        angle = _ANGLE.match(code, at, end)
        return Destination(*angle.span(1), angle=True) if angle else None
    depth, here = 0, _after(_BARE, code, at, end)
    while here < end and code[here] in "()" and (code[here] == "(" or depth) and depth <= _DEEPEST:
        depth += 1 if code[here] == "(" else -1
        here = _after(_BARE, code, here + 1, end)
    return None if depth else Destination(at, here, angle=False)


def _after(pattern: re.Pattern[str], code: str, at: int, end: int) -> int:
    """Return the end of a match of a pattern that always matches."""
    found = pattern.match(code, at, end)
    return found.end() if found else at


def resolved(found: re.Match[str]) -> str:
    """Return what an escape or a character reference stands for; bad code points are U+FFFD (CommonMark 2.5)."""
    escaped, decimal, hexadecimal, name = found.groups()
    if escaped:
        return str(escaped)
    if name:
        return html5.get(name, found[0])
    point = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(point) if 0 < point <= 0x10FFFF and not 0xD800 <= point < 0xE000 else "\ufffd"
