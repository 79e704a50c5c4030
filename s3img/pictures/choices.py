"""Decide what to do with each reference of a page.

A survey and a later rewriting ask the same questions of the same page and must get the same answers: what is uploaded
is what the page will point at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from s3img.assets import Asset, LinkTarget, TargetKind
from s3img.keys import variant_digest
from s3img.pictures import directives
from s3img.pictures.directives import ImageDirectives
from s3img.pictures.markup import Markup
from s3img.pictures.variants import VariantSet, unchanged
from s3img.rewrite import Reference, Tag
from s3img.rewrite import srcset as image_candidates

if TYPE_CHECKING:
    from s3img.config import Config
    from s3img.pictures.protocols import ImageLibrary, ReferenceFault, ReferenceResolver

IMAGE_URL = re.compile(r"\.(?:jpe?g|jfif|a?png|gif|webp|avif|svg|bmp|tiff?|ico)(?:[?#]|\s*\Z)", re.IGNORECASE)
"""A link that leads to an image, by its suffix: links to pages are far too many to be looked up."""

_LAZY = re.compile(
    r"(?:data-)?(?:\w+-)?(?:lazy|ll|original|echo|real|actual|defer|async)(?:[-_]?(?:src|srcset|url|image|img))?"
)
"""Attributes in which libraries for lazy loading expect the URL of an image."""

_WHITE_SPACE = " \t\n\f\r"
_CONTENT_WIDTH = 200
"""An image at least this wide (css px) is content; the logos and icons before the first such one load at once too."""

Report = Callable[[Reference, str, str], None]

FindObject = Callable[[str], "Asset | ReferenceFault | None"]
"""Find the image that a URL of the site's own bucket leads to; None for any other URL."""
"""Report (reference, code, message)."""


class Link(msgspec.Struct, frozen=True):
    """A reference to an asset's own bytes."""

    asset: Asset
    target: LinkTarget


class Image(msgspec.Struct, frozen=True):
    """An ``<img>``, or a ``<source>`` of a ``<picture>``, with all its variants."""

    tag: Tag
    asset: Asset
    target: LinkTarget
    variants: VariantSet
    directives: ImageDirectives
    author: Mapping[str, str | None] = {}
    eager: bool = False
    links: Mapping[str, Link] = {}  # the author's own URLs
    markup: Markup = "picture"  # how much the page's style sheets allow

    @property
    def placeholder(self) -> str:
        """Return the digest (hex) that identifies the image's placeholder, "" where none is wanted.

        A picture with transparent px gets none: the placeholder would stay visible through it.
        """
        if self.directives.placeholder == "none" or self.asset.facts.alpha or not self.variants.formats:
            return ""
        what = f"{self.directives.placeholder} {self.directives.request.transform}"
        return variant_digest(self.asset.digest, what, inputs=(asset.digest for _, asset in self.variants.inputs))

    @property
    def digests(self) -> frozenset[str]:
        """Return the digests of all files that its variants are made of: the image itself, and those of layers."""
        return frozenset([self.asset.digest, *(asset.digest for _, asset in self.variants.inputs)])


class Strip(msgspec.Struct, frozen=True):
    """An image to be left alone, from which our attributes are taken off."""

    tag: Tag


Choice = Link | Image | Strip


