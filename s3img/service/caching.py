"""What HTTP lets a client and a cache say: whether a copy is current, how long it keeps, which range, which format."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from werkzeug import http
from werkzeug.datastructures import Accept, MIMEAccept, ResponseCacheControl

from s3img.pictures.result_names import is_private
from s3img.service.request_parsing import remember_short
from s3img.transform.geometry import NO_HINTS, Hints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.datastructures import Headers

    from s3img.config.service import ServiceSettings
    from s3img.service.access import Grant
    from s3img.service.engine.jobs import SourceFacts
    from s3img.transform import Transform

_YEAR: Final = 31_536_000
_FALLBACK_SECONDS: Final = 60
_HINT_NAMES: Final = ("Sec-CH-DPR", "Sec-CH-Width")
HINTS: Final = ", ".join(_HINT_NAMES)
_MODERN: Final = ("image/avif", "image/webp")


def is_current(headers: Headers, etag: str, facts: SourceFacts) -> bool:
    """Evaluate ``If-None-Match`` (lists, weak tags, ``*``) and, without it, ``If-Modified-Since`` (RFC 9110, 13.1)."""
    if (wanted := headers.get("If-None-Match")) is not None:
        return wanted == f'"{etag}"' or http.parse_etags(wanted).contains_weak(etag)
    since = http.parse_date(headers.get("If-Modified-Since"))
    return since is not None and facts.modified.replace(microsecond=0) <= since


def cache_control(
    settings: ServiceSettings,
    facts: SourceFacts,
    grant: Grant,
    *,
    pinned: bool,
    fallback: bool,
    private: bool,
    now: float,
    layers: Iterable[SourceFacts] = (),
) -> str:
    """Return how long an answer may be kept.

    A year for content that can't change (``pinned`` to a version, or stored as immutable), else ``max_age``; never
    longer than the headers of the source and of its ``layers`` allow, than a signature holds, or than a minute for a
    ``fallback``. Pictures that are private or have a private layer, and answers to ``private`` requests, stay out of
    shared caches.
    """
    every = (facts, *layers)
    return _cache_control(
        tuple(one.cache_control for one in every),
        settings.max_age,
        settings.stale_while_revalidate,
        int(grant.expires - now) if grant.expires else None,
        is_private=private or settings.private or any(map(is_private, every)),
        is_pinned=pinned,
        is_fallback=fallback,
    )


@lru_cache(maxsize=1024)  # a bucket's objects have a few values
def _cache_control(
    stored: tuple[str, ...],
    max_age: int,
    stale: int,
    left: int | None,
    *,
    is_private: bool,
    is_pinned: bool,
    is_fallback: bool,
) -> str:
    sources = [http.parse_cache_control_header(one, cls=ResponseCacheControl) for one in stored]
    if any(source.no_store for source in sources):
        return "no-store"
    # A pinned source may have layers that change all the same.
    is_fixed = (is_pinned or sources[0].immutable) and all(source.immutable for source in sources[1:])
    bounds = [_YEAR if is_fixed else max_age, left, _FALLBACK_SECONDS if is_fallback else None]
    bounds += [bound for source in sources for bound in (source.max_age, 0 if source.no_cache else None)]
    usual, age = bounds[0], max(0, min(bound for bound in bounds if bound is not None))
    is_kept_private = is_private or any(source.private for source in sources)
    parts = ["private" if is_kept_private else "public", f"max-age={age}"]
    if age == _YEAR and is_fixed:
        parts.append("immutable")
    elif stale and age == usual:
        parts.append(f"stale-while-revalidate={stale}")
    return ", ".join(parts)


class OutOfRange(Exception):
    """A range begins behind the end of ``size`` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The source has {size} bytes. Ask for some of them.")
        self.size = size


def wanted_range(headers: Headers, facts: SourceFacts) -> tuple[int, int] | None:
    """Return start and stop (exclusive) of the range to send, None for all bytes; raise OutOfRange.

    A header that is malformed, of another unit, of several ranges, or of an older copy (``If-Range``) is ignored, as
    RFC 9110, section 14.2, allows.
    """
    wanted = http.parse_range_header(headers.get("Range"))
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    if (text := headers.get("If-Range")) is not None:
        if_range = http.parse_if_range_header(text)
        if if_range.date is not None:
            is_same = if_range.date == facts.modified.replace(microsecond=0)
        else:  # a strong comparison (section 13.1.5): a weak tag never fits
            is_same = if_range.etag == facts.etag and not text.lstrip().startswith("W/")
        if not is_same:
            return None
    start, end = wanted.ranges[0]
    start = max(0, facts.size + start) if start < 0 else start
    stop = facts.size if end is None else min(end, facts.size)
    if start >= stop:
        raise OutOfRange(facts.size)
    return start, stop


@remember_short
def modern_formats(accept: str) -> frozenset[str]:
    """Return the modern media types that an ``Accept`` header names and likes best of them.

    A wildcard is not a sign that a client can show them: browsers that can't send one too. ``q=0`` means no.
    """
    offered = {value.lower(): quality for value, quality in http.parse_accept_header(accept, MIMEAccept)}
    liked = {name: offered[name] for name in _MODERN if offered.get(name, 0) > 0}
    best = max(liked.values(), default=0)
    return frozenset(name for name, quality in liked.items() if quality == best)


def accepts_codings(accept_encoding: str, codings: Iterable[str]) -> bool:
    """Tell whether a client names all of these content codings; without the header, few can read any."""
    offered = http.parse_accept_header(accept_encoding, Accept)
    return all(offered[name] > 0 for name in codings)


def wants_json(accept: str) -> bool:
    """Tell whether a client prefers JSON to text."""
    offered = http.parse_accept_header(accept, MIMEAccept)
    return offered.best_match(["text/plain", "application/json"], default="text/plain") == "application/json"


def uses_hints(transform: Transform) -> bool:
    """Tell whether a transform asks for the client's screen (``dpr-auto``, ``w-auto``)."""
    return any("auto" in {one.width, one.dpr} for step in transform.steps for one in step.every())


def hints_of(headers: Headers) -> Hints:
    """Read client hints; the density is rounded up to a half, at most 4, so that few variants are made of one."""
    hints = Hints.from_headers({name: headers.get(name, "") for name in _HINT_NAMES})
    if hints == NO_HINTS:
        return hints
    dpr = min(Fraction(math.ceil(Fraction(hints.dpr) * 2), 2), Fraction(4))
    width = None if hints.width is None else -(-hints.width // 100) * 100
    return Hints(dpr=dpr, width=width)
