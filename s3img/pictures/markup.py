"""What stands in a page for an image: ``<picture>``, ``srcset``, ``sizes``, dimensions and loading. Pure text.

The author's own attributes always win. No inline style and no script; one small style sheet keeps the layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from s3img.pictures.variants import MEDIA_TYPES, Layout, VariantSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PICTURE_CLASS = "s3img"

STYLE_SHEET = """\
picture.s3img{display:contents}
picture.s3img>source{display:none}
:where(picture[class=s3img]>img,picture.s3img-wide>img){height:auto;flex-shrink:0}
:where(picture.s3img-tall>img){width:auto}
@supports(width:attr(width px)){
:where(picture[class=s3img]>img){width:auto;contain:size;contain-intrinsic-size:attr(width px) attr(height px)}
}
"""
"""Keep a page's layout as it was without ``<picture>``, ``width``, ``height`` and ``sizes=auto``.

``:where`` has no weight, so any rule of a theme wins over it; width and height attributes weigh less still. The
wrapper and its sources make no boxes. What the author left open stays open: a side that we wrote is a ratio, not a
size. An image with ``sizes=auto`` has no natural size of its own, so it is given the file's.
"""

_STYLED_HEIGHT = re.compile(r"(?:^|[;\s])(?:(?:max-|min-)?(?:height|block-size)|aspect-ratio)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageCandidate:
    """Hold one image candidate: its URL, width in px, and bytes; the source itself is no variant."""

    url: str
    width: int
    size: int
    is_variant: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold all that is needed to write an image: candidates by format, and how it is laid out.

    ``sources`` go from the format to try first to the last; ``image`` are the candidates for every browser;
    ``width`` and ``height`` in px are the whole picture's, 0 where unknown; ``layout_width`` is in css px.
    """

    sources: Mapping[str, Sequence[ImageCandidate]]
    image: Sequence[ImageCandidate]
    width: int
    height: int
    layout_width: int
    layout: Layout = "constrained"
    sizes: str = ""
    eager: bool = False
    priority: bool = False
    nested: bool = False  # inside a <picture> of the author's


def select(
    variant_set: VariantSet, made: Mapping[str, Sequence[ImageCandidate]], original: ImageCandidate | None
) -> tuple[dict[str, list[ImageCandidate]], list[ImageCandidate]]:
    """Return (candidates by format to offer first, candidates for every browser).

    Nothing as large in bytes as what it replaces is kept: the source, or the plainer format at the same width. A
    format whose widest variant is lost goes as a whole: a wide screen that knows the format would be given a small
    picture. Without ``original`` (the author asked for something made from it) renderings stay whatever their size.
    """
    image = _own_candidates(made.get(variant_set.own, ()), original)
    most = original.size if original else 1 << 62
    ceiling = {candidate.width: candidate.size for candidate in image}
    sources = {}
    for name, candidates in made.items():
        kept = [c for c in candidates if c.size < min(most, ceiling.get(c.width, most))]
        if name == variant_set.own:
            if name != list(made)[-1]:  # a newer type than the next one: browsers take the first they know
                sources[name] = image
        elif kept and kept[-1] is candidates[-1]:
            sources[name] = kept
    return sources, image or list(made.get(next(iter(made)), ()))


def _own_candidates(candidates: Sequence[ImageCandidate], original: ImageCandidate | None) -> list[ImageCandidate]:
    """Return the source's format: its smaller renderings, and as the widest one whatever takes fewer bytes."""
    if original is None:
        return list(candidates)
    kept = [candidate for candidate in candidates if candidate.size < original.size]
    if kept and kept[-1] is candidates[-1]:
        return kept
    return [*(candidate for candidate in kept if candidate.width < original.width), original]