class PageReader:
    """Decide for the references of one page, in document order."""

    def __init__(
        self,
        document: str,
        resolver: ReferenceResolver,
        library: ImageLibrary,
        config: Config,
        report: Report,
        *,
        is_html: bool,
        dimensions_only: bool = False,
        find_object: FindObject = lambda _: None,
    ) -> None:
        self._document = document
        self._resolver = resolver
        self._library = library
        self._config = config
        self._report = report
        self._is_html = is_html
        self._dimensions_only = dimensions_only
        self._find_object = find_object
        self._in_header = True
        self._decided = -1
        self._has_sources = False  # of an earlier run, before the next image
        self.kept: set[str] = set()  # paths of images that the page keeps pointing at

    def choose(self, reference: Reference) -> Choice | None:
        """Return what to do, or None to leave the reference as it is."""
        tag = reference.tag
        if tag is not None and tag.off:
            self.kept.add(self._target(reference).path)
            return None
        if not self._is_html or tag is None:
            return self._find(reference)
        if tag.name == "img" and not tag.noscript:
            if self._has_sources and tag.picture:  # an earlier run is done with it, and left something else undone
                self.kept.add(self._target(reference).path)
                self._decided = tag.start
            self._has_sources = False
            return self._image(reference, tag)
        if reference.kind == "source srcset" and tag.picture and self._target(reference).kind is TargetKind.OWN:
            self._has_sources = self._has_sources or all(one.name != "media" for one in tag.attributes)
        found = self._find(reference)
        if found is None:
            return None
        return self._source(reference, tag, found) if reference.kind == "source srcset" and tag.picture else found

    def _find(self, reference: Reference) -> Link | None:
        """Resolve a reference to an image; report what is missing."""
        # Links to pages outnumber links to images by far, so the suffix decides which are looked up.
        may_be_page = reference.kind == "a href"
        if may_be_page and not IMAGE_URL.search(reference.url):
            return None
        target = self._target(reference)
        if target.kind is TargetKind.MISSING and is_placeholder(reference.url):
            return None
        found = self._library.find(target)
        if isinstance(found, Asset):
            return Link(found, target)
        # A link to a missing image may be a page that the server makes: that is not a fault of the site.
        if found and not (may_be_page and found.code == "missing"):
            self._report(reference, found.code, found.message)
        return None

    def _target(self, reference: Reference) -> LinkTarget:
        return self._resolver.resolve(reference.url, document=self._document, base=reference.base)

    def _image(self, reference: Reference, tag: Tag) -> Choice | None:
        """Decide for a whole ``<img>`` at its first reference; its others are part of that."""
        author = {attribute.name: attribute.value for attribute in tag.attributes}
        if is_lazy(author):
            return self._find(reference)
        # ``src`` and each candidate of ``srcset`` are references of one tag, which is changed as a whole.
        if tag.start == self._decided:
            return None
        self._decided = tag.start
        wanted = directives.read(author, self._config)
        for fault in wanted.faults:
            self._report(reference, "bad-attribute", f"{fault}.")
        if wanted.mode == "off":
            self.kept.add(self._target(reference).path)
            return Strip(tag)
        candidates = image_candidates.parse(author.get("srcset") or "")
        urls = [source_url(author), *(candidate.url for candidate in candidates)]
        found = {url: self._find(msgspec.structs.replace(reference, url=url)) for url in dict.fromkeys(urls) if url}
        links = {url: link for url, link in found.items() if link}
        main = links.get(urls[0]) or next(iter(links.values()), None)
        if main is None and not candidates and not tag.picture:
            main = self._object(reference, urls[0])
        if main is None:
            return None
        # Which rules apply depends on the image's path, which is known only now.
        if self._config.rules:
            wanted = directives.read(author, self._config, path=main.asset.path)
            if wanted.mode == "off":
                self.kept.update(link.asset.path for link in links.values())
                return Strip(tag)
        chosen = self._chosen(reference, tag, main, wanted, links)
        if chosen and (wanted.request.width or chosen.variants.width) >= _CONTENT_WIDTH:
            self._in_header = False
        return chosen

    def _chosen(
        self, reference: Reference, tag: Tag, main: Link, wanted: ImageDirectives, links: Mapping[str, Link]
    ) -> Image | None:
        """Return an image with its variants; None, and its files stay, where a layer of its transform is missing."""
        has_variants = wanted.mode == "picture" and not self._dimensions_only
        variants = self._library.variants(main.asset, wanted.request) if has_variants else unchanged(main.asset)
        if not isinstance(variants, VariantSet):
            self._report(reference, variants.code, variants.message)
            self.kept.update(link.asset.path for link in (main, *links.values()))
            return None
        author = {attribute.name: attribute.value for attribute in tag.attributes}
        eager = self._in_header and tag.name == "img"
        return Image(tag, main.asset, main.target, variants, wanted, author, eager, links)

    def _object(self, reference: Reference, url: str) -> Link | None:
        """Return the image of the site's own bucket that an author names by its public URL."""
        found = self._find_object(url)
        if isinstance(found, Asset):
            # Only the form of the site's own URLs counts: where the style sheet is, seen from this page.
            return Link(found, self._resolver.resolve(found.path, document=self._document, base=reference.base))
        if found:
            self._report(reference, found.code, found.message)
        return None

    def _source(self, reference: Reference, tag: Tag, found: Link) -> Choice | None:
        """Extend a source that names one picture of any type; others are the author's own choice of files."""
        author = {attribute.name: attribute.value for attribute in tag.attributes}
        if self._dimensions_only or "type" in author or len(image_candidates.parse(author.get("srcset", ""))) != 1:
            return found
        # The width of a source is that of the image while it is chosen (HTML, "dimension attribute source").
        wanted = directives.read({"width": author.get("width")}, self._config, path=found.asset.path)
        if wanted.mode == "off":
            self.kept.add(found.asset.path)
            return Strip(tag)
        if wanted.mode == "url":
            return found
        return self._chosen(reference, tag, found, wanted, {})


def source_url(author: Mapping[str, str | None]) -> str:
    """Return the URL in an image's ``src`` without the white space around it, "" without one."""
    return (author.get("src") or "").strip(_WHITE_SPACE)


def is_lazy(author: Mapping[str, str | None]) -> bool:
    """Tell whether a script will put the real URL into an ``<img>``: a ``srcset`` of ours would win over it.

    Libraries name the attribute that has it ``data-src``, ``data-lazy-src``, ``data-original``, ``data-echo`` …; others
    (``lazyload``) show what ``srcset`` names until they take it off.
    """
    if not {"data-src", "data-srcset", "lazyload"}.isdisjoint(author):
        return True
    return any(_LAZY.fullmatch(name) and IMAGE_URL.search(value or "") for name, value in author.items())


def is_placeholder(url: str) -> bool:
    """Tell whether a template engine or a script has yet to fill in a URL."""
    return any(mark in url for mark in ("{{", "<%", "${", "{%"))
