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


PROPERTIES = frozenset(
    ("image", "thumbnail", "thumbnailUrl", "logo", "primaryImageOfPage", "photo", "screenshot"),
)
"""The schema.org properties whose value is an image: its URL, an ``ImageObject``, or an array of these."""

_ADDRESSES = ("url", "contentUrl")


def find_json_ld(source: Source) -> list[Reference]:
    """Return the image URLs of a JSON-LD text in source order; text that is no JSON has none.

    Kinds: ``"ld+json"``, blank, the property (``"ld+json image"``, ``"ld+json contentUrl"``). ``@id`` is an
    identity that other nodes may name, hence never a reference.
    """
    found = {string.start: reference(string, f"ld+json {name}") for string, name in _images(source) if string.value}
    return [found[start] for start in sorted(found)]


def _images(source: Source) -> Iterator[tuple[JsonString, str]]:
    """Yield strings with the property that holds them; one below two image properties comes twice."""
    pending = [parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            pending += node.values()
            yield from _own_addresses(node)
            for name in node:
                if _local(name) in PROPERTIES:
                    yield from _values(node[name], _local(name))


def _own_addresses(node: dict[str, Node]) -> Iterator[tuple[JsonString, str]]:
    if "ImageObject" in _types(node):
        yield from _addresses(node)


def _values(value: Node, name: str) -> Iterator[tuple[JsonString, str]]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, JsonString):
            yield item, name
        elif isinstance(item, dict) and not _types(item):
            yield from _addresses(item)


def _addresses(node: dict[str, Node]) -> Iterator[tuple[JsonString, str]]:
    for name, value in node.items():
        if _local(name) in _ADDRESSES:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, JsonString):
                    yield item, _local(name)


def _types(node: dict[str, Node]) -> list[str]:
    value = node.get("@type")
    return [
        _local(item.value) for item in (value if isinstance(value, list) else [value]) if isinstance(item, JsonString)
    ]


def _local(name: str) -> str:
    """Return a term without its vocabulary: ``schema:image`` and ``https://schema.org/image`` are ``image``."""
    for vocabulary in ("schema:", "https://schema.org/", "http://schema.org/"):
        if name.startswith(vocabulary):
            return name.removeprefix(vocabulary)
    return name


def find_web_manifest(source: Source) -> list[Reference]:
    """Return ``icons``, ``screenshots`` and the icons of ``shortcuts`` in source order; text that is no JSON has none.

    Kinds: ``"manifest icons"``, ``"manifest screenshots"``, ``"manifest shortcuts"``.
    """
    return sorted(_references(parse(source)), key=lambda reference: reference.start)


def _references(manifest: Node) -> Iterator[Reference]:
    for member in ("icons", "screenshots"):
        yield from _sources(_get(manifest, member), f"manifest {member}")
    for shortcut in _items(_get(manifest, "shortcuts")):
        yield from _sources(_get(shortcut, "icons"), "manifest shortcuts")


def _sources(images: Node, kind: str) -> Iterator[Reference]:
    for image in _items(images):
        source = _get(image, "src")
        if isinstance(source, JsonString) and source.value:
            yield reference(source, kind)


def _get(node: Node, name: str) -> Node:
    return node.get(name) if isinstance(node, dict) else None


def _items(node: Node) -> list[Node]:
    return node if isinstance(node, list) else []
