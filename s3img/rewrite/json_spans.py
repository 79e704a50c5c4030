"""JSON with the place of every string: enough to replace a value and leave every other byte alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from s3img.rewrite.reference import Reference

if TYPE_CHECKING:
    from s3img.rewrite.source import Source

_BYTE_ORDER_MARK = "\xff\xef\xbb\xbf"  # of a string, of bytes
_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)"|[][{},]', re.DOTALL)


class JsonString(msgspec.Struct, frozen=True):
    """A string value; ``start`` and ``end`` are the span of its raw characters without the quotes."""

    value: str
    start: int
    end: int


Node: TypeAlias = "JsonString | dict[str, Node] | list[Node] | None"
"""What a text holds; numbers, booleans and null are not kept (in arrays too)."""


def parse(source: Source) -> Node:
    """Return the strings of a JSON text in their objects and arrays, or None when it is no JSON (RFC 8259).

    The standard library decides what is JSON, in C; the walk below may then trust the structure. Of a repeated key
    the last value counts, as in ``JSON.parse``.
    """
    code = source.code.decode("latin-1")
    try:
        json.loads(code.lstrip(_BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        return None
    top: list[Node] = []
    open_: list[dict[str, Node] | list[Node]] = [top]
    key: str | None = None
    for token in _TOKEN.finditer(code):
        if token[0] in "]}":
            open_.pop()
        elif token[0] == ",":
            key = None
        elif key is None and isinstance(open_[-1], dict):
            key = _string(source, token).value
        else:
            node = _node(source, token)
            _put(open_[-1], key, node)
            if not isinstance(node, JsonString):
                open_.append(node)
                key = None
    return top[0] if top else None


def _node(source: Source, token: re.Match[str]) -> JsonString | dict[str, Node] | list[Node]:
    if token[0] == "{":
        return {}
    return [] if token[0] == "[" else _string(source, token)


def _string(source: Source, token: re.Match[str]) -> JsonString:
    start, end = token.span(1)
    raw = source.text(start, end)
    return JsonString(str(json.loads(f'"{raw}"')) if "\\" in raw else raw, start, end)


def _put(parent: dict[str, Node] | list[Node], key: str | None, node: Node) -> None:
    if isinstance(parent, list):
        parent.append(node)
    else:
        parent[key or ""] = node


def encode(value: str) -> str:
    r"""Write a string between the quotes of a JSON string, in ASCII.

    ``<`` becomes ``\u003c``: inside ``<script>`` neither ``</script`` nor ``<!--`` can come out of it (HTML standard,
    section 4.12.1.3).
    """
    return json.dumps(value)[1:-1].replace("<", "\\u003c")


def reference(string: JsonString, kind: str) -> Reference:
    """Return a string as a reference that is written back with JSON's escapes."""
    return Reference(string.start, string.end, string.value.strip(), kind, None, None, encode)
