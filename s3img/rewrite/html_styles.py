"""Find ``style`` attributes that name images on tags that are of no other interest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.rewrite import html_attributes
from s3img.rewrite.html_grammar import BOGUS, CSS_FUNCTION, TAG
from s3img.rewrite.html_proof import proved, skip

if TYPE_CHECKING:
    import re

    from s3img.rewrite.html_collect import Collector


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
            start = self._construct(at, inside, end)
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

    def _construct(self, at: int, inside: int, end: int) -> int:
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
        for attribute in html_attributes.raw(code, start, end):
            if attribute.name == b"style":
                element = self._collect.tag(tag[1].decode("latin-1").lower(), start, end)
                self._collect.style_attribute(attribute.start, attribute.end, element, attribute.quote)
                return
