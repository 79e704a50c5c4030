"""Turn attribute values and style sheets of an HTML document into references."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from s3img.rewrite import css, quoting, srcset
from s3img.rewrite.html import entities, tokens
from s3img.rewrite.html.elements import TAG_ENDS
from s3img.rewrite.html.open_elements import OpenElements
from s3img.rewrite.html.tokens import BOGUS, CSS_FUNCTION, SPACES, TAG, proved, skip
from s3img.rewrite.reference import Encoder, Reference, Tag

if TYPE_CHECKING:
    import re
    from collections.abc import Container, Iterable, Iterator

    from s3img.rewrite.html.elements import ElementRule
    from s3img.rewrite.source import Source

_WHITE = SPACES.decode()

_QUOTES = {b'"': '"', b"'": "'"}


class Context:
    """What the scanner carries from one part of a document to the next.

    ``base``: see ``Reference``; ``pictures``: open ``<picture>`` elements; ``off``: in a switched-off region;
    ``opened``: foreign elements; ``inside``: the name of the raw text element (``--`` for a comment) that is open,
    ``held`` when its content is to be looked at, ``escape`` the state of the tokenizer in a script.
    """

    __slots__ = ("base", "escape", "held", "inside", "noscript", "off", "opened", "pictures")

    def __init__(self, *, base: str | None = None, off: bool = False, noscript: bool = False) -> None:
        self.base = base
        self.off = off
        self.noscript = noscript
        self.pictures = 0
        self.opened = OpenElements()
        self.inside = b""
        self.held = False
        self.escape = 0


def trimmed(code: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the span without the white space around."""
    raw = code[start:end]
    start += len(raw) - len(raw.lstrip(SPACES))
    return start, start + len(raw.strip(SPACES))


def span(found: re.Match[bytes]) -> tuple[int, int, str]:
    """Return the span of the value of an attribute without its quotes, and the quote; an empty one without value."""
    start, end = found.span(2)
    if start >= 0:
        return start, end, '"'
    start, end = found.span(3)
    quote = _QUOTES.get((found[3] or b"")[:1], "")
    return start + len(quote), end - len(quote), quote


class Collector:
    """Collects the references of one document in ``found``."""

    __slots__ = ("_code", "_read", "_text", "context", "found")

    def __init__(self, source: Source, context: Context, found: list[Reference]) -> None:
        self._code = source.code
        self._text = source.text
        self._read = partial(tokens.read, source)
        self.context = context
        self.found = found

    def tag(self, name: str, start: int, end: int) -> Tag:
        """Return a start tag that stands where the scanner is."""
        context = self.context
        return Tag(name, start, end, self._read, context.pictures > 0, context.noscript, context.off)

    def element(self, rule: ElementRule, start: int, at: int, end: int) -> int:
        """Collect from a start tag whose name ends at ``at``, in source order; return its end, -1 if it has none."""
        code, step = self._code, rule.step.match
        found = step(code, at, end)
        if found and found.lastindex == TAG_ENDS and (plain := found[2]) and not rule.conditional:  # most images
            syntax, kind = rule.wanted[found[1].lower()]
            if syntax == "url":
                low, high = found.span(2)
                tag, url, encoder = self.tag(rule.name, start, found.end()), plain.decode(), quoting.in_double_quotes
                self.found.append(Reference(low, high, url, kind, tag, self.context.base, encoder))
                return tag.end
        values: dict[bytes, re.Match[bytes]] = {}
        while found and (last := found.lastindex):
            at = found.end()
            if name := found[1]:
                values.setdefault(name.lower(), found)  # of a repeated attribute the first counts
            if last == TAG_ENDS:
                if values:
                    self._values(rule, start, at, values)
                return at
            found = step(code, at, end)
        return -1

    def _values(self, rule: ElementRule, start: int, end: int, values: dict[bytes, re.Match[bytes]]) -> None:
        counts: Container[bytes] = values
        if rule.conditional:
            read = {name: entities.decode(self._text(*span(values[name])[:2])) for name in rule.read if name in values}
            counts = (values.keys() - rule.conditional) | set(rule.when(read))
        tag = None
        for name, found in values.items():
            if name not in rule.wanted or name not in counts:
                continue
            syntax, kind = rule.wanted[name]
            tag = tag or self.tag(rule.name, start, end)
            low, high, quote = span(found)
            if syntax == "url":
                self.url(low, high, kind, tag, quoting.WHOLE[quote])
            elif syntax == "srcset":
                self.srcset(low, high, kind, tag, quote)
            else:
                self.style_attribute(low, high, tag, quote, kind)

    def url(self, start: int, end: int, kind: str, tag: Tag | None, encoder: Encoder) -> None:
        """Collect one URL."""
        raw = self._code[start:end]
        text = raw.decode() if raw.isascii() else self._text(start, end)
        url = text.strip(_WHITE)
        if len(url) != len(text):
            start, end = trimmed(self._code, start, end)
        if "&" in url:
            url = entities.decode(url).strip(_WHITE)
        if url:
            if "\0" in url:
                url = url.replace("\0", "\ufffd")
            self.found.append(Reference(start, end, url, kind, tag, self.context.base, encoder))

    def srcset(self, start: int, end: int, kind: str, tag: Tag, quote: str) -> None:
        """Collect the URL of every image candidate."""
        encoder = quoting.srcset(quote)
        if self._code.find(b"&", start, end) < 0:
            for span in srcset.spans(self._code[start:end].decode("latin-1")):
                self.url(start + span.start, start + span.end, kind, tag, encoder)
            return
        flat = entities.flatten(self._code, start, end)
        for span in srcset.spans(flat.code.decode("latin-1")):
            self.url(flat.starts[span.start], flat.ends[span.end - 1], kind, tag, encoder)

    def style_attribute(self, start: int, end: int, tag: Tag, quote: str, kind: str = "css url") -> None:
        """Collect from the declarations in an attribute value."""
        for low, high, css_quote in self._declared(start, end, attribute=True):
            self._css(low, high, tag, quoting.style_attribute(quote, css_quote), kind)

    def _declared(self, start: int, end: int, *, attribute: bool) -> Iterator[css.CssSpan]:
        if self._code.find(b"&", start, end) < 0:
            yield from css.spans(self._code, start, end)
            return
        flat = entities.flatten(self._code, start, end, attribute=attribute)
        for span in css.spans(flat.code, 0, len(flat.code)):
            yield css.CssSpan(flat.starts[span.start], flat.ends[span.end - 1], span.quote)

    def _css(self, start: int, end: int, tag: Tag | None, encoder: Encoder, kind: str, *, raw: bool = False) -> None:
        start, end = trimmed(self._code, start, end)
        text = self._text(start, end)
        url = css.unescape(text if raw else entities.decode(text)).strip(_WHITE).replace("\0", "\ufffd")
        if url:
            self.found.append(Reference(start, end, url, kind, tag, self.context.base, encoder))

    def style_sheet(self, start: int, end: int) -> None:
        """Collect from a raw style sheet: the content of ``<style>`` in HTML, or a CDATA section of one in SVG."""
        if not self.context.off:
            for low, high, quote in css.spans(self._code, start, end):
                self._css(low, high, None, quoting.style_element(quote), "css url", raw=True)

    def style_text(self, start: int, end: int) -> None:
        """Collect from text of ``<style>`` in SVG, where character references count."""
        if not self.context.off:
            for low, high, quote in self._declared(start, end, attribute=False):
                self._css(low, high, None, quoting.style_text(quote), "css url")

    def add(self, references: Iterable[Reference]) -> None:
        """Collect what another finder found in a part of the document."""
        if not self.context.off:
            self.found += (msgspec.structs.replace(found, base=self.context.base) for found in references)


