"""What an author says about one image: ``data-s3img*`` attributes, and the standard ones that count."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from s3img.config import Config, Format
from s3img.errors import TransformError
from s3img.ladder import Layout, Wish
from s3img.markup import pixels
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["picture", "author", "url", "off"]
"""All of it; dimensions around candidates of the author's own; URLs only; nothing."""

NAMES = ("data-s3img", "data-s3img-widths", "data-s3img-formats", "data-s3img-layout", "data-s3img-priority")
"""The attributes of this family; all are removed from the page."""


@dataclass(frozen=True, slots=True)
class Words:
    """Hold what to do with an image; ``faults`` are words that were not understood."""

    mode: Mode
    wish: Wish = field(default_factory=Wish)
    priority: bool = False
    faults: tuple[str, ...] = ()


def read(author: Mapping[str, str | None], config: Config) -> Words:
    """Read an ``<img>``'s attributes; a word that can't be understood is a fault and otherwise without effect."""
    word = (author.get("data-s3img") or "").strip()
    if word == "off":
        return Words("off")
    faults = _unknown(author)
    transform = _transform(word, config, faults) if word not in {"", "url"} else Transform()
    wish = Wish(
        width=pixels(author.get("width")),
        layout=_layout(author, faults),
        transform=transform,
        widths=_widths(author, config, faults),
        formats=_formats(author, faults),
    )
    mode: Mode = "url" if word == "url" else "author" if "srcset" in author else "picture"
    return Words(mode, wish, "data-s3img-priority" in author, tuple(faults))


def _unknown(author: Mapping[str, str | None]) -> list[str]:
    found = []
    for name in author:
        if name.startswith("data-s3img") and name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            found.append(f"{name} is unknown" + (f", did you mean {near[0]}?" if near else f": known are {NAMES}"))
    return found


def _transform(word: str, config: Config, faults: list[str]) -> Transform:
    try:
        return Transform.parse(word, presets=config.presets)
    except TransformError as error:
        faults.append(f"data-s3img={word!r}: {error}")
        return Transform()


def _layout(author: Mapping[str, str | None], faults: list[str]) -> Layout:
    word = author.get("data-s3img-layout")
    for layout in get_args(Layout):
        if word == layout:
            return layout  # type: ignore[no-any-return]  # one of the literals it iterates over
    if word is not None:
        faults.append(f"data-s3img-layout={word!r}: write one of {', '.join(get_args(Layout))}")
    return "constrained"


def _widths(author: Mapping[str, str | None], config: Config, faults: list[str]) -> tuple[int, ...]:
    words = (author.get("data-s3img-widths") or "").replace(",", " ").split()
    good = [
        int(word)
        for word in words
        if word.isascii() and word.isdigit() and 0 < int(word[:6]) <= config.limits.output_side
    ]
    if len(good) < len(words):
        faults.append(f'data-s3img-widths={" ".join(words)!r}: write px with blanks between, such as "400 800"')
    return tuple(good)


def _formats(author: Mapping[str, str | None], faults: list[str]) -> tuple[str, ...]:
    words = (author.get("data-s3img-formats") or "").replace(",", " ").split()
    good = [word for word in words if word in get_args(Format)]
    if len(good) < len(words):
        faults.append(f"data-s3img-formats={' '.join(words)!r}: known are {', '.join(get_args(Format))}")
    return tuple(good)
