"""Whether a ``<`` is one for the tokenizer, decided from a few characters before it."""

from __future__ import annotations

from s3img.rewrite.html_grammar import BOGUS, SKIP, SPACES, TAG


def proved(code: bytes, at: int, start: int, end: int) -> int:
    """Return ``start`` if the tokenizer is in its data state there, given that it is at ``at``.

    Between the two stand only text, tags and bogus comments. If ``start`` is inside one of them the result is its end,
    or -1 if it has none before ``end``. The proof: a ``>`` behind the last ``<`` ends a tag or is text, unless it
    stands in a quoted value.
    """
    less = code.rfind(b"<", at, start)
    if less < 0:
        return start
    greater = code.rfind(b">", less, start)
    if greater >= 0 and not maybe_quoted(code, at, greater):
        return start
    whole = skip(code, at, start)
    if whole == start:
        return start
    over = TAG.match(code, whole, end) or BOGUS.match(code, whole, end)
    return over.end() if over else -1


def maybe_quoted(code: bytes, at: int, offset: int) -> bool:
    """Tell whether an offset may be inside a quoted value: only if the last such mark before it follows a ``=``."""
    return _opened(code, b'"', at, offset) or _opened(code, b"'", at, offset)


def _opened(code: bytes, mark: bytes, at: int, offset: int) -> bool:
    last = code.rfind(mark, at, offset) - 1
    while last >= at and code[last] in SPACES:
        last -= 1
    return last >= at and code[last] == 0x3D


def skip(code: bytes, at: int, end: int) -> int:
    """Return the start of the first construct that is not complete, ``end`` if all are."""
    found = SKIP.match(code, at, end)
    return found.end() if found else at
