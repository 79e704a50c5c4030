"""Block structure of Markdown: where inline text and raw HTML stand (CommonMark 0.31, sections 3 to 5).

Beside CommonMark: GitHub's tables, and what Python-Markdown's users write: admonitions, tabs, definition lists and
footnotes with indented content, and ``markdown`` attributes that turn the content of an HTML element into Markdown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

from s3img.rewrite.markdown.inline import TAG

if TYPE_CHECKING:
    from collections.abc import Callable

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
            return self.quote()
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
        if self.quote():
            return QUOTE
        if mark := self.match(_INDENTED):
            width = self.indent + CODE
            self._advance(len(mark[0]))
            self._base = self._column
            return width
        mark = None if self.is_break() else self.match(_ITEM)
        if mark and in_paragraph and (mark[1] not in (None, "1") or not self.code[mark.end() : self.end].strip(" \t")):
            return None
        if mark is None:
            return None
        width, column = self.indent + len(mark[0]), self._column + len(mark[0])
        self._advance(len(mark[0]))
        spaces = self._column - column
        if self.is_blank or spaces > CODE:  # code in the item: one of the blanks belongs to the mark (5.2, rule 2)
            spaces = 1
        self._base = column + spaces
        return width + spaces

    def quote(self) -> bool:
        """Read the mark of a block quote, with one blank behind it, if it is there."""
        if self.first != ">" or self.indent >= CODE:
            return False
        after = self.code[self.pos + 1 : self.end][:1]
        column = self._column + 1
        self._advance(1)
        self._base = column + (after in (" ", "\t"))
        self.is_quoted = True
        return True

    def _advance(self, size: int) -> None:
        self.pos += size
        self._column += size
        self._skip()

    def _skip(self) -> None:
        code, end = self.code, self.end
        while self.pos < end and code[self.pos] in " \t":
            self._column += 1 if code[self.pos] == " " else 4 - self._column % 4
            self.pos += 1


Span: TypeAlias = tuple[int, int]

_LINE = re.compile(r"([^\r\n]*+)(?:\r\n?+|\n|\Z)")

_DEEPEST = 64  # containers in containers; deeper ones are text

_HEADING = re.compile(r"#{1,6}(?=[ \t]|$)")

_UNDERLINE = re.compile(r"(?:=++|-++)[ \t]*+$")

_FENCE = re.compile(r"`{3,}+(?=[^`]*+$)|~{3,}+")

_MATH = re.compile(r"(\$\$|\\\[)[ \t]*+$")

_MATH_ENDS = {"$$": re.compile(r"\$\$[ \t]*+$"), "\\[": re.compile(r"\\\][ \t]*+$")}

_COLUMN = r"[ \t]*+:?+-++:?+[ \t]*+"

_DELIMITERS = re.compile(rf"\|?+{_COLUMN}(?:\|{_COLUMN})*+\|?+[ \t]*+$")

_PIPE = re.compile(r"(?<!\\)\|")

_CELL = re.compile(r"(?:[^|\\]++|\\.?)++")

_NAMES = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|dt"
    "|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|legend|li|link|main|menu"
    "|menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary|table|tbody|td|tfoot|th|thead|title|tr"
    "|track|ul"
)

_RAW = "script|pre|style|textarea"

_HTML = (
    (re.compile(rf"<(?:{_RAW})(?=[ \t>]|$)", re.IGNORECASE), re.compile(rf"</(?:{_RAW})>", re.IGNORECASE)),
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<\?"), re.compile(r"\?>")),
    (re.compile(r"<!\[CDATA\["), re.compile(r"\]\]>")),
    (re.compile(r"<![A-Za-z]"), re.compile(r">")),
)

_ELEMENT = re.compile(rf"</?(?:{_NAMES})(?=[ \t>]|/>|$)", re.IGNORECASE)

_ALONE = re.compile(rf"{TAG}[ \t]*+$")

_WITH_MARKDOWN = re.compile(r"<[A-Za-z][^>]*?[ \t]markdown(?:=[\"']?(?:1|block|span|true)[\"']?)?(?=[ \t/>]|$)")

_IsEnd: TypeAlias = "Callable[[Line], bool]"
"""Tells whether a line is the last one of a block."""


def ends_with(pattern: re.Pattern[str]) -> _IsEnd:
    """Return a test for a line that holds a mark."""
    return lambda line: line.search(pattern) is not None


def closes_fence(mark: str) -> _IsEnd:
    """Return a test for the closing fence: as long as the opening one, or longer."""

    def is_end(line: Line) -> bool:
        rest = line.code[line.pos : line.end].rstrip(" \t")
        return line.indent < CODE and rest.startswith(mark) and not rest.strip(mark[0])

    return is_end


class BlockReader:
    """Take a text apart, line by line.

    ``paragraphs`` may begin with link reference definitions, ``texts`` (headings, table cells) can't; ``html`` is raw
    HTML; ``quoted`` is the beginnings of lines in block quotes, marks and all.
    """

    def __init__(self, code: str, start: int) -> None:
        self.paragraphs: list[Span] = []
        self.texts: list[Span] = []
        self.html: list[Span] = []
        self.quoted: list[Span] = []
        self._code = code
        self._containers: list[int] = []
        self._kind: Literal["", "paragraph", "table", "verbatim", "html"] = ""
        self._start = self._last = self._end = 0
        self._is_end: _IsEnd = lambda _: False
        for line in _LINE.finditer(code, start):
            self.read(Line(code, *line.span(1)))
        self._finish()

    def read(self, line: Line) -> None:
        """Read the next line."""
        depth = 0
        while depth < len(self._containers) and line.continues(self._containers[depth]):
            depth += 1
        is_inside = depth == len(self._containers)
        if is_inside and self._kind in ("verbatim", "html"):
            self._extend(line)
        else:
            if not is_inside and self._kind != "paragraph":
                self._finish()
            self.read_new(line, self.open_containers(line, depth))
        if line.is_quoted:
            self.quoted.append((line.start, line.pos))

    def read_new(self, line: Line, depth: int) -> None:
        """Read what stands in the innermost container of a line that is not part of verbatim text."""
        if line.is_blank:
            self._close(depth)
        elif line.indent < CODE and self.opens_leaf(line, depth):
            pass
        elif self._kind == "paragraph":  # a lazy line, too: it keeps all containers open
            self._last, self._end = line.pos, line.end
        elif line.indent >= CODE:
            self._close(depth)
        elif self._kind == "table":
            self.table_row(line.pos, line.end)
        else:
            self._begin("paragraph", line, depth)

    def open_containers(self, line: Line, depth: int) -> int:
        """Open containers; return how many the line is in."""
        while depth < _DEEPEST and not line.is_blank and line.indent < CODE:
            in_paragraph = self._is_in_paragraph(depth)
            if in_paragraph and line.match(_UNDERLINE):
                break
            width = line.opens(in_paragraph=in_paragraph)
            if width is None:
                break
            self._close(depth)
            self._containers.append(width)
            depth += 1
        return depth

    def _is_in_paragraph(self, depth: int) -> bool:
        return self._kind == "paragraph" and depth == len(self._containers)

    def opens_leaf(self, line: Line, depth: int) -> bool:
        """Read the first line of a heading, a fence, raw HTML, math or a table; tell whether it is one."""
        first = line.first
        if first == "<":
            return self.raw_html(line, depth)
        if first in "=-*_|:":
            return self.rule(line, depth)
        if first == "#" and (mark := line.match(_HEADING)):
            self._close(depth)
            self.texts.append((mark.end(), line.end))
            return True
        if first in "`~" and (mark := line.match(_FENCE)):
            self._begin("verbatim", line, depth, closes_fence(mark[0]))
            return True
        if first in "$\\" and self._kind != "paragraph" and (mark := line.match(_MATH)):
            self._begin("verbatim", line, depth, ends_with(_MATH_ENDS[mark[1]]))
            return True
        return False

    def raw_html(self, line: Line, depth: int) -> bool:
        """Read the beginning of raw HTML (section 4.6), unless its content is Markdown."""
        if line.match(_WITH_MARKDOWN):
            return False
        for start, end in _HTML:
            if line.match(start):
                self._begin("html", line, depth, ends_with(end))
                self._extend(line)
                return True
        if (self._kind != "paragraph" and line.match(_ALONE)) or line.match(_ELEMENT):
            self._begin("html", line, depth, lambda line: line.is_blank)
            return True
        return False

    def rule(self, line: Line, depth: int) -> bool:
        """Read the underline of a heading, the second line of a table, or a thematic break."""
        in_paragraph = self._is_in_paragraph(depth)
        if in_paragraph and line.match(_UNDERLINE):
            self._finish()
            return True
        if in_paragraph and line.match(_DELIMITERS) and self._is_table_head(line):
            if self._start < self._last:
                self.paragraphs.append((self._start, self._last))
            self._kind = "table"
            self.table_row(self._last, self._end)
            return True
        if line.is_break():
            self._close(depth)
            return True
        return False

    def _is_table_head(self, line: Line) -> bool:
        """Compare the columns of the line before, which may be the head of a table, with those of the line."""
        code = line.code
        columns = column_count(code[line.pos : line.end])
        return "|" in code[line.pos : line.end] and column_count(code[self._last : self._end]) == columns

    def table_row(self, start: int, end: int) -> None:
        """Note the cells of a row."""
        self.texts += (cell.span() for cell in _CELL.finditer(self._code, start, end))

    def _begin(
        self,
        kind: Literal["paragraph", "verbatim", "html"],
        line: Line,
        depth: int,
        is_end: _IsEnd = lambda _: False,
    ) -> None:
        self._close(depth)
        self._kind, self._is_end = kind, is_end
        self._start = self._last = line.pos
        self._end = line.end

    def _extend(self, line: Line) -> None:
        self._end = line.end
        if self._is_end(line):
            self._finish()

    def _close(self, depth: int) -> None:
        """End the block, and the containers that the line is not in."""
        self._finish()
        del self._containers[depth:]

    def _finish(self) -> None:
        if self._kind == "paragraph":
            self.paragraphs.append((self._start, self._end))
        elif self._kind == "html":
            self.html.append((self._start, self._end))
        self._kind = ""


def column_count(row: str) -> int:
    """Return how many cells a row of a table has."""
    return len(_PIPE.findall(row.strip(" \t").removeprefix("|").removesuffix("|"))) + 1
