"""Whether a client's copy is current, and how long caches may keep an answer."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from werkzeug.datastructures import MIMEAccept, ResponseCacheControl
from werkzeug.http import parse_accept_header, parse_cache_control_header, parse_date, parse_etags

from s3img.service.access import is_private
from s3img.service.request_target import remember_short
from s3img.transform.geometry import NO_HINTS, Hints

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from s3img.config.service import ServiceSettings
    from s3img.service.access import Grant
    from s3img.service.engine.requests import Facts
    from s3img.transform import Transform

NO_STORE: Final = "no-store"

_YEAR: Final = 31_536_000

_FALLBACK_SECONDS: Final = 60


def is_current(headers: Headers, etag: str, facts: Facts) -> bool:
    """Evaluate ``If-None-Match`` (lists, weak tags, ``*``) and, without it, ``If-Modified-Since`` (RFC 9110, 13.1)."""
    if (wanted := headers.get("If-None-Match")) is not None:
        return wanted == f'"{etag}"' or parse_etags(wanted).contains_weak(etag)
    since = parse_date(headers.get("If-Modified-Since"))
    return since is not None and facts.modified.replace(microsecond=0) <= since


def cache_control(
    settings: ServiceSettings, facts: Facts, grant: Grant, *, pinned: bool, fallback: bool, now: float
) -> str:
    """Return how long an answer may be kept.

    A year for content that can't change (``pinned`` to a version, or stored as immutable), else ``max_age``; never
    longer than the source's own header says, than a signature holds, or than a minute for a ``fallback``. Private
    pictures stay out of shared caches.
    """
    return _said(
        facts.cache_control,
        settings.max_age,
        settings.stale_while_revalidate,
        int(grant.expires - now) if grant.expires else None,
        is_private=is_private(facts),
        is_pinned=pinned,
        is_fallback=fallback,
    )


@lru_cache(maxsize=1024)  # a bucket's objects have a few values
def _said(
    text: str, max_age: int, stale: int, left: int | None, *, is_private: bool, is_pinned: bool, is_fallback: bool
) -> str:
    said = parse_cache_control_header(text, cls=ResponseCacheControl)
    if said.no_store:
        return NO_STORE
    is_fixed = is_pinned or said.immutable
    usual = _YEAR if is_fixed else max_age
    bounds = (usual, said.max_age, left, _FALLBACK_SECONDS if is_fallback else None, 0 if said.no_cache else None)
    age = max(0, min(bound for bound in bounds if bound is not None))
    parts = ["private" if is_private or said.private else "public", f"max-age={age}"]
    if age == _YEAR and is_fixed:
        parts.append("immutable")
    elif stale and age == usual:
        parts.append(f"stale-while-revalidate={stale}")
    return ", ".join(parts)


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
