"""Images in JSON-LD (``application/ld+json``, schema.org), as files and as the text of a ``<script>``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.rewrite import json_spans
from s3img.rewrite.json_spans import JsonString, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.rewrite.reference import Reference
    from s3img.rewrite.source import Source

PROPERTIES = frozenset(
    ("image", "thumbnail", "thumbnailUrl", "logo", "primaryImageOfPage", "photo", "screenshot"),
)
"""The schema.org properties whose value is an image: its URL, an ``ImageObject``, or an array of these."""

_ADDRESSES = ("url", "contentUrl")


def find(source: Source) -> list[Reference]:
    """Return the image URLs of a JSON-LD text in source order; text that is no JSON has none.

    Kinds: ``"ld+json"``, blank, the property (``"ld+json image"``, ``"ld+json contentUrl"``). ``@id`` is an
    identity that other nodes may name, hence never a reference.
    """
    found = {
        string.start: json_spans.reference(string, f"ld+json {name}")
        for string, name in _images(source)
        if string.value
    }
    return [found[start] for start in sorted(found)]


def _images(source: Source) -> Iterator[tuple[JsonString, str]]:
    """Yield strings with the property that holds them; one below two image properties comes twice."""
    pending = [json_spans.parse(source)]
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
