"""Inline Markdown: which brackets are images and links, which angle brackets raw HTML (CommonMark 0.31, section 6)."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

from s3img.rewrite.markdown import destination
from s3img.rewrite.markdown.destination import PUNCTUATION, Destination

if TYPE_CHECKING:
    from collections.abc import Container

    from s3img.rewrite.source import Source

_WORTH_IT = re.compile(r"\]|<")
_NEXT = re.compile(r"[\\`<!\[\]$]")
_ESCAPE = re.compile(rf"\\[{PUNCTUATION}]")
_TICKS = re.compile(r"`++")
_SPACE = r"[ \t\r\n]"
_AUTOLINK = re.compile(
    r"<(?:[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\x00-\x20<>]*+|[\w.!#$%&'*+/=?^`{|}~-]++@[A-Za-z0-9.-]++)>", re.ASCII
)
TAG = (
    rf"<(?:[A-Za-z][A-Za-z0-9-]*+(?:{_SPACE}++[A-Za-z_:][A-Za-z0-9_.:-]*+"
    rf"(?:{_SPACE}*+={_SPACE}*+(?:[^\x00-\x20\"'=<>`]++|'[^']*+'|\"[^\"]*+\"))?+)*+{_SPACE}*+/?+>"
    rf"|/[A-Za-z][A-Za-z0-9-]*+{_SPACE}*+>)"
)
"""A pattern for a start or end tag."""

_TAG = re.compile(rf"{TAG}|<(?:![A-Za-z][^>]*+|!---?+)>")
_SECTIONS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>"}
_MATH = re.compile(r"(?<![\w$])\$(?![ \t\r\n$])(?:[^$\\]++|\\.)++(?<![ \t\r\n])\$(?![\w$])", re.DOTALL)
_MATH_ENDS = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
_LABEL = re.compile(r"\[((?:[^\[\]\\]++|\\.)*+)\]", re.DOTALL)
_LABEL_TEXT = re.compile(r"(?:[^\[\]\\]++|\\.)*+", re.DOTALL)
_LONGEST_LABEL = 999


class Inline(msgspec.Struct, frozen=True, gc=False):
    """An image or a link, with its own destination or the label of a definition."""

    start: int
    end: int
    image: bool
    destination: Destination | None
    label: str


class _Opener(msgspec.Struct, frozen=True, gc=False):
    start: int
    text: int
    image: bool


class InlineScanner:
    r"""Collect images, links and raw HTML of one block after the other.

    An image in the text of an image is part of its ``alt``, so not collected; nor is anything in code spans,
    autolinks and math (``$…$``, ``$$…$$``, ``\(…\)``, ``\[…\]``). Dollars next to words and blanks are prices.
    """

    def __init__(self, source: Source, code: str, labels: Container[str]) -> None:
        self._source = source
        self._code = code
        self._labels = labels
        self._end = 0
        self.found: list[Inline] = []
        self.html: list[tuple[int, int]] = []
        self._openers: list[_Opener] = []
        self._inactive = 0  # openers of links, from the outermost, that already have a link in their text
        self._missing: set[str] = set()  # what does not occur in the rest of the block
        self._ticks: dict[int, list[int]] | None = None  # where code spans may end, by the length of the run
        self._readers = {
            "\\": self.escape,
            "`": self.code_span,
            "<": self.angle,
            "!": self.image,
            "[": self.link,
            "]": self.close,
            "$": self.dollar,
        }

    def scan(self, start: int, end: int) -> None:
        """Collect from one block, whose lines have no marks of containers any more."""
        if not _WORTH_IT.search(self._code, start, end):
            return
        self._end = end
        self._openers.clear()
        self._inactive = 0
        self._missing.clear()
        self._ticks = None
        while special := _NEXT.search(self._code, start, end):
            start = self._readers[special[0]](special.start())

    def escape(self, at: int) -> int:
        r"""Pass over a backslash and what it escapes, or over ``\(…\)`` and ``\[…\]``."""
        if math := self._section(at, _MATH_ENDS.get(self._code[at : at + 2])):
            return math
        return at + (2 if _ESCAPE.match(self._code, at, self._end) else 1)

    def dollar(self, at: int) -> int:
        """Pass over math between dollars."""
        if self._code.startswith("$$", at):
            return self._section(at, "$$") or at + 2
        math = _MATH.match(self._code, at, self._end)
        return math.end() if math else at + 1

    def _section(self, at: int, closing: str | None, opening: int = 2) -> int:
        """Return where a section ends that begins at ``at``, 0 when it does not end in this block."""
        if closing is None or closing in self._missing:
            return 0
        end = self._code.find(closing, at + opening, self._end)
        if end < 0:
            self._missing.add(closing)
        return end + len(closing) if end >= 0 else 0

    def code_span(self, at: int) -> int:
        """Pass over a code span, or over ticks that begin none."""
        run = _TICKS.match(self._code, at, self._end)
        end = run.end() if run else at
        if self._ticks is None:  # all runs of the block at once: looking for each closer anew would be quadratic
            self._ticks = {}
            for ticks in _TICKS.finditer(self._code, at, self._end):
                self._ticks.setdefault(len(ticks[0]), []).append(ticks.start())
        closers = self._ticks.get(end - at, [])
        number = bisect_left(closers, end)
        return closers[number] + end - at if number < len(closers) else end

    def angle(self, at: int) -> int:
        """Read an autolink or raw HTML."""
        if link := _AUTOLINK.match(self._code, at, self._end):
            return link.end()
        if tag := _TAG.match(self._code, at, self._end):
            self.html.append(tag.span())
            return tag.end()
        for opening, closing in _SECTIONS.items():
            if self._code.startswith(opening, at) and (end := self._section(at, closing, len(opening))):
                self.html.append((at, end))
                return end
        return at + 1

    def image(self, at: int) -> int:
        """Remember a bracket that may open an image."""
        if self._code.startswith("[", at + 1, self._end):
            self._openers.append(_Opener(at, at + 2, image=True))
            return at + 2
        return at + 1

    def link(self, at: int) -> int:
        """Remember a bracket that may open a link."""
        self._openers.append(_Opener(at, at + 1, image=False))
        return at + 1

    def close(self, at: int) -> int:
        """Decide what the last bracket opened."""
        if not self._openers:
            return at + 1
        opener = self._openers.pop()
        inactive = not opener.image and len(self._openers) < self._inactive
        self._inactive = min(self._inactive, len(self._openers))
        target = None if inactive else self._target(opener, at)
        if target is None:
            return at + 1
        if target.image:  # what stands in its text is its alt
            while self.found and self.found[-1].start > target.start:
                self.found.pop()
            while self.html and self.html[-1][0] > target.start:
                self.html.pop()
        else:
            self._inactive = len(self._openers)
        self.found.append(target)
        return target.end

    def _target(self, opener: _Opener, at: int) -> Inline | None:
        """Return what the brackets ``opener`` … ``at`` are."""
        if self._code.startswith("(", at + 1, self._end) and (own := destination.inline(self._code, at + 2, self._end)):
            return Inline(opener.start, own[1], opener.image, own[0], "")
        named = _LABEL.match(self._code, at + 1, self._end)
        explicit = named is not None and named.end() - named.start() > 2
        label = self._label(*named.span(1)) if named and explicit else self._label(opener.text, at)
        if label not in self._labels:
            return None
        return Inline(opener.start, named.end() if named else at + 1, opener.image, None, label)

    def _label(self, start: int, end: int) -> str:
        """Return a normalized label, ``""`` when the text can't be one."""
        if end - start > _LONGEST_LABEL or not _LABEL_TEXT.fullmatch(self._code, start, end):
            return ""
        return destination.label(self._source.text(start, end))
