"""A picture as a template asks for it: markup, candidates, addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from s3img.errors import AssetError
from s3img.markup import attributes, sizes_of, srcset, surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.markup import Picture

_NAME = re.compile(r"[A-Za-z_:][-\w:.]*", re.ASCII)
_ORDER = ("src", "srcset", "sizes", "alt", "class", "width", "height")


@dataclass(frozen=True, slots=True)
class LockedPicture:
    """Hold one picture; ``author`` are the attributes that the template gives, which win over ours.

    ``placeholder`` is a colour (``#rrggbb``) to show while it loads, "" where none is known.
    """

    picture: Picture
    author: Mapping[str, str | None]
    placeholder: str = ""

    def __post_init__(self) -> None:
        bad = next((name for name in self.author if not _NAME.fullmatch(name)), None)
        if bad is not None:
            raise AssetError(f"{bad!r} is no name of an attribute.", fix="Use letters, digits and hyphens.")

    def html(self) -> str:
        """Return ``<picture>`` with its ``<img>``, as publishing writes it; every value is escaped."""
        written = {**self.author, **attributes(self.picture, self.author)}
        names = [*(name for name in _ORDER if name in written), *(name for name in written if name not in _ORDER)]
        image = "".join(f' {name}="{escape(written[name] or "")}"' for name in names)
        before, after = surroundings(self.picture, self.author)
        return f"{before}<img{image}>{after}"

    __html__ = html

    def __str__(self) -> str:
        return self.html()

    @property
    def url(self) -> str:
        """Return the address for browsers that know neither ``srcset`` nor newer formats."""
        return self.picture.image[-1].url

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in px of the whole picture, (0, 0) where it states none."""
        return self.picture.width, self.picture.height

    @property
    def sizes(self) -> str:
        """Return the ``sizes`` that go with `srcset`, "" for densities."""
        return self.author.get("sizes") or sizes_of(self.picture, self.author)

    def srcset(self, format: str = "") -> str:  # noqa: A002 - the word of the settings
        """Return the candidates of a format (``avif``, ``webp``, …), of the plain ``<img>`` by default; "" for none."""
        candidates = self.picture.sources.get(format, ()) if format else self.picture.image
        return srcset(self.picture, candidates)
