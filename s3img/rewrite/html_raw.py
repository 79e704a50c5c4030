"""Where raw text elements and comments end; how the tokenizer reads scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.rewrite.html_grammar import COMMENT_END, END_TAG, SCRIPT_MARK

if TYPE_CHECKING:
    from s3img.rewrite.html_collect import Context

HELD_BACK = 16
"""Bytes at the end of a part that may belong to an end tag or a mark which continues in the next part."""


def closing(code: bytes, at: int, end: int, context: Context) -> int | None:
    """Return where the raw text element (its end tag) or the comment (behind it) that is open ends."""
    if context.inside == b"--":
        comment = COMMENT_END.search(code, at, end)
        return comment.end() if comment else None
    if context.inside == b"script":
        return _script(code, at, end, context)
    pattern = END_TAG.get(context.inside)
    found = pattern.search(code, at, end) if pattern else None
    return found.start() if found else None


def _script(code: bytes, at: int, end: int, context: Context) -> int | None:
    """Find the end tag of a script: behind ``<!--`` every ``<script`` protects one ``</script``.

    Leaves the state ``HELD_BACK`` bytes before the end in the context: 0 script data, 1 escaped, 2 double escaped.
    """
    state = context.escape
    found = END_TAG[b"script"].search(code, at, end)
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
        if start < end - HELD_BACK:
            context.escape = state
    return None
