"""Find image references in HTML: a search for tags of interest, and a proof that each really is a tag.

Most of a page is skipped by one pattern, the *anchor*: comments, and the start tags that name images or change the
tokenizer's state. Whether an anchor stands where the tokenizer would see a tag (and not, say, in a quoted value)
follows from a few characters before it; see ``tokens.proved``. Inside SVG and MathML every tag is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from s3img.rewrite.html import tokens
from s3img.rewrite.html.collector import Collector, Context, StyleAttributes
from s3img.rewrite.html.elements import SVG_IMAGES, Role
from s3img.rewrite.html.tokens import (
    BOGUS,
    COMMENT,
    COMMENT_END,
    END_TAG,
    SCRIPT_MARK,
    SPACES,
    TAG,
    maybe_quoted,
    proved,
    skip,
)

if TYPE_CHECKING:
    from s3img.rewrite.html.elements import ElementRule, Elements
    from s3img.rewrite.reference import Reference
    from s3img.rewrite.source import Source

Finder = Callable[["Source", int, int], Iterable["Reference"]]

HELD_BACK = 16
"""Bytes at the end of a part that may belong to an end tag or a mark which continues in the next part."""

_SWITCH = re.compile(rb"<!--[\t\n\f\r ]{0,16}s3img:(on|off)[\t\n\f\r ]{0,16}--!?>")
_LOOK_AHEAD = 64  # bytes that tell what kind of comment one is
_CDATA = b"<![CDATA["


def raw_text_end(code: bytes, at: int, end: int, context: Context) -> int | None:
    """Return where the raw text element (its end tag) or the comment (behind it) that is open ends."""
    if context.inside == b"--":
        comment = COMMENT_END.search(code, at, end)
        return comment.end() if comment else None
    if context.inside == b"script":
        return script_end(code, at, end, context)
    pattern = END_TAG.get(context.inside)
    found = pattern.search(code, at, end) if pattern else None
    return found.start() if found else None


def script_end(code: bytes, at: int, end: int, context: Context) -> int | None:
    """Find the end tag of a script: behind ``<!--`` every ``<script`` protects one ``</script``.

    Leaves the state ``HELD_BACK`` bytes before the end in the context: 0 script data, 1 escaped, 2 double escaped
    (https://html.spec.whatwg.org/#script-data-escaped-state).
    """
    state = context.escape
    found = END_TAG[b"script"].search(code, at, end)
    # nearly every script: nothing before its end tag can change the state
    if found and not state and code.find(b"<!--", at, found.start()) < 0:
        return found.start()
    while mark := SCRIPT_MARK.search(code, at, end):
        start, at = mark.span()
        if mark[0].startswith(b"<!"):
            at = start + 2  # its dashes may be those of "-->"
            state = max(state, 1)
        elif mark[0].startswith(b"-"):
            state = 0
        elif not mark[0].startswith(b"</"):
            state = 2 if state else 0
        elif state < 2:
            return start
        else:
            state = 1
        if start < end - HELD_BACK:  # a later mark is read again, with the next part
            context.escape = state
    return None


class Scanner:
    """Scans one document, or the next part of one: ``final`` is false while more may follow.

    Each method reads one construct: it takes the offset where that starts and returns where to go on. One that is not
    complete stops the scan: then it returns its start. ``head`` is the offset of ``</head>`` if that was looked for,
    and found.
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

    def scan(self, at: int, end: int) -> int:
        """Collect the references between two offsets; return up to where everything is decided."""
        context = self._context
        self._end = self._styles.end = end
        while at < end and not self._stopped:
            if context.inside:
                at = self.raw_text(at)
            elif context.opened:
                at = self.foreign(at)
            else:
                at = self.html(at)
        return at

    def _stop(self, at: int) -> int:
        """Go no further: what starts at this offset is not complete."""
        self._stopped = True
        return at

    # HTML ------------------------------------------------------------------------------------------------------------

    def html(self, at: int) -> int:
        """Scan HTML from a proven offset, up to the end or to foreign content or raw text."""
        code, end, context, styles = self._code, self._end, self._context, self._styles
        element = self._collect.element
        plain = self._elements.plain
        search = self._elements.in_picture.search if context.pictures else self._elements.anchor.search
        while found := search(code, at, end):
            start, name_end = found.span()
            known = proved(code, at, start, end)
            if known < 0:
                break
            if styles.next <= known:
                styles.between(at, known)
            at = known
            if known != start:  # the anchor stood in a value or a comment; look again behind that
                continue
            name = code[start + 1 : name_end].lower()
            rule = plain.get(name)
            if rule is not None:
                at = element(rule, start, name_end, end)
                if at < 0:
                    return self._stop(start)
                continue
            at = self.comment(start) if name == b"!" else self.start_tag(name, start, name_end)
            if self._stopped or context.inside or context.opened:
                return at
            search = self._elements.in_picture.search if context.pictures else self._elements.anchor.search
        return self.rest(at)

    def rest(self, at: int) -> int:
        """Finish a stretch without further anchors."""
        code, end = self._code, self._end
        if not self._final:
            greater = code.rfind(b">", at, end)
            plain = greater >= 0 and not maybe_quoted(code, at, greater)
            end = skip(code, greater + 1 if plain else at, end)
            end -= code.endswith(b"<", at, end)
        if self._styles.next <= end:
            self._styles.between(at, end)
        return self._stop(end)

    def tag(self, rule: ElementRule | None, start: int, name_end: int) -> int:
        """Collect from a start tag, without a rule from its ``style`` attribute; return its end, -1 if it has none."""
        if rule is not None:
            return self._collect.element(rule, start, name_end, self._end)
        tag = TAG.match(self._code, start, self._end)
        if tag is None:
            return -1
        self._styles.on(tag)
        return tag.end()

    def start_tag(self, name: bytes, start: int, name_end: int) -> int:
        """Read a tag that names images or changes what follows it."""
        rule = self._elements.rules.get(name)
        after = self.tag(rule, start, name_end)
        if after < 0:
            return self._stop(start)
        context, role = self._context, self._elements.roles.get(name)
        if role is None:
            return after
        if role is Role.NOSCRIPT:
            return self.noscript(start, after)
        if role is Role.HEAD_END:
            self.head = start
            return self._stop(start)
        if role is Role.RAW_TEXT:
            context.inside, context.escape = name, 0
            context.held = name == b"style" or (name == b"script" and self._is_json_ld(start, after))
        elif role is Role.BASE:
            self.base(start, after)
        elif role is not Role.FOREIGN:
            context.pictures = max(0, context.pictures + (1 if role is Role.PICTURE else -1))
        elif not tokens.is_empty(self._code, start, after):
            context.opened.open_root(name)
        return after

    def base(self, start: int, after: int) -> None:
        """Note the address that later URLs count from: that of the first ``<base href>``."""
        context = self._context
        if context.base is None and not context.noscript:
            href = tokens.value(self._source, start, after, b"href")
            context.base = None if href is None else href.strip(SPACES.decode())

    def noscript(self, start: int, after: int) -> int:
        """Scan up to ``</noscript`` as a document of its own, so that nothing in it can hide what follows."""
        context = self._context
        if context.noscript:
            return after
        closing = END_TAG[b"noscript"].search(self._code, after, self._end)
        if closing is None and not self._final:
            return self._stop(start)
        end = closing.start() if closing else self._end
        inner = Context(base=context.base, off=context.off, noscript=True)
        Scanner(self._source, self._elements, inner, self._collect.found).scan(after, end)
        context.off = inner.off
        return end

    def comment(self, start: int) -> int:
        """Pass over what begins with ``<!``; the comments ``s3img:off`` and ``s3img:on`` count."""
        code, end, context = self._code, self._end, self._context
        if not code.startswith(b"--", start + 2):
            return self.bogus_comment(start)
        comment = COMMENT.match(code, start, end)
        if comment:
            if switch := _SWITCH.match(code, start, comment.end()):
                context.off = switch[1] == b"off"
            return comment.end()
        if end - start < _LOOK_AHEAD:
            return self._stop(start)
        context.inside = b"--"
        return start + 4

    def bogus_comment(self, start: int) -> int:
        """Pass over a bogus comment, a doctype or a processing instruction."""
        bogus = BOGUS.match(self._code, start, self._end)
        return bogus.end() if bogus else self._stop(start)

    # raw text --------------------------------------------------------------------------------------------------------

    def _is_json_ld(self, start: int, after: int) -> bool:
        kind = tokens.value(self._source, start, after, b"type") if self._json_ld else None
        return kind is not None and kind.split(";")[0].strip().lower() == "application/ld+json"

    def raw_text(self, at: int) -> int:
        """Go to the end of the raw text element or comment that is open."""
        context = self._context
        stop = raw_text_end(self._code, at, self._end, context)
        if context.held:
            if stop is None and not self._final:
                return self._stop(at)
            end = self._end if stop is None else stop
            if context.inside == b"style":
                self._collect.style_sheet(at, end)
            elif self._json_ld:
                self._collect.add(self._json_ld(self._source, at, end))
        if stop is None:
            return self._stop(self._end if self._final else max(at, self._end - HELD_BACK))
        context.inside, context.held = b"", False
        return stop

    # SVG and MathML --------------------------------------------------------------------------------------------------

    def foreign(self, at: int) -> int:
        """Scan foreign content, tag by tag, until the document is back in HTML."""
        opened = self._context.opened
        while opened and not self._stopped and not self._context.inside:
            less = self._code.find(b"<", at, self._end)
            current = opened.current
            if current and current[:2] == (b"svg", b"style"):
                if less < 0 and not self._final:
                    return self._stop(at)
                self._collect.style_text(at, self._end if less < 0 else less)
            if less < 0:
                return self._stop(self._end)
            at = self.foreign_markup(less)
        return at

    def foreign_markup(self, less: int) -> int:
        """Read what starts with a ``<`` in foreign content."""
        head = self._code[less : min(less + len(_CDATA), self._end)]
        if head == _CDATA and self._context.opened.current:
            return self.cdata_section(less)
        if not self._final and head != _CDATA and _CDATA.startswith(head):
            return self._stop(less)
        if head.startswith(b"<!"):
            return self.comment(less)
        name = head[2:3] if head.startswith(b"</") else head[1:2]
        if not name.isalpha():
            return self.bogus_comment(less) if head.startswith((b"</", b"<?")) else less + 1
        tag = TAG.match(self._code, less, self._end)
        if tag is None:
            return self._stop(less)
        return self.foreign_end_tag(tag) if head.startswith(b"</") else self.foreign_start_tag(tag)

    def cdata_section(self, start: int) -> int:
        """Pass over a CDATA section; in ``<style>`` it is a style sheet."""
        end = self._code.find(b"]]>", start + len(_CDATA), self._end)
        if end < 0:
            return self._stop(start)
        current = self._context.opened.current
        if current and current[:2] == (b"svg", b"style"):
            self._collect.style_sheet(start + len(_CDATA), end)
        return end + 3

    def foreign_end_tag(self, tag: re.Match[bytes]) -> int:
        """Leave the elements that an end tag closes."""
        name, opened = tag[1].lower(), self._context.opened
        if name == b"picture" and not opened.current:
            self._context.pictures = max(0, self._context.pictures - 1)
        opened.close(name)
        return tag.end()

    def foreign_start_tag(self, tag: re.Match[bytes]) -> int:
        """Read a start tag below ``<svg>`` or ``<math>``, by the rules of foreign content or of HTML."""
        name, opened, current = tag[1].lower(), self._context.opened, self._context.opened.current
        start, end = tag.span()
        value = partial(tokens.value, self._source, start, end)
        if opened.open(name, value, empty=tokens.is_empty(self._code, start, end)):
            rule = SVG_IMAGES.get(name) if current and current.namespace == b"svg" else None
            return self.tag(rule, start, tag.end(1))
        if not opened:  # the tag broke out of foreign content: HTML's scan reads it again
            return start
        at = self.start_tag(name, start, tag.end(1))
        if not self._stopped and self._elements.roles.get(name) in (None, Role.PICTURE):
            opened.open_html(name)
        return at
