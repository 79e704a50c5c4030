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


def without_options(find: Callable[[Source], list[Reference]]) -> Finder:
    """Adapt a finder without options."""
    return lambda source, _optional, _extra: find(source)


def find_xml(source: Source, optional: Collection[str], extra: Extra) -> list[Reference]:
    """Read XML of unknown kind, which may be a feed or a sitemap."""
    return sorted(
        [*feeds.find_feed(source, optional, extra), *feeds.find_sitemap(source)], key=lambda found: found.start
    )


FINDERS: dict[str, Finder] = {
    "text/html": html.find,
    "application/xhtml+xml": html.find,
    "text/css": without_options(css.find),
    "text/markdown": markdown.find,
    "application/rss+xml": feeds.find_feed,
    "application/atom+xml": feeds.find_feed,
    "application/rdf+xml": feeds.find_feed,
    "application/xml": find_xml,
    "text/xml": find_xml,
    "application/ld+json": without_options(json.find_json_ld),
    "application/manifest+json": without_options(json.find_web_manifest),
}


def finder_of(media_type: str) -> Finder | None:
    """Return what reads a media type, None for one that has no references."""
    return FINDERS.get(essence(media_type))


def essence(media_type: str) -> str:
    """Return a media type without its parameters."""
    return media_type.partition(";")[0].strip().lower()


OPTIONAL_KINDS = frozenset(OPTIONAL) | {JSON_LD} | markdown.OPTIONAL
