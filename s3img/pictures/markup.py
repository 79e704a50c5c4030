"""Write the markup of an image: ``<picture>``, ``srcset``, ``sizes``, dimensions and loading. Pure text.

The author's own attributes always win. No inline style and no script; one small style sheet keeps the layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from s3img.pictures.variants import MEDIA_TYPES, Layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s3img.pictures.format_comparison import ImageCandidate
    from s3img.rewrite import TagEdit

Markup = Literal["picture", "img", "bare", "keep"]
"""How much of an image's markup changes: a ``<picture>`` around it; ``srcset`` on the ``<img>`` in one modern format;
the same without any size, in the size that the file has; nothing but URLs."""

PICTURE_CLASS = "s3img"

STYLE_SHEET = """\
picture.s3img{display:contents}
picture.s3img>source{display:none}
:where(picture[class=s3img]>img,picture.s3img-wide>img,img.s3img-full,img.s3img-wide){height:auto;flex-shrink:0}
:where(picture.s3img-tall>img,img.s3img-tall){width:auto}
@supports(width:attr(width px)){
:where(picture[class=s3img]>img,img.s3img-full){
width:auto;contain:size;contain-intrinsic-size:attr(width px) attr(height px)}
}
"""
"""Keep a page's layout as it was without ``<picture>``, ``width``, ``height`` and ``sizes=auto``.

