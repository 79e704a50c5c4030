"""What a client takes: formats by ``Accept``, screens by client hints, and what the answer varies by."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from s3img.geometry import NO_HINTS, Hints
from s3img.service.memo import remember_short

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from s3img.transform import Transform

_NAMES: Final = ("Sec-CH-DPR", "Sec-CH-Width")
HINTS: Final = ", ".join(_NAMES)
_MODERN: Final = ("image/avif", "image/webp")
_MOST: Final = Fraction(4)


@remember_short
def modern_formats(accept: str) -> frozenset[str]:
    """Return the modern media types that an ``Accept`` header names and likes best of them.

    A wildcard is no sign that a client can show them: browsers that can't send one too. ``q=0`` means no.
    """
    offered = {value.lower(): quality for value, quality in parse_accept_header(accept, MIMEAccept)}
    liked = {name: offered[name] for name in _MODERN if offered.get(name, 0) > 0}
    best = max(liked.values(), default=0)
    return frozenset(name for name, quality in liked.items() if quality == best)


def wants_json(accept: str) -> bool:
    """Tell whether a client prefers JSON to text."""
    offered = parse_accept_header(accept, MIMEAccept)
    return offered.best_match(["text/plain", "application/json"], default="text/plain") == "application/json"


def is_negotiated(transform: Transform) -> bool:
    """Tell whether a rendering's format follows from the client."""
    return transform.format == "auto"


def uses_hints(transform: Transform) -> bool:
    """Tell whether a transform asks for the client's screen (``dpr-auto``, ``w-auto``)."""
    return any("auto" in {step.width, step.dpr} for step in transform.steps)


def hints_of(headers: Headers) -> Hints:
    """Read client hints; the density is rounded up to a half, at most 4, so that few variants are made of one."""
    hints = Hints.from_headers({name: headers.get(name, "") for name in _NAMES})
    if hints == NO_HINTS:
        return hints
    dpr = min(Fraction(math.ceil(Fraction(hints.dpr) * 2), 2), _MOST)
    width = None if hints.width is None else -(-hints.width // 100) * 100
    return Hints(dpr=dpr, width=width)