class StyleAttributes:
    """A cursor over ``url(`` and ``image-set(``: most pages have few, so a tag is only read when it holds one.

    ``next`` is an offset up to which there is none, ``end`` the one up to which to look.
    """

    __slots__ = ("_code", "_collect", "end", "next")

    def __init__(self, code: bytes, collect: Collector) -> None:
        self._code = code
        self._collect = collect
        self.next = 0
        self.end = len(code)

    def _seek(self, at: int) -> int:
        """Return where the first function argument that starts after an offset starts."""
        if self.next <= at:
            found = CSS_FUNCTION.search(self._code, at, self.end)
            self.next = found.end() if found else self.end + 1
        return self.next

    def between(self, at: int, end: int) -> None:
        """Collect from the ordinary tags between a proven offset and another one."""
        code = self._code
        while at >= 0 and (inside := self._seek(at)) <= end:
            start = self._construct_start(at, inside, end)
            tag = (TAG.match(code, start, end) or BOGUS.match(code, start, end)) if start < inside else None
            if tag and tag.end() > inside:
                self._read(tag)
                at = tag.end()
            elif tag or start == inside:  # a function in text
                at = code.find(b"<", inside, end)
            else:  # in a tag that has no end
                return

    def on(self, tag: re.Match[bytes]) -> None:
        """Collect from one tag."""
        if self._seek(tag.start()) <= tag.end():
            self._read(tag)

    def _construct_start(self, at: int, inside: int, end: int) -> int:
        """Return the start of the tag or bogus comment that an offset is in or behind, the offset if it is in text."""
        code = self._code
        less = code.rfind(b"<", at, inside)
        if less < 0:
            return inside
        if code[less + 1 : less + 2].isalpha() and proved(code, at, less, end) == less:
            return less
        return skip(code, at, inside)

    def _read(self, tag: re.Match[bytes]) -> None:
        code, (start, end) = self._code, tag.span()
        if tag.lastindex is None or code[start + 1] == 0x2F:
            return
        for attribute in tokens.raw(code, start, end):
            if attribute.name == b"style":
                element = self._collect.tag(tag[1].decode("latin-1").lower(), start, end)
                self._collect.style_attribute(attribute.start, attribute.end, element, attribute.quote)
                return