``:where`` has no specificity, so every rule of a theme wins over these. The wrapper and its sources make no boxes. A
``width`` or ``height`` that s3img adds tells browsers the shape of the image, but not the size to show it in: that
remains as it was. An image with ``sizes=auto`` has no natural size, so it is given that of its file.
"""

_DIMENSION = re.compile(r"[\t\n\f\r ]*([0-9]++)(\.[0-9]++|%)?+")
"""A dimension attribute that browsers understand; group 2 is there where it isn't a whole number of px. Any text may
follow."""

_PICTURE = b'<picture class="'
_STYLED = re.compile(rb"""%bs3img|s3img-(?:full|wide|tall)["']""" % _PICTURE)
_STYLED_HEIGHT = re.compile(r"(?:^|[;\s])(?:(?:max-|min-)?(?:height|block-size)|aspect-ratio)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is needed to write an image: candidates by format, and how it is laid out.

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
    markup: Markup = "picture"

    @property
    def is_wrapped(self) -> bool:
        """Tell whether a ``<picture>`` of ours goes around the image: only where it has something to offer."""
        return self.markup == "picture" and bool(self.sources) and not self.nested

    @property
    def modern(self) -> Sequence[ImageCandidate]:
        """Return the candidates for an ``<img>`` alone: one format, which every browser of today shows."""
        return self.sources.get("webp") or next(iter(self.sources.values()), self.image)


def first_styled(page: bytes) -> int:
    """Return the offset of a page's first tag that the style sheet is for, -1 without one."""
    # The name alone is looked for first: that is ten times as fast as the pattern, and many pages have none.
    at = page.find(PICTURE_CLASS.encode())
    found = _STYLED.search(page, max(0, at - len(_PICTURE))) if at >= 0 else None
    return page.rfind(b"<", 0, found.start() + 1) if found else -1


def is_styled(edit: TagEdit) -> bool:
    """Tell whether an edit writes what the style sheet is for."""
    classes = (edit.attributes.get("class") or "").split()
    return edit.before.startswith("<picture ") or any(name.startswith(f"{PICTURE_CLASS}-") for name in classes)


def attributes(picture: Picture, author: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the attributes to set on the ``<img>``; ``author`` holds those that stand there already."""
    found: dict[str, str | None] = {"src": picture.image[-1].url}
    if picture.markup == "bare":
        # A density says how large the file is meant to be shown: as large as the one that it stands for.
        widest = picture.modern[-1]
        if widest is not picture.image[-1] and picture.width:
            found["srcset"] = f"{widest.url} {density(widest.width, picture.width)}x"
        return found | loading(author, eager=picture.eager, priority=picture.priority)
    candidates = picture.modern if picture.markup == "img" else picture.image
    if len(candidates) > 1 or candidates is not picture.image:
        found["srcset"] = srcset(picture, candidates)
        if sizes := sizes_of(picture, author):
            found["sizes"] = sizes
    found |= dimensions(picture, author)
    return found | loading(author, eager=picture.eager, priority=picture.priority)


def dimensions(picture: Picture, author: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return width and height as a pair in px; where the author wrote one side in px, the other follows from it.

    Nothing where the author sized the image in another way, or where its files may differ in shape. Without a wrapper
    a class on the ``<img>`` tells the style sheet which sides are ours.
    """
    kind = sizing(picture, author)
    if kind == "plain":
        return {}
    found: dict[str, str | None] = {}
    if kind == "full":
        found = {"width": str(picture.width), "height": str(picture.height)}
    elif kind == "wide":
        found = {"height": str(side(pixels(author.get("width")), picture.height, picture.width))}
    elif kind == "tall":
        found = {"width": str(side(pixels(author.get("height")), picture.width, picture.height))}
    if not picture.is_wrapped:
        found["class"] = " ".join([*(author.get("class") or "").split(), f"{PICTURE_CLASS}-{kind}"])
    return found


def sizing(picture: Picture, author: Mapping[str, str | None]) -> Literal["full", "wide", "tall", "plain"]:
    """Tell which sides s3img may write: both, the height, the width, or none."""
    if not picture.width or not picture.height or picture.layout == "none" or picture.nested:
        return "plain"
    # A height from ``style`` with a ``width`` of ours would distort the image.
    if _STYLED_HEIGHT.search(author.get("style") or ""):
        return "plain"
    has_width, has_height = is_dimension(author.get("width")), is_dimension(author.get("height"))
    if not has_width and not has_height:
        return "full"
    if not has_height and pixels(author.get("width")):
        return "wide"
    if not has_width and pixels(author.get("height")):
        return "tall"
    return "plain"


def side(known: int, other: int, whole: int) -> int:
    """Return the px of one side of a picture, at least 1, when another one of ``whole`` px is shown at ``known`` px."""
    return max(1, (2 * known * other + whole) // (2 * whole))


def is_dimension(value: str | None) -> bool:
    """Tell whether browsers take a width or height attribute for one; ``auto`` is as if it were absent."""
    return bool(_DIMENSION.match(value or ""))


def pixels(value: str | None) -> int:
    """Read a dimension attribute (HTML, "rules for parsing dimension values") in whole px; 0 for anything else."""
    found = _DIMENSION.match(value or "")
    return int(found[1]) if found and not found[2] and len(found[1]) < 6 else 0


def loading(author: Mapping[str, str | None], *, eager: bool, priority: bool) -> dict[str, str | None]:
    """Return ``loading``, ``decoding`` and ``fetchpriority`` where the author has not set them."""
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
    width = picture.layout_width or picture.width
    if picture.nested and not picture.sizes and picture.layout == "constrained":
        return f"{width}px"  # art direction: the author chose this file for a window, and it shows as wide as it is
    fixed = picture.sizes or ("100vw" if picture.layout == "full" else f"(min-width: {width}px) {width}px, 100vw")
    is_lazy = (author.get("loading") or "").lower() == "lazy" or "loading" in loading(
        author, eager=picture.eager, priority=picture.priority
    )
    return f"auto, {fixed}" if is_lazy and sizing(picture, author) in {"full", "wide"} else fixed


def srcset(picture: Picture, candidates: Sequence[ImageCandidate]) -> str:
    """Return the text of a ``srcset`` attribute, unescaped."""
    if picture.layout == "fixed":
        width = picture.layout_width or picture.width
        return ", ".join(f"{c.url} {density(c.width, width)}x" for c in candidates)
    return ", ".join(f"{c.url} {c.width}w" for c in candidates)


def density(width: int, layout_width: int) -> str:
    """Return the number before ``x``: px of the file for each css px, without needless zeros."""
    return f"{width / layout_width:.4f}".rstrip("0").rstrip(".")


def surroundings(picture: Picture, author: Mapping[str, str | None], **shared: str) -> tuple[str, str]:
    """Return the markup to put before and after the ``<img>``: a ``<picture>`` around it, or sources in its own.

    ``shared`` are further attributes of each source; empty ones are left out.
    """
    if picture.markup != "picture":
        return "", ""
    sizes = author.get("sizes") or sizes_of(picture, author)
    extra = {**shared, "sizes": "" if picture.layout == "fixed" else sizes}
    sources = ""
    for name, candidates in picture.sources.items():
        values = {"type": MEDIA_TYPES[name], "srcset": srcset(picture, candidates), **extra}
        sources += "<source{}>".format("".join(f' {name}="{escape(value)}"' for name, value in values.items() if value))
    if not picture.is_wrapped:
        return sources, ""
    kind = sizing(picture, author)
    name = PICTURE_CLASS if kind == "full" else f"{PICTURE_CLASS} {PICTURE_CLASS}-{kind}"
    return f'<picture class="{name}">{sources}', "</picture>"
