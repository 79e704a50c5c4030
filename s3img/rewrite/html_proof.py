"""Whether a ``<`` is one for the tokenizer, decided from a few characters before it."""

from __future__ import annotations

from s3img.rewrite.html_grammar import BOGUS, SKIP, SPACES, TAG

_EQUALS = 0x3D


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
    double, single = code.rfind(b'"', at, offset), code.rfind(b"'", at, offset)
    return (double > at and _follows_equals(code, at, double)) or (single > at and _follows_equals(code, at, single))


def _follows_equals(code: bytes, at: int, mark: int) -> bool:
    before = mark - 1
    while before > at and code[before] in SPACES:
        before -= 1
    return code[before] == _EQUALS


def skip(code: bytes, at: int, end: int) -> int:
    """Return the start of the first construct that is not complete, ``end`` if all are."""
    found = SKIP.match(code, at, end)
    return found.end() if found else at
