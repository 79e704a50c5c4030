"""Rewrite HTML while it arrives; only what is not complete yet is held back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.rewrite.charset import codec
from s3img.rewrite.document import NO_EXTRA
from s3img.rewrite.html import scanner
from s3img.rewrite.html.collector import Context
from s3img.rewrite.source import from_bytes
from s3img.rewrite.splice import edits, splice

if TYPE_CHECKING:
    from collections.abc import Collection

    from s3img.rewrite.reference import Extra, Reference, Replace

_PATIENCE = 4096  # bytes from which a held construct is only looked at again when it has doubled


class Stream:
    """Rewrites an HTML document that comes in pieces.

    The joined output of ``feed`` and ``finish`` is that of ``rewrite`` for the whole document, however it was cut.
    A construct of more than ``max_hold`` bytes that has to be seen whole (a tag, ``<style>``, ``<noscript>``) ends
    rewriting: it and the rest pass unchanged. UTF-16 and encodings that browsers refuse pass unchanged. Offsets of
    references count from somewhere inside the document.
    """

    def __init__(
        self,
        replace: Replace,
        *,
        charset: str = "utf-8",
        max_hold: int = 262_144,
        optional: Collection[str] = (),
        extra: Extra = NO_EXTRA,
    ) -> None:
        self._replace = replace
        self._charset = codec(charset) or ""
        self._max_hold = max_hold
        self._optional = optional
        self._extra = extra
        self._context = Context()
        self._held = b""
        self._wanted = 0
        self._passing = not self._charset or self._charset.startswith("utf-16")

    def feed(self, chunk: bytes) -> bytes:
        """Take the next piece and return what is ready; possibly nothing."""
        if self._passing:
            return chunk
        self._held += chunk
        if len(self._held) < self._wanted:
            return b""
        out = self._advance(final=False)
        self._wanted = 2 * len(self._held) if len(self._held) > _PATIENCE else 0
        if len(self._held) > self._max_hold:
            self._passing = True
            out += self._held
            self._held = b""
        return out

    def finish(self) -> bytes:
        """Return the rest; the stream takes no more."""
        out = b"" if self._passing else self._advance(final=True)
        self._passing = True
        held, self._held = self._held, b""
        return out + held

    def _advance(self, *, final: bool) -> bytes:
        source = from_bytes(self._held, self._charset)
        found: list[Reference] = []
        part = scanner(source, self._context, found, optional=self._optional, extra=self._extra, final=final)
        decided = part.scan(0, len(self._held))
        out = splice(self._held, edits(source, found, self._replace), 0, decided)
        self._held = self._held[decided:]
        return out
