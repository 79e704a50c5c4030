"""Read one construct of HTML at a time: a tag, a comment, a CDATA section."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from s3img.rewrite.html_collect import Collector, Context, Values
from s3img.rewrite.html_grammar import BOGUS, COMMENT, TAG
from s3img.rewrite.html_styles import StyleAttributes

if TYPE_CHECKING:
    from s3img.rewrite.html_anchors import Elements
    from s3img.rewrite.html_elements import Rule
    from s3img.rewrite.reference import Reference
    from s3img.rewrite.source import Source

Finder = Callable[["Source", int, int], Iterable["Reference"]]

_SWITCH = re.compile(rb"<!--[\t\n\f\r ]{0,16}s3img:(on|off)[\t\n\f\r ]{0,16}--!?>")
_LOOK_AHEAD = 64  # bytes that tell what kind of comment one is
CDATA = b"<![CDATA["
_TAG_ENDS = 3  # the group of Rule.step


class Constructs:
    """Reads constructs of one document, or of the next part of one: ``final`` is false while more may follow.

    Methods take the offset where a construct starts and return where it ends. One that is not complete stops the
    scan: they return its start. ``head`` is the offset of ``</head>`` if that was looked for, and found.
    """

    __slots__ = (
        "_code",
        "_collect",
        "_context",
        "_elements",
        "_end",
        "_final",
        "_json_ld",
        "_source",
        "_stopped",
        "_styles",
        "head",
    )

    def __init__(
        self,
        source: Source,
        elements: Elements,
        context: Context,
        found: list[Reference],
        *,
        final: bool = True,
        json_ld: Finder | None = None,
    ) -> None:
        self._source = source
        self._code = source.code
        self._elements = elements
        self._context = context
        self._collect = Collector(source, context, found)
        self._styles = StyleAttributes(source.code, self._collect)
        self._final = final
        self._json_ld = json_ld
        self._stopped = False
        self._end = 0
        self.head: int | None = None

    def _stop(self, at: int) -> int:
        """Go no further: what starts at this offset is not complete."""
        self._stopped = True
        return at

    def _element(self, rule: Rule, start: int, at: int) -> int:
        """Collect from a tag whose name ends at an offset; return its end, -1 if it has none."""
        code, end, step = self._code, self._end, rule.step.match
        values: Values = {}
        while (found := step(code, at, end)) and (group := found.lastindex):
            at = found.end()
            if name := found[1]:
                values.setdefault(name.lower(), found.span(2))
            if group == _TAG_ENDS:
                if values:
                    self._collect.element(rule, start, at, values)
                return at
        return -1

    def _plain_tag(self, start: int) -> int:
        tag = TAG.match(self._code, start, self._end)
        if tag is None:
            return -1
        self._styles.on(tag)
        return tag.end()

    def _comment(self, start: int) -> int:
        code, end, context = self._code, self._end, self._context
        if not code.startswith(b"--", start + 2):
            return self._bogus(start)
        comment = COMMENT.match(code, start, end)
        if comment:
            if switch := _SWITCH.match(code, start, comment.end()):
                context.off = switch[1] == b"off"
            return comment.end()
        if end - start < _LOOK_AHEAD:
            return self._stop(start)
        context.inside = b"--"
        return start + 4

    def _bogus(self, start: int) -> int:
        bogus = BOGUS.match(self._code, start, self._end)
        return bogus.end() if bogus else self._stop(start)

    def _cdata(self, start: int) -> int:
        end = self._code.find(b"]]>", start + len(CDATA), self._end)
        if end < 0:
            return self._stop(start)
        current = self._context.opened.current
        if current and current[:2] == (b"svg", b"style"):
            self._collect.style_sheet(start + len(CDATA), end)
        return end + 3
