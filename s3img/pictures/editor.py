"""Turn choices into markup: which of the variants that exist an image is given, and what is written for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3img.pictures.choices import Choice, Image, Link, Strip, source_url
from s3img.pictures.directives import NAMES
from s3img.pictures.format_comparison import ImageCandidate, select
from s3img.pictures.markup import Markup, Picture, attributes, dimensions, loading, surroundings
from s3img.pictures.placement import InsideSite, Placement
from s3img.rewrite import TagEdit
from s3img.rewrite import srcset as image_candidates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from s3img.assets import Asset
    from s3img.config import Config
    from s3img.pictures.variants import Variant, VariantSet


_MOST_OFFERS = 4096


@dataclass(slots=True)
class RenderInventory:
    """Which variants exist (bytes by identity), and what failed (digests of sources, keys of objects).

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
    """The candidates that an image is given, and the objects that must exist for them; ``of`` is what they are of."""

    of: tuple[Asset, VariantSet]
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
        self._offers: dict[tuple[object, ...], Offer] = {}  # by ids of what an offer keeps alive: so they stay unique

    def needs(self, choice: Choice) -> tuple[list[Variant], list[Asset]]:
        """Return the variants and the images themselves that a choice points at."""
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
        return [*(variant.key for variant in variants), *self.original_keys(originals)]

    def original_keys(self, assets: Iterable[Asset]) -> dict[str, Asset]:
        """Return the images that have to be in the bucket, by key; inside a site they stay where they are."""
        place = self._placement
        return {} if isinstance(place, InsideSite) else {place.original_key(asset): asset for asset in assets}

    def is_possible(self, choice: Choice) -> bool:
        """Tell whether all that a choice points at exists."""
        inventory = self._inventory
        if not (inventory.bad_sources or inventory.unreachable or inventory.failed_keys):
            return True  # nearly always, and this is asked several times for each image
        variants, originals = self.needs(choice)
        if isinstance(choice, Image) and not self._inventory.bad_sources.isdisjoint(choice.digests):
            return False
        if not self._inventory.unreachable.isdisjoint(asset.digest for asset in originals):
            return False
        keys = [variant.key for variant in variants]
        return self._inventory.failed_keys.isdisjoint([*keys, *self.original_keys(originals)])

    def lacks_sources(self, choice: Choice) -> bool:
        """Tell whether renderings that were not smaller leave a choice with fewer sources than a survey assumed."""
        if not isinstance(choice, Image):
            return False
        assumed = [name for name in choice.variants.formats if name != choice.variants.own]
        return len(self._offer(choice).sources.keys() & assumed) < len(assumed)

    def edit(self, choice: Choice, markup: Markup | None = None) -> TagEdit | str | None:
        """Return what to write; None when nothing changes.

        ``markup`` replaces how much the page's style sheets allow, where the author did not decide it.
        """
        if isinstance(choice, Link):
            return self._link(choice)
        if isinstance(choice, Strip):
            ours = {name: None for name in NAMES if choice.tag.get(name) is not None}
            return TagEdit({**ours}) if ours else None
        wanted = choice.directives.markup
        how = wanted if wanted != "auto" else markup or choice.markup
        if how == "keep" and choice.variants.formats and choice.directives.request.transform.steps:
            # What the author asked for is another picture: its address alone is written.
            return _edit(choice, {"src": self._offer(choice).image[-1].url}, ("", ""))
        if how == "keep":
            return self._authors_image(choice)
        offer, directives = self._offer(choice), choice.directives
        picture = Picture(
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
            markup=how,
        )
        return self._source(choice, picture) if choice.tag.name == "source" else self._image(choice, picture)

    def _link(self, link: Link) -> str | None:
        """Return the new URL of an image's own file, None where the author's stays."""
        place = self._placement
        return None if isinstance(place, InsideSite) else place.url(place.original_key(link.asset)) + link.target.tail

    def _offer(self, choice: Image) -> Offer:
        """Return what an image is given; mostly worked out once, as planning, uploading and writing all ask for it."""
        place, is_changed = self._placement, bool(choice.directives.request.transform.steps)
        where = (choice.target.start, choice.target.front) if isinstance(place, InsideSite) else ()
        whose = (id(choice.asset), id(choice.variants), is_changed, *where)
        if whose in self._offers:
            return self._offers[whose]
        made: dict[str, list[ImageCandidate]] = {}
        by_url: dict[str, Variant] = {}
        for name, variants in choice.variants.formats.items():
            made[name] = []
            for variant in variants:
                if (size := self._inventory.sizes.get(variant.identity)) is not None:
                    key, target = variant.key, choice.target
                    url = place.url(key, target) if isinstance(place, InsideSite) else place.url(key)
                    made[name].append(ImageCandidate(url, variant.width, size, is_variant=True))
                    by_url[url] = variant
        original = None
        # Where the author asked for a transform, the untransformed image can't stand in for what it makes.
        if not (choice.variants.formats and is_changed):
            if isinstance(place, InsideSite):
                url = choice.target.url(choice.asset.path)
            else:
                url = place.url(place.original_key(choice.asset))
            original = ImageCandidate(url, choice.asset.facts.width, choice.asset.size)
        sources, image = select(choice.variants, made, original)
        used = [by_url[c.url] for candidates in (*sources.values(), image) for c in candidates if c.url in by_url]
        whole = (choice.asset, choice.variants)
        offer = Offer(whole, sources, image, used, needs_original=not all(c.is_variant for c in image))
        if len(self._offers) >= _MOST_OFFERS:
            self._offers.clear()
        self._offers[whose] = offer
        return offer

    def _image(self, choice: Image, picture: Picture) -> TagEdit | None:
        if choice.directives.mode != "picture":
            return self._authors_image(choice, picture)
        found = attributes(picture, choice.author)
        if isinstance(self._placement, InsideSite) and not picture.image[-1].is_variant:
            del found["src"]  # it leads to the right file already, in the author's own spelling
        else:
            url, tail = found["src"] or "", choice.target.tail
            found["src"] = url if url.endswith(tail) else url + tail  # themes select images by how src ends
        if placeholder := self._inventory.placeholders.get(choice.placeholder):
            found["style"] = ";".join(filter(None, [(choice.author.get("style") or "").rstrip("; "), placeholder]))
        return _edit(choice, found, surroundings(picture, choice.author))

    def _authors_image(self, choice: Image, picture: Picture | None = None) -> TagEdit | None:
        """Keep the author's candidates: their URLs change, and the image gets its dimensions as in ``picture``."""
        urls = {url: new for url, link in choice.links.items() if (new := self._link(link))}
        found = with_urls(choice.author, urls)
        if picture is None or choice.directives.mode == "url" or picture.nested:
            return _edit(choice, found, ("", ""))
        found |= loading(choice.author, eager=picture.eager, priority=picture.priority)
        if picture.markup != "bare" and (size := shown_size(choice)):
            found |= dimensions(Picture({}, [], *size, 0), choice.author)
        return _edit(choice, found, ("", ""))

    def _source(self, choice: Image, picture: Picture) -> TagEdit | None:
        """Offer the same picture in newer types before the author's own source, under the same condition."""
        # The width and the height of an image are those of the source that is chosen, if it has any of them.
        shared = {name: choice.author.get(name) or "" for name in ("media", "width", "height")}
        before, _ = surroundings(picture, choice.author, **shared)
        found = attributes(picture, {"width": "", "height": "", "loading": "", **choice.author})
        found.setdefault("srcset", found["src"])
        del found["src"]
        return _edit(choice, found, (before, ""))


