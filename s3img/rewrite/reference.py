"""The values of rewriting: what was found, and what to put in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

Syntax: TypeAlias = Literal["url", "srcset", "css"]
"""How an attribute holds its URLs: as one URL, as image candidates, as style declarations."""

Encoder: TypeAlias = Callable[[str], str]
"""Turn a new URL into the text that stands for it where the old one stood."""


class Attribute(msgspec.Struct, frozen=True, gc=False):
    """One attribute of a start tag.

    ``name`` is lower case, ``value`` decoded; ``start`` and ``end`` are the span of the raw value without its quotes
    (empty, at the end of the name, for an attribute without value); ``quote`` is ``'"'``, ``"'"`` or ``""``.
    """

    name: str
    value: str
    start: int
    end: int
    quote: str
    name_start: int


Attributes: TypeAlias = tuple[Attribute, ...]


class Tag(msgspec.Struct, frozen=True, gc=False):
    """A start tag: its lower-case ``name``, the span of ``<…>``, and where it stands.

    ``picture``: inside an open HTML ``<picture>``; ``noscript``: inside ``<noscript>``; ``off``: between the comments
    ``<!-- s3img:off -->`` and ``<!-- s3img:on -->``. ``read`` is the attributes, or a function of ``start`` and
    ``end`` that reads them when somebody asks.
    """

    name: str
    start: int
    end: int
    read: Attributes | Callable[[int, int], Attributes] = ()
    picture: bool = False
    noscript: bool = False
    off: bool = False

    @property
    def attributes(self) -> Attributes:
        """Return the attributes in source order; of a repeated name only the first counts, and is listed."""
        if callable(self.read):
            msgspec.structs.force_setattr(self, "read", self.read(self.start, self.end))
        return self.read  # type: ignore[return-value]  # a tuple now; mypy keeps the narrowed property

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tag) and self._as_tuple() == other._as_tuple()

    def __hash__(self) -> int:
        return hash((self.name, self.start, self.end))

    def __repr__(self) -> str:
        return f"Tag{self._as_tuple()}"

    def _as_tuple(self) -> tuple[object, ...]:
        return self.name, self.start, self.end, self.attributes, self.picture, self.noscript, self.off

    def get(self, name: str) -> str | None:
        """Return the decoded value of an attribute, ``""`` when it has none, None when the attribute is missing."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute.value
        return None


class Reference(msgspec.Struct, frozen=True, gc=False):
    """One URL of an image.

    ``start`` and ``end`` are the span of its raw text in the data; ``url`` is what a browser resolves (character
    references and CSS escapes decoded, white space stripped); ``kind`` is element, blank, attribute (``"img src"``)
    or ``"css url"``; ``tag`` is None in style sheets and ``<style>``; ``base`` is the ``href`` of the first ``<base>``
    that has one and stands before the reference, or None. ``encode`` writes another URL in the same place.
    """

    start: int
    end: int
    url: str
    kind: str
    tag: Tag | None
    base: str | None
    encode: Encoder = str


class TagEdit(msgspec.Struct, frozen=True):
    """A change of a whole start tag.

    ``attributes``: a value replaces the old one in place or is appended, ``""`` sets an empty value, None removes the
    attribute. ``before`` and ``after`` are markup put directly around the tag. Values are plain text, not markup.
    """

    attributes: Mapping[str, str | None]
    before: str = ""
    after: str = ""


Replacement: TypeAlias = str | TagEdit | None
Replace: TypeAlias = Callable[[Reference], Replacement]
Extra: TypeAlias = Mapping[tuple[str, str], Syntax]


def position(data: bytes | str, offset: int) -> tuple[int, int]:
    r"""Return line and column, from 1, of an offset; lines end at ``\n``, ``\r\n`` or ``\r``."""
    before: Any = data[:offset]
    feed, carriage, pair = ("\n", "\r", "\r\n") if isinstance(data, str) else (b"\n", b"\r", b"\r\n")
    if before.endswith(carriage) and data[offset : offset + 1] == feed:  # between the two halves of a line end
        before = before[:-1]
    line = before.count(feed) + before.count(carriage) - before.count(pair) + 1
    return line, offset - max(before.rfind(feed), before.rfind(carriage))
