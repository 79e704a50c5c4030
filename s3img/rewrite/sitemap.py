"""Images of sitemaps (https://developers.google.com/search/docs/crawling-indexing/sitemaps/image-sitemaps)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.rewrite import xml_spans

if TYPE_CHECKING:
    from s3img.rewrite.reference import Reference
    from s3img.rewrite.source import Source

_LOCATIONS = frozenset(("image:loc",))


def find(source: Source) -> list[Reference]:
    """Return the ``image:loc`` of every ``image:image`` in source order, of kind ``"image:loc"``."""
    if b"image" not in source.code:  # most sitemaps have no images, and some have 50,000 pages
        return []
    return [
        reference
        for element in xml_spans.elements(source, _LOCATIONS)
        if element.parent == "image:image"
        for reference in xml_spans.address(source, element, "image:loc")
    ]
