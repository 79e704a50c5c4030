"""Which finder reads which media type; a new format is one more row."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from s3img.rewrite import css, feeds, html, jsonld, markdown, sitemap, webmanifest
from s3img.rewrite.html_elements import JSON_LD, OPTIONAL
from s3img.rewrite.reference import Extra, Reference
from s3img.rewrite.source import Source

Finder: TypeAlias = Callable[[Source, Collection[str], Extra], list[Reference]]
"""Returns the references of a document in its order, given the optional kinds asked for and the extra attributes."""


def _plain(find: Callable[[Source], list[Reference]]) -> Finder:
    """Adapt a finder without options."""
    return lambda source, _optional, _extra: find(source)


def _xml(source: Source, optional: Collection[str], extra: Extra) -> list[Reference]:
    """Read XML of unknown kind, which may be a feed or a sitemap."""
    return sorted([*feeds.find(source, optional, extra), *sitemap.find(source)], key=lambda found: found.start)


FINDERS: dict[str, Finder] = {
    "text/html": html.find,
    "application/xhtml+xml": html.find,
    "text/css": _plain(css.find),
    "text/markdown": markdown.find,
    "application/rss+xml": feeds.find,
    "application/atom+xml": feeds.find,
    "application/rdf+xml": feeds.find,
    "application/xml": _xml,
    "text/xml": _xml,
    "application/ld+json": _plain(jsonld.find),
    "application/manifest+json": _plain(webmanifest.find),
}
OPTIONAL_KINDS = frozenset(OPTIONAL) | {JSON_LD} | markdown.OPTIONAL
