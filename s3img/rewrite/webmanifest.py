"""Images of a web application manifest (W3C Web Application Manifest, sections 1.12 and 2: image resources)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.rewrite import json_spans
from s3img.rewrite.json_spans import JsonString, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.rewrite.reference import Reference
    from s3img.rewrite.source import Source


def find(source: Source) -> list[Reference]:
    """Return ``icons``, ``screenshots`` and the icons of ``shortcuts`` in source order; text that is no JSON has none.

    Kinds: ``"manifest icons"``, ``"manifest screenshots"``, ``"manifest shortcuts"``.
    """
    return sorted(_references(json_spans.parse(source)), key=lambda reference: reference.start)


def _references(manifest: Node) -> Iterator[Reference]:
    for member in ("icons", "screenshots"):
        yield from _sources(_get(manifest, member), f"manifest {member}")
    for shortcut in _items(_get(manifest, "shortcuts")):
        yield from _sources(_get(shortcut, "icons"), "manifest shortcuts")


def _sources(images: Node, kind: str) -> Iterator[Reference]:
    for image in _items(images):
        source = _get(image, "src")
        if isinstance(source, JsonString) and source.value:
            yield json_spans.reference(source, kind)


def _get(node: Node, name: str) -> Node:
    return node.get(name) if isinstance(node, dict) else None


def _items(node: Node) -> list[Node]:
    return node if isinstance(node, list) else []
