"""From a choice and the variants that exist to the markup: which candidates an image gets, and what is written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from s3img.assets import OWN_FOLDER, Asset, LinkTarget
from s3img.pictures.choices import Choice, Image, Link, Strip
from s3img.pictures.directives import NAMES
from s3img.pictures.markup import ImageCandidate, Picture, attributes, dimensions, loading, select, surroundings
from s3img.pictures.placeholders import identity
from s3img.pictures.variants import Variant, original_key
from s3img.rewrite import TagEdit
from s3img.rewrite import srcset as image_candidates
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from s3img.config import Config
    from s3img.keys import KeyTemplate

_TAIL = re.compile(r"[?#].*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Placement:
    """Say where objects are, and what their URLs look like; ``base_url`` is empty inside a site."""

    template: KeyTemplate
    base_url: str = ""
    originals: dict[str, str] = field(default_factory=dict, compare=False)  # keys that were worked out, by path

    def url(self, key: str, target: LinkTarget) -> str:
        """Return the URL of a key as a reference's author would have written it."""
        return object_url(self.base_url, key) if self.base_url else target.url(f"{OWN_FOLDER}/{key}")

    def keys_of(self, urls: Iterable[str]) -> set[str]:
        """Return the keys that URLs of the bucket lead to."""
        paths = (_TAIL.sub("", url.removeprefix(f"{self.base_url}/")) for url in urls)
        return {unquote(path) for path in paths if path}

    def original(self, asset: Asset) -> str:
        """Return the key of an asset's own bytes, "" where they stay at their place in the site."""
        if not self.base_url:
            return ""
        if asset.path not in self.originals:
            self.originals[asset.path] = original_key(asset, self.template)
        return self.originals[asset.path]


