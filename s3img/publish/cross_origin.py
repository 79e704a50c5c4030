"""What browsers treat otherwise once an image is on another origin than its page.

Masks, shapes and filters of CSS, and elements with ``crossorigin``, load an image with CORS (Fetch standard 3.2). From
a bucket without such rules nothing is shown, and a masked icon is gone. ``download`` is respected for the page's own
origin alone (HTML 4.6.5). Such references keep the local file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3img.rewrite import Reference, Tag

_WINDOW = 2_000
"""Bytes before a URL in which the name of its property is looked for."""

_PROPERTY = re.compile(rb"([-\w]+)\s*+(?:/\*(?:[^*]|\*(?!/))*\*/\s*)?:[^;{}]*\Z")
_QUOTE = re.compile(rb"&(?:quot|apos|#39|#34|#x27|#x22);", re.IGNORECASE)
_WITH_CORS = re.compile(rb"(?:-webkit-)?(?:mask|clip-path|shape-outside|filter|backdrop-filter)(?!\w)", re.IGNORECASE)


def needs_own_origin(reference: Reference, data: bytes) -> bool:
    """Tell whether a reference of the page ``data`` works, or works as it did, from the page's own origin alone."""
    return is_loaded_with_cors(reference, data) if reference.kind == "css url" else asks_for_own_origin(reference.tag)


def asks_for_own_origin(tag: Tag | None) -> bool:
    """Tell whether an element is one that another origin's image would change: ``<a download>``, or ``crossorigin``."""
    return tag is not None and tag.get("download" if tag.name == "a" else "crossorigin") is not None


def movable(found: Sequence[Reference], data: bytes) -> list[Reference]:
    """Return the references of a page that work from any origin, in their order."""
    kept: list[Reference] = []
    is_bound = False  # in a <picture> whose <img> has crossorigin, which counts for its sources before it, too
    for reference in reversed(found):
        tag = reference.tag
        if tag is None or not tag.picture:
            is_bound = False
        elif tag.name == "img":
            is_bound = tag.get("crossorigin") is not None
        if not (is_bound or needs_own_origin(reference, data)):
            kept.append(reference)
    return kept[::-1]


def is_loaded_with_cors(reference: Reference, data: bytes) -> bool:
    """Tell whether a URL of CSS is that of a mask, a shape or a filter (CSS Masking 1, 6; Shapes 1, 4.1; Filters 1, 9).

    What a custom property with a drawing (SVG) is used for can't be seen here; most often it is a mask.
    """
    before = _QUOTE.sub(b"'", data[max(0, reference.start - _WINDOW) : reference.start])
    found = _PROPERTY.search(before)
    if found is None:
        return False
    if found[1].startswith(b"--"):
        return ".svg" in reference.url.lower()
    return _WITH_CORS.match(found[1]) is not None