def shown_size(choice: Image) -> tuple[int, int] | None:
    """Return the size in px at which browsers show an image whose author chose its files by density.

    None where it isn't known, differs from file to file, or comes from ``sizes`` (candidates by width).
    """
    found: set[tuple[int, int]] = set()
    candidates = image_candidates.parse(choice.author.get("srcset") or "")
    # ``src`` counts only where no candidate has its density, 1 (HTML, "update the source set").
    by_density = {candidate.density or 1.0: candidate.url for candidate in reversed(candidates)}
    for density, url in ({1.0: source_url(choice.author)} | by_density).items():
        if (url not in choice.links and density == 1.0) or not density:
            return None
        if url in choice.links:
            facts = choice.links[url].asset.facts
            found.add((round(facts.width / density), round(facts.height / density)))
    if main := choice.links.get(source_url(choice.author)):  # of another shape: a script shows one instead of the other
        width, height = main.asset.facts.width, main.asset.facts.height
        if any(abs(w * height - h * width) > max(width, height, w, h) for w, h in found):
            return None
    is_same = len({width for width, _ in found}) == 1 and len({height for _, height in found}) == 1
    return found.pop() if is_same and not any(candidate.width for candidate in candidates) else None


def _edit(choice: Image, found: dict[str, str | None], around: tuple[str, str]) -> TagEdit | None:
    found |= {name: None for name in NAMES if name in choice.author}
    changed = {name: value for name, value in found.items() if choice.author.get(name, None) != value}
    return TagEdit(changed, *around) if changed or any(around) else None


def with_urls(author: Mapping[str, str | None], urls: Mapping[str, str]) -> dict[str, str | None]:
    """Return ``src`` and ``srcset`` with new URLs; descriptors and spacing of a ``srcset`` stay as they are."""
    found: dict[str, str | None] = {}
    if source_url(author) in urls:
        found["src"] = urls[source_url(author)]
    if urls and (value := author.get("srcset")):
        parts, at = [], 0
        for span in image_candidates.spans(value):
            parts += [value[at : span.start], urls.get(value[span.start : span.end], value[span.start : span.end])]
            at = span.end
        found["srcset"] = "".join([*parts, value[at:]])
    return found
