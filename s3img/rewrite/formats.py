"""Which finder reads which media type; a new format is one more row."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from s3img.rewrite import css, html, json, markdown
from s3img.rewrite.html.elements import JSON_LD, OPTIONAL
from s3img.rewrite.reference import Extra, Reference
from s3img.rewrite.source import Source
from s3img.rewrite.xml import feeds

Finder: TypeAlias = Callable[[Source, Collection[str], Extra], list[Reference]]
"""Returns the references of a document in its order, given the optional kinds asked for and the extra attributes."""


def _plain(find: Callable[[Source], list[Reference]]) -> Finder:
    """Adapt a finder without options."""
    return lambda source, _optional, _extra: find(source)


def _xml(source: Source, optional: Collection[str], extra: Extra) -> list[Reference]:
    """Read XML of unknown kind, which may be a feed or a sitemap."""
    return sorted(
        [*feeds.find_feed(source, optional, extra), *feeds.find_sitemap(source)], key=lambda found: found.start
    )


FINDERS: dict[str, Finder] = {
    "text/html": html.find,
    "application/xhtml+xml": html.find,
    "text/css": _plain(css.find),
    "text/markdown": markdown.find,
    "application/rss+xml": feeds.find_feed,
    "application/atom+xml": feeds.find_feed,
    "application/rdf+xml": feeds.find_feed,
    "application/xml": _xml,
    "text/xml": _xml,
    "application/ld+json": _plain(json.find_json_ld),
    "application/manifest+json": _plain(json.find_web_manifest),
}
OPTIONAL_KINDS = frozenset(OPTIONAL) | {JSON_LD} | markdown.OPTIONAL
