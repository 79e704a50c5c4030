"""One line of Markdown: its indentation in columns, and the containers that it continues or opens."""

from __future__ import annotations

import re

QUOTE = 0
"""The width of a block quote; any other container's is the indentation that its content needs."""

CODE = 4
"""The indentation that makes code of a line."""

_BREAK = re.compile(r"(?:(?:\*[ \t]*+){3,}+|(?:_[ \t]*+){3,}+|(?:-[ \t]*+){3,}+)$")
_ITEM = re.compile(r"(?:[-+*]|([0-9]{1,9})[.)])(?=[ \t]|$)")
_INDENTED = re.compile(r"(?:!!!|\?\?\?\+?|===[!+]{0,2})(?=[ \t]+[\"'\w])|\[\^[^\]\s]++\]:|:(?=[ \t]+\S)")


class Line:
    """A cursor in a line: what stands before ``column`` is read, what stands before ``base`` belongs to containers."""

    __slots__ = ("_base", "_column", "code", "end", "is_quoted", "pos", "start")

    def __init__(self, code: str, start: int, end: int) -> None:
        self.code = code
        self.start = self.pos = start
        self.end = end
        self.is_quoted = False
        self._base = self._column = 0
        self._skip()

    @property
    def indent(self) -> int:
        """Return the indentation inside the containers, in columns."""
        return self._column - self._base

    @property
    def is_blank(self) -> bool:
        """Tell whether nothing is left."""
        return self.pos >= self.end

    @property
    def first(self) -> str:
        """Return the first character that is not white space, ``""`` when there is none."""
        return self.code[self.pos : min(self.pos + 1, self.end)]

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Match a pattern against what is left."""
        return pattern.match(self.code, self.pos, self.end)

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Search a pattern in what is left."""
        return pattern.search(self.code, self.pos, self.end)

    def is_break(self) -> bool:
        """Tell whether this is a thematic break."""
        return self.match(_BREAK) is not None

    def continues(self, width: int) -> bool:
        """Read the mark or the indentation of an open container, if it is there."""
        if width == QUOTE:
            return self._quote()
        if self.is_blank:
            return True
        if self.indent < width:
            return False
        self._base += width
        return True

    def opens(self, *, in_paragraph: bool) -> int | None:
        """Read the mark of a new container and return its width, None when there is none.

        Only items that hold something, and lists that begin with 1, may interrupt a paragraph.
        """
        if self._quote():
            return QUOTE
        if mark := self.match(_INDENTED):
            width = self.indent + CODE
            self._advance(len(mark[0]))
            self._base = self._column
            return width
        mark = None if self.is_break() else self.match(_ITEM)
        if mark and in_paragraph and (mark[1] not in (None, "1") or not self.code[mark.end() : self.end].strip(" \t")):
            return None
        return self._item(len(mark[0])) if mark else None

    def _quote(self) -> bool:
        if self.first != ">" or self.indent >= CODE:
            return False
        after = self.code[self.pos + 1 : self.end][:1]
        column = self._column + 1
        self._advance(1)
        self._base = column + (after in (" ", "\t"))
        self.is_quoted = True
        return True

    def _item(self, size: int) -> int:
        width = self.indent + size
        column = self._column + size
        self._advance(size)
        spaces = self._column - column
        if self.is_blank or spaces > CODE:
            spaces = 1
        self._base = column + spaces
        return width + spaces

    def _advance(self, size: int) -> None:
        self.pos += size
        self._column += size
        self._skip()

    def _skip(self) -> None:
        code, end = self.code, self.end
        while self.pos < end and code[self.pos] in " \t":
            self._column += 1 if code[self.pos] == " " else 4 - self._column % 4
            self.pos += 1