@dataclass(slots=True)
class RenderInventory:
    """Hold which variants exist (bytes by identity), and what failed (digests of sources, keys of objects).

    ``unreachable`` are the digests of images that are neither on disk nor, under the key they need, in the bucket;
    ``placeholders`` the CSS of placeholders by identity.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    bad_sources: set[str] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)
    failed_keys: set[str] = field(default_factory=set)
    placeholders: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """Hold the candidates that an image is given, and the objects that must exist for them."""

    sources: Mapping[str, list[ImageCandidate]]
    image: list[ImageCandidate]
    variants: list[Variant]
    needs_original: bool


class Editor:
    """Write choices as markup."""

    def __init__(self, config: Config, placement: Placement, inventory: RenderInventory) -> None:
        self._config = config
        self._placement = placement
        self._inventory = inventory
        self._offers: dict[int, Offer] = {}  # by choice; a survey keeps its choices

    def keys(self, choice: Choice) -> tuple[list[Variant], list[Asset]]:
        """Return the variants and the originals that have to be in the bucket for a choice."""
        if isinstance(choice, Strip):
            return [], []
        if isinstance(choice, Link):
            return [], [choice.asset]
        offer = self._offer(choice)
        if choice.directives.mode != "picture":
            return [], [link.asset for link in choice.links.values()]
        needs_original = offer.needs_original or self._config.remove_local
        return offer.variants, [choice.asset] if needs_original else []

    def possible_keys(self, choice: Choice) -> list[str]:
        """Return every key that a choice may come to point at, whatever its renderings turn out to be."""
        if isinstance(choice, Strip):
            return []
        links = choice.links.values() if isinstance(choice, Image) else ()
        variants = choice.variants.variants if isinstance(choice, Image) else ()
        originals = [choice.asset, *(link.asset for link in links)]
        return [*(variant.key for variant in variants), *map(self._placement.original, originals)]

    def is_possible(self, choice: Choice) -> bool:
        """Tell whether all that a choice points at exists."""
        variants, originals = self.keys(choice)
        if isinstance(choice, Image) and choice.asset.digest in self._inventory.bad_sources:
            return False
        if not self._inventory.unreachable.isdisjoint(asset.digest for asset in originals):
            return False
        keys = [variant.key for variant in variants]
        return self._inventory.failed_keys.isdisjoint([*keys, *map(self._placement.original, originals)])

    def edit(self, choice: Choice) -> TagEdit | str | None:
        """Return what to write; None when nothing changes."""
        if isinstance(choice, Link):
            return self._link(choice) if self._placement.base_url else None
        if isinstance(choice, Strip):
            return _strip(choice)
        if choice.tag.name == "source":
            return self._source(choice)
        return self._image(choice)

    def _link(self, link: Link) -> str:
        return self._placement.url(self._placement.original(link.asset), link.target) + link.target.tail

    def _offer(self, choice: Image) -> Offer:
        if id(choice) not in self._offers:
            self._offers[id(choice)] = self._make_offer(choice)
        return self._offers[id(choice)]

    def _make_offer(self, choice: Image) -> Offer:
        made: dict[str, list[ImageCandidate]] = {}
        by_url: dict[str, Variant] = {}
        for name, variants in choice.variants.formats.items():
            made[name] = []
            for variant in variants:
                if (size := self._inventory.sizes.get(variant.identity)) is not None:
                    url = self._placement.url(variant.key, choice.target)
                    made[name].append(ImageCandidate(url, variant.width, size, is_variant=True))
                    by_url[url] = variant
        sources, image = select(choice.variants, made, self._original(choice))
        used = [by_url[c.url] for candidates in (*sources.values(), image) for c in candidates if c.url in by_url]
        return Offer(sources, image, used, needs_original=not all(c.is_variant for c in image))

    def _original(self, choice: Image) -> ImageCandidate | None:
        """Return the asset itself as a candidate, None when the author asked for something made from it."""
        if choice.variants.formats and choice.directives.request.transform.steps:
            return None
        key = self._placement.original(choice.asset)
        url = self._placement.url(key, choice.target) if key else choice.target.url(choice.asset.path)
        return ImageCandidate(url, choice.asset.facts.width, choice.asset.size)

    def _picture(self, choice: Image) -> Picture:
        offer = self._offer(choice)
        directives = choice.directives
        return Picture(
            sources=offer.sources,
            image=offer.image,
            width=choice.variants.width,
            height=choice.variants.height,
            layout_width=directives.request.width,
            layout=directives.request.layout,
            sizes=self._config.sizes,
            eager=choice.eager,
            priority=directives.priority,
            nested=choice.tag.picture,
        )

    def _image(self, choice: Image) -> TagEdit | None:
        picture = self._picture(choice)
        if choice.directives.mode != "picture":
            return self._authors_image(choice, picture)
        found = attributes(picture, choice.author)
        if self._keeps_src(picture):
            del found["src"]
        else:
            found["src"] = _with_tail(found["src"] or "", choice.target.tail)
        if placeholder := self._inventory.placeholders.get(identity(choice)):
            found["style"] = ";".join(filter(None, [(choice.author.get("style") or "").rstrip("; "), placeholder]))
        return _edit(choice, found, surroundings(picture, choice.author))

    def _keeps_src(self, picture: Picture) -> bool:
        """Tell whether ``src`` already leads to the right file, in the author's own spelling."""
        return not self._placement.base_url and not picture.image[-1].is_variant

    def _authors_image(self, choice: Image, picture: Picture) -> TagEdit | None:
        """Keep the author's candidates: their URLs change, and the image gets its dimensions."""
        found: dict[str, str | None] = {}
        if self._placement.base_url:
            urls = {url: self._link(link) for url, link in choice.links.items()}
            found = _with_urls(choice.author, urls)
        if choice.directives.mode == "url" or picture.nested:
            return _edit(choice, found, ("", ""))
        found |= loading(choice.author, eager=picture.eager, priority=picture.priority)
        if any(candidate.width for candidate in image_candidates.parse(choice.author.get("srcset") or "")):
            return _edit(choice, found, ("", ""))  # as wide as its ``sizes``, not as any of its files
        bare = Picture({}, [], picture.width, picture.height, 0)
        return _edit(choice, found | dimensions(bare, choice.author), surroundings(bare, choice.author))

    def _source(self, choice: Image) -> TagEdit | None:
        """Offer the same picture in newer types before the author's own source, under the same condition."""
        picture = self._picture(choice)
        media = choice.author.get("media")
        before, _ = surroundings(picture, choice.author, media=media or "")
        found = attributes(picture, {"width": "", "height": "", "loading": "", **choice.author})
        found.setdefault("srcset", found["src"])
        del found["src"]
        return _edit(choice, found, (before, ""))


def _strip(choice: Strip) -> TagEdit | None:
    found: dict[str, str | None] = {name: None for name in NAMES if choice.tag.get(name) is not None}
    return TagEdit(found) if found else None


def _edit(choice: Image, found: dict[str, str | None], around: tuple[str, str]) -> TagEdit | None:
    found |= {name: None for name in NAMES if name in choice.author}
    changed = {name: value for name, value in found.items() if choice.author.get(name, None) != value}
    return TagEdit(changed, *around) if changed or any(around) else None


def _with_tail(url: str, tail: str) -> str:
    """Put an author's query and fragment last: themes select images by how ``src`` ends."""
    return url if url.endswith(tail) else url + tail


def _with_urls(author: Mapping[str, str | None], urls: Mapping[str, str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    source = (author.get("src") or "").strip(" \t\n\f\r")
    if source in urls:
        found["src"] = urls[source]
    if author.get("srcset"):
        found["srcset"] = _with_candidates(author["srcset"] or "", urls)
    return found


def _with_candidates(value: str, urls: Mapping[str, str]) -> str:
    """Put new URLs into a ``srcset``, and leave descriptors and spacing alone."""
    parts, at = [], 0
    for span in image_candidates.spans(value):
        parts += [value[at : span.start], urls.get(value[span.start : span.end], value[span.start : span.end])]
        at = span.end
    return "".join([*parts, value[at:]])
