"""Images in JSON-LD (``application/ld+json``, schema.org), as files and as the text of a ``<script>``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from s3img.rewrite.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

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


_EMPTY: dict[str, type[dict[str, Node]] | type[list[Node]]] = {"{": dict, "[": list}


def parse(source: Source) -> Node:
    """Return the strings of a JSON text in their objects and arrays, or None when it is not JSON (RFC 8259).

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
            node: JsonString | dict[str, Node] | list[Node]
            node = _EMPTY[token[0]]() if token[0] in _EMPTY else _string(source, token)
            parent = open_[-1]
            if isinstance(parent, list):
                parent.append(node)
            else:
                parent[key or ""] = node
            if not isinstance(node, JsonString):
                open_.append(node)
                key = None
    return top[0] if top else None


def _string(source: Source, token: re.Match[str]) -> JsonString:
    start, end = token.span(1)
    raw = source.text(start, end)
    return JsonString(str(json.loads(f'"{raw}"')) if "\\" in raw else raw, start, end)


def encode(value: str) -> str:
    r"""Write a string between the quotes of a JSON string, in ASCII.

    ``<`` becomes ``\u003c``: inside ``<script>`` neither ``</script`` nor ``<!--`` can come out of it (HTML standard,
    section 4.12.1.3).
    """
    return json.dumps(value)[1:-1].replace("<", "\\u003c")


def reference(string: JsonString, kind: str) -> Reference:
    """Return a string as a reference that is written back with JSON's escapes."""
    return Reference(string.start, string.end, string.value.strip(), kind, None, None, encode)


PROPERTIES = frozenset(
    ("image", "thumbnail", "thumbnailUrl", "logo", "primaryImageOfPage", "photo", "screenshot"),
)
"""The schema.org properties whose value is an image: its URL, an ``ImageObject``, or an array of these."""

_ADDRESSES = ("url", "contentUrl")


def find_json_ld(source: Source) -> list[Reference]:
    """Return the image URLs of a JSON-LD text in source order; text that is not JSON has none.

    Kinds: ``"ld+json"``, blank, the property (``"ld+json image"``, ``"ld+json contentUrl"``). ``@id`` is an
    identity that other nodes may name, so never a reference.
    """
    strings = image_strings(parse(source))
    found = {string.start: reference(string, f"ld+json {name}") for string, name in strings if string.value}
    return [found[start] for start in sorted(found)]


def image_strings(document: Node) -> Iterator[tuple[JsonString, str]]:
    """Yield strings with the property that holds them; one below two image properties comes twice."""
    pending = [document]  # not recursion: a text may nest deeper than Python may call
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            pending += node.values()
            if "ImageObject" in types(node):
                yield from addresses(node)
            for name in node:
                if local_name(name) in PROPERTIES:
                    for item in as_list(node[name]):
                        if isinstance(item, JsonString):
                            yield item, local_name(name)
                        elif isinstance(item, dict) and not types(item):  # one with a type is seen as a node itself
                            yield from addresses(item)


def addresses(node: dict[str, Node]) -> Iterator[tuple[JsonString, str]]:
    """Yield the addresses of an ``ImageObject`` with their property."""
    for name, value in node.items():
        if local_name(name) in _ADDRESSES:
            yield from ((item, local_name(name)) for item in as_list(value) if isinstance(item, JsonString))


def types(node: dict[str, Node]) -> list[str]:
    """Return the types of a node, without their vocabulary."""
    return [local_name(item.value) for item in as_list(node.get("@type")) if isinstance(item, JsonString)]


def as_list(value: Node) -> list[Node]:
    """Return the values of a property: JSON-LD writes one without an array."""
    return value if isinstance(value, list) else [value]


def local_name(name: str) -> str:
    """Return a term without its vocabulary: ``schema:image`` and ``https://schema.org/image`` are ``image``."""
    for vocabulary in ("schema:", "https://schema.org/", "http://schema.org/"):
        if name.startswith(vocabulary):
            return name.removeprefix(vocabulary)
    return name


def find_web_manifest(source: Source) -> list[Reference]:
    """Return ``icons``, ``screenshots`` and the icons of ``shortcuts`` in source order; text that is not JSON has none.

    Kinds: ``"manifest icons"``, ``"manifest screenshots"``, ``"manifest shortcuts"``.
    """
    manifest = parse(source)
    images = [(image, f"manifest {member}") for member in ("icons", "screenshots") for image in items(manifest, member)]
    for shortcut in items(manifest, "shortcuts"):
        images += [(image, "manifest shortcuts") for image in items(shortcut, "icons")]
    strings = [(image.get("src"), kind) for image, kind in images if isinstance(image, dict)]
    found = [reference(string, kind) for string, kind in strings if isinstance(string, JsonString) and string.value]
    return sorted(found, key=lambda reference: reference.start)


def items(node: Node, name: str) -> list[Node]:
    """Return the array that a member of an object is, empty where it is anything else."""
    value = node.get(name) if isinstance(node, dict) else None
    return value if isinstance(value, list) else []