def attributes(picture: Picture, author: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the attributes to set on the ``<img>``; ``author`` holds those that stand there already."""
    found: dict[str, str | None] = {"src": picture.image[-1].url}
    if len(picture.image) > 1:
        found["srcset"] = srcset(picture, picture.image)
        if sizes := sizes_of(picture, author):
            found["sizes"] = sizes
    found |= dimensions(picture, author)
    return found | loading(author, eager=picture.eager, priority=picture.priority)


def dimensions(picture: Picture, author: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return width and height as a pair in px; where the author wrote one side in px, the other follows from it.

    Nothing where the author sized the image in another way, or where its files may differ in shape.
    """
    kind = _sizing(picture, author)
    if kind == "full":
        return {"width": str(picture.width), "height": str(picture.height)}
    if kind == "wide":
        height = _nearest(pixels(author.get("width")) * picture.height, picture.width)
        return {"height": str(max(1, height))}
    if kind == "tall":
        width = _nearest(pixels(author.get("height")) * picture.width, picture.height)
        return {"width": str(max(1, width))}
    return {}


def _sizing(picture: Picture, author: Mapping[str, str | None]) -> Literal["full", "wide", "tall", "plain"]:
    """Tell which sides are ours to write: both, the height, the width, or none."""
    if not picture.width or not picture.height or picture.layout == "none" or picture.nested:
        return "plain"
    if _STYLED_HEIGHT.search(author.get("style") or ""):
        return "plain"
    if "width" not in author and "height" not in author:
        return "full"
    if "height" not in author and pixels(author.get("width")):
        return "wide"
    if "width" not in author and pixels(author.get("height")):
        return "tall"
    return "plain"


def _nearest(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def pixels(value: str | None) -> int:
    """Read a dimension attribute as HTML does, in px; 0 for percentages and anything else."""
    text = (value or "").strip()
    text = text.removesuffix("px")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def loading(author: Mapping[str, str | None], *, eager: bool, priority: bool) -> dict[str, str | None]:
    """Return loading, decoding and fetchpriority as far as the author is silent."""
    if priority:
        return {} if "fetchpriority" in author else {"fetchpriority": "high"}
    if eager or "loading" in author or author.get("fetchpriority") == "high":
        return {}
    found: dict[str, str | None] = {"loading": "lazy"}
    return found if "decoding" in author else found | {"decoding": "async"}


def sizes_of(picture: Picture, author: Mapping[str, str | None]) -> str:
    """Return the ``sizes`` to write, "" where the author's own stays or densities are used.

    ``auto`` needs lazy loading and is not known everywhere, so a list always follows it (HTML standard, 4.8.4.2.2). It
    takes an image's natural size away, so it is left out where we may not write the size.
    """
    if "sizes" in author or picture.layout == "fixed":
        return ""
    fixed = picture.sizes or _usual_sizes(picture)
    is_lazy = (author.get("loading") or "").lower() == "lazy" or "loading" in loading(
        author, eager=picture.eager, priority=picture.priority
    )
    return f"auto, {fixed}" if is_lazy and _sizing(picture, author) in {"full", "wide"} else fixed


def _usual_sizes(picture: Picture) -> str:
    width = picture.layout_width or picture.width
    return "100vw" if picture.layout == "full" else f"(min-width: {width}px) {width}px, 100vw"


def srcset(picture: Picture, candidates: Sequence[ImageCandidate]) -> str:
    """Return the text of a ``srcset`` attribute, unescaped."""
    if picture.layout == "fixed":
        width = picture.layout_width or picture.width
        return ", ".join(f"{c.url} {_density(c.width, width)}x" for c in candidates)
    return ", ".join(f"{c.url} {c.width}w" for c in candidates)


def _density(width: int, layout_width: int) -> str:
    return f"{width / layout_width:.2f}".rstrip("0").rstrip(".")


def surroundings(picture: Picture, author: Mapping[str, str | None], *, media: str = "") -> tuple[str, str]:
    """Return the markup to put before and after the ``<img>``: a ``<picture>`` around it, or sources in its own."""
    sizes = author.get("sizes") or sizes_of(picture, author)
    extra = {"media": media, "sizes": "" if picture.layout == "fixed" else sizes}
    sources = "".join(_source(picture, name, candidates, extra) for name, candidates in picture.sources.items())
    if picture.nested:
        return sources, ""
    kind = _sizing(picture, author)
    name = PICTURE_CLASS if kind == "full" else f"{PICTURE_CLASS} {PICTURE_CLASS}-{kind}"
    return f'<picture class="{name}">{sources}', "</picture>"


def _source(picture: Picture, name: str, candidates: Sequence[ImageCandidate], extra: Mapping[str, str]) -> str:
    values = {"type": MEDIA_TYPES[name], "srcset": srcset(picture, candidates), **extra}
    text = "".join(f' {name}="{escape(value)}"' for name, value in values.items() if value)
    return f"<source{text}>"
