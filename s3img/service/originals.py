"""Answers with sources as they are: any file type, whole or a range of its bytes."""

from __future__ import annotations

import mimetypes
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, Final

from werkzeug.wsgi import ClosingIterator

from s3img.errors import BucketError
from s3img.imaging import MEDIA_TYPES
from s3img.service.answer import Answer
from s3img.service.caching import is_current
from s3img.service.engine.requests import SourceRef
from s3img.service.origins import first_of
from s3img.service.ranges import wanted_range

if TYPE_CHECKING:
    from s3img.service.engine.requests import EngineProtocol, Facts, Original
    from s3img.service.service_request import ServiceRequest

_UNTYPED: Final = frozenset({"", "binary/octet-stream", "application/octet-stream"})
_CONDITIONS: Final = ("Range", "If-None-Match", "If-Modified-Since")
_ATTEMPTS: Final = 3


def original(exchange: ServiceRequest, engine: EngineProtocol) -> Answer:
    """Answer with a source's own bytes; raise what the engine raises, SignatureError, OutOfRange.

    The source is opened at once where all of it is wanted, else asked about first.
    """
    is_plain = exchange.is_get and not any(name in exchange.headers for name in _CONDITIONS)

    def ask(origin: str) -> tuple[SourceRef, Facts, Original | None]:
        source = SourceRef(origin, exchange.asked.key, exchange.asked.version)
        if not is_plain:
            return source, engine.facts(source, exchange.budget), None
        opened = engine.original(source, exchange.budget)
        return source, opened.facts, opened

    source, facts, opened = first_of(exchange.origins, ask)
    for _ in range(_ATTEMPTS):
        found = _answer(exchange, engine, source, facts, opened)
        if isinstance(found, Answer):
            return found
        facts, opened = found, None
    raise BucketError("The source changes while it is read.", key=source.key)


def _answer(
    exchange: ServiceRequest, engine: EngineProtocol, source: SourceRef, facts: Facts, opened: Original | None
) -> Answer | Facts:
    """Return the answer, or other facts where the source was replaced since it was asked about."""
    with ExitStack() as stack:
        if opened:
            stack.callback(opened.close)
        exchange.grant.check_source(facts)
        answer = exchange.answer(source, facts, facts.etag)
        if not opened and is_current(exchange.headers, facts.etag, facts):
            return exchange.unchanged(answer)
        start, stop = _describe(exchange, source, facts, answer)
        if not exchange.is_get:
            return answer
        if not opened:
            opened = engine.original(source, exchange.budget, start=start, stop=stop)
            stack.callback(opened.close)
        if opened.facts.etag != facts.etag:
            return opened.facts
        first = next(opened.chunks, b"")  # a source that fails at once can still be answered with its error
        stack.pop_all()
    chunks = chain((first,), opened.chunks) if first else ()
    answer.body = ClosingIterator(chunks, opened.close)  # the iterator's own closes nothing before it began
    return answer


def _describe(exchange: ServiceRequest, source: SourceRef, facts: Facts, answer: Answer) -> tuple[int, int | None]:
    """Say which bytes are sent; return where they start and stop (exclusive, None: at the end)."""
    answer.headers["Accept-Ranges"] = "bytes"
    part = wanted_range(exchange.headers, facts) if exchange.is_get else None
    start, stop = part or (0, facts.size)
    exchange.describe(answer.headers, source, media_type(facts.media_type, source.key), stop - start)
    if part:
        answer.status = 206
        answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{facts.size}"
    return part or (0, None)


def media_type(stored: str, key: str) -> str:
    """Return the type that was stored with a source, else the one that its key's suffix stands for."""
    if stored not in _UNTYPED:
        return stored
    suffix = key.rpartition(".")[2].lower()
    known = {"jpg": "image/jpeg", **MEDIA_TYPES}.get(suffix)
    guessed, encoding = mimetypes.guess_type(f"file.{suffix}")
    return known or (None if encoding else guessed) or "application/octet-stream"
