"""Rewrite Markdown sources with a proof: the page they render to differs in the mapped URLs and in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

import msgspec

from s3img.rewrite import html, markdown
from s3img.rewrite.html.elements import OPTIONAL
from s3img.rewrite.markdown import front_matter
from s3img.rewrite.reference import Reference, Replace, position
from s3img.rewrite.source import from_text

if TYPE_CHECKING:
    from collections.abc import Collection

Render: TypeAlias = Callable[[str], str]
"""Turn Markdown, without its front matter, into HTML; the one that the site is built with."""

_MOST_REFUSALS = 16
_NOT_AN_IMAGE = "the renderer sees no image here: the page would change in another place than an image URL"


class Refusal(msgspec.Struct, frozen=True):
    """A reference that was left alone: why, and where (``offset`` in characters, ``line`` and ``column`` from 1)."""

    reason: str
    url: str
    offset: int
    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.url}: {self.reason}"


class Rewritten(msgspec.Struct, frozen=True):
    """The new text (the old one itself when nothing changed), how many URLs changed, and what was refused."""

    text: str
    changed: int
    refusals: tuple[Refusal, ...] = ()


class _Edit(msgspec.Struct, frozen=True):
    """A URL to put in the place of a reference."""

    reference: Reference
    url: str


class _Page(msgspec.Struct, frozen=True):
    """A rendered page: its URLs, and what stands between them."""

    urls: list[str]
    rest: list[str]


def rewrite_markdown(text: str, replace: Replace, render: Render, *, optional: Collection[str] = ()) -> Rewritten:
    """Replace image URLs where rendering before and after proves that nothing but these URLs changes.

    ``replace`` answers with a URL, or None (a ``TagEdit`` counts as None); it is not asked for what the author
    excluded. ``optional`` are kinds of ``markdown.OPTIONAL``. The proof compares the URLs of both pages and every
    character between them, so it holds for each dialect and extension that ``render`` knows; what is an image here
    but code there is refused. A link to an image changes with it where both share a definition. Front matter is not
    part of the page: of the keys asked for the value changes.
    """
    start = front_matter.end(text)
    edits = []
    for reference in markdown.find(from_text(text), optional, {}):
        tag = reference.tag
        is_off = tag is not None and (tag.off or tag.get("data-s3img") == "off")
        url = None if is_off else replace(reference)
        if isinstance(url, str) and url != reference.url:
            edits.append(_Edit(reference, url))
    front = [edit for edit in edits if edit.reference.start < start]
    body = edits[len(front) :]
    proven, refused = _Prover(text, start, render).filter(body) if body else ([], {})
    refusals = tuple(
        Refusal(refused[at], edit.reference.url, at, *position(text, at))
        for edit in body
        if edit not in proven
        for at in (edit.reference.start,)
    )
    return Rewritten(spliced(text, [*front, *proven]), len(front) + len(proven), refusals)


def spliced(text: str, edits: list[_Edit], start: int = 0) -> str:
    """Return the text from ``start`` on with new URLs in their places."""
    parts, at = [], start
    for edit in edits:
        parts += [text[at : edit.reference.start], edit.reference.encode(edit.url)]
        at = edit.reference.end
    return "".join((*parts, text[at:])) if parts else text[start:]


class _Prover:
    """Compare the page with what it would become."""

    def __init__(self, text: str, start: int, render: Render) -> None:
        self._text = text
        self._start = start
        self._render = render
        self._reasons: dict[int, str] = {}

    def filter(self, edits: list[_Edit]) -> tuple[list[_Edit], dict[int, str]]:
        """Return the edits that are proven together, and the reasons of the others by their offset."""
        try:
            self._before = self._page([])
            if self._holds(edits):
                return edits, {}
            if self._page([]) != self._before:
                return self._none(edits, "rendering the same text twice gives two different pages")
            proven = self._proven(edits)
            if self._holds(proven):
                return proven, self._reasons
        except Exception as error:  # whatever the renderer raises: the text stays as it is
            return self._none(edits, f"the renderer failed: {type(error).__name__}: {error}")
        return self._none(edits, "the page would change in other places than its image URLs")

    def _none(self, edits: list[_Edit], reason: str) -> tuple[list[_Edit], dict[int, str]]:
        return [], {edit.reference.start: reason for edit in edits}

    def _proven(self, edits: list[_Edit]) -> list[_Edit]:
        """Return the edits that hold, found by halves: few renderings when few are refused."""
        if not edits or self._holds(edits):
            return edits
        if len(edits) == 1 or len(self._reasons) >= _MOST_REFUSALS:
            reason = _NOT_AN_IMAGE if len(edits) == 1 else f"not tried on its own after {_MOST_REFUSALS} refusals"
            self._reasons |= dict.fromkeys((edit.reference.start for edit in edits), reason)
            return []
        middle = len(edits) // 2
        return self._proven(edits[:middle]) + self._proven(edits[middle:])

    def _holds(self, edits: list[_Edit]) -> bool:
        """Tell whether nothing but the URLs of these edits changes."""
        before, after = self._before, self._page(edits)
        mapped = {(normalized(edit.reference.url), normalized(edit.url)) for edit in edits}
        return before.rest == after.rest and all(
            old == new or (old, new) in mapped for old, new in zip(before.urls, after.urls, strict=True)
        )

    def _page(self, edits: list[_Edit]) -> _Page:
        page = self._render(spliced(self._text, edits, self._start))
        urls, rest, at = [], [], 0
        for reference in html.find(from_text(page), OPTIONAL, {}):
            quote = page[reference.start - 1]
            width = 1 if quote in "\"'" and page.startswith(quote, reference.end) else 0  # quotes may be added
            rest.append(page[at : reference.start - width])
            urls.append(normalized(reference.url))
            at = reference.end + width
        return _Page(urls, [*rest, page[at:]])


def normalized(url: str) -> str:
    """Return a URL without what renderers change in it: they percent-encode as they like."""
    return unquote(url).replace("\\", "/")
