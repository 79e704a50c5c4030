"""Image candidates of a ``srcset`` (https://html.spec.whatwg.org/#parsing-a-srcset-attribute)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


class Candidate(msgspec.Struct, frozen=True):
    """An image candidate: its URL, ``width`` and ``height`` in pixels, ``density`` in ``x``; None where not given."""

    url: str
    width: int | None = None
    density: float | None = None
    height: int | None = None


class CandidateSpan(NamedTuple):
    """Where a candidate's URL stands in a value, and the descriptors after it."""

    start: int
    end: int
    descriptors: list[str]


_SEPARATOR = re.compile(r"[\t\n\f\r ,]*+")
_URL = re.compile(r"[^\t\n\f\r ]++")
# one candidate's descriptors, up to its comma: parentheses protect white space and commas, and end with the value
_DESCRIPTORS = re.compile(r"(?:[^(,]++|\((?:[^)]*+\)?+))*+")
_DESCRIPTOR = re.compile(r"(?:[^\t\n\f\r (]++|\([^)]*+\)?+)++")
_NUMBER = re.compile(r"[0-9]++[wh]|-?(?:[0-9]++(?:\.[0-9]++)?+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+x")

_MOST_PIXELS = 2**31 - 1  # browsers drop candidates with larger widths and heights


def parse(value: str) -> list[Candidate]:
    """Return the candidates of a decoded attribute value; one with a bad descriptor is dropped, as in a browser."""
    found = []
    for start, end, descriptors in spans(value):
        candidate = candidate_of(value[start:end], descriptors)
        if candidate is not None:
            found.append(candidate)
    return found


def spans(value: str) -> Iterator[CandidateSpan]:
    """Yield every candidate's URL and descriptors, bad ones too."""
    at = 0
    while url := _URL.match(value, _end(_SEPARATOR, value, at)):
        start, at = url.span()
        text = url[0]
        if text.endswith(","):
            yield CandidateSpan(start, start + len(text.rstrip(",")), [])
            continue
        end, at = at, _end(_DESCRIPTORS, value, at)
        yield CandidateSpan(start, end, _DESCRIPTOR.findall(value, end, at))


def _end(pattern: re.Pattern[str], value: str, at: int) -> int:
    """Return where a pattern that may be empty ends."""
    found = pattern.match(value, at)
    return found.end() if found else at


def candidate_of(url: str, descriptors: list[str]) -> Candidate | None:
    """Return the candidate, None for descriptors that are unknown, repeated, out of range or don't go together."""
    given: dict[str, str] = {}
    for descriptor in descriptors:
        number = _NUMBER.fullmatch(descriptor)
        unit, amount = descriptor[-1], float(descriptor[:-1]) if number else -1.0
        if unit in given or not 0 <= amount < math.inf or (amount == 0 and unit != "x"):
            return None
        if unit != "x" and amount > _MOST_PIXELS:
            return None
        given[unit] = descriptor[:-1]
    if ("x" in given and len(given) > 1) or ("h" in given and "w" not in given):
        return None
    width, density, height = given.get("w"), given.get("x"), given.get("h")
    # float() reads digits without end; int() does not, but what is left here fits
    return Candidate(
        url,
        int(float(width)) if width else None,
        float(density) if density else None,
        int(float(height)) if height else None,
    )
