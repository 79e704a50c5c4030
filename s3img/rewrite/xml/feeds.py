"""Images of RSS 2.0, RSS 1.0, Atom, Media RSS and podcast feeds, and those of the HTML inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.rewrite.reference import Extra, Reference
from s3img.rewrite.xml import embedded, spans

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from s3img.rewrite.source import Source
    from s3img.rewrite.xml.spans import XmlElement

_ROOTS = ("rss", "RDF", "feed")

_ATTRIBUTES = {
    "enclosure": "url",
    "media:content": "url",
    "media:thumbnail": "url",
    "itunes:image": "href",
    "link": "href",
}

_TEXTS = {"url": "image url", "logo": "feed logo", "icon": "feed icon"}

_RSS_HTML = frozenset(("description", "content:encoded"))

_ATOM_HTML = frozenset(("summary", "content"))

_WANTED = frozenset((*_ATTRIBUTES, *_TEXTS, *_RSS_HTML, *_ATOM_HTML))

_HTML_TYPES = ("html", "text/html", "xhtml")

_NOT_IMAGES = ("audio/", "video/", "text/")


def find_feed(source: Source, optional: Collection[str], extra: Extra) -> list[Reference]:
    """Return the image URLs of a feed in source order.

    Kinds: ``"enclosure url"``, ``"media:content url"``, ``"media:thumbnail url"``, ``"itunes:image href"``,
    ``"link href"`` (Atom, ``rel="enclosure"``), ``"image url"`` (RSS), ``"feed logo"``, ``"feed icon"``; those of HTML
    in ``description``, ``content:encoded``, ``summary`` and ``content`` are HTML's own. The first five have a ``tag``:
    its URL, ``type`` and ``length`` can be changed together.
    """
    found: list[Reference] = []
    if spans.root(source) not in _ROOTS:
        return found
    read = 0  # what is HTML is read once, whatever elements are in it
    for element in sorted(spans.elements(source, _WANTED), key=lambda element: element.tag.start):
        if element.tag.start < read:
            continue
        name, tag = element.name, element.tag
        if name in _RSS_HTML or (name in _ATOM_HTML and tag.get("type") in _HTML_TYPES):
            found += embedded.find(source, element, optional, extra)
            read = element.end
        elif name in _ATTRIBUTES and may_be_image(element):
            found += url_attributes(element, _ATTRIBUTES[name])
        elif name in _TEXTS and (name != "url" or element.parent == "image"):
            found += spans.address(source, element, _TEXTS[name])
    return found


def may_be_image(element: XmlElement) -> bool:
    """Tell images from podcasts and films by what the feed declares; without a declaration it may be one."""
    tag = element.tag
    if element.name == "link" and tag.get("rel") != "enclosure":
        return False
    return not (tag.get("type") or "").lower().startswith(_NOT_IMAGES) and tag.get("medium") in (None, "image")


def url_attributes(element: XmlElement, name: str) -> Iterator[Reference]:
    """Yield the attribute of an element that is a URL, if it has it."""
    for attribute in element.tag.attributes:
        if attribute.name == name:
            url, kind = attribute.value.strip(), f"{element.name} {name}"
            if url:
                yield Reference(attribute.start, attribute.end, url, kind, element.tag, None, spans.encode)


_LOCATIONS = frozenset(("image:loc",))


def find_sitemap(source: Source) -> list[Reference]:
    """Return the ``image:loc`` of every ``image:image`` in source order, of kind ``"image:loc"``."""
    if b"image" not in source.code:  # most sitemaps have no images, and some have 50,000 pages
        return []
    return [
        reference
        for element in spans.elements(source, _LOCATIONS)
        if element.parent == "image:image"
        for reference in spans.address(source, element, "image:loc")
    ]
