"""Answers to what may be served: renderings, facts about pictures, and sources as they are."""

from __future__ import annotations

import mimetypes
from contextlib import ExitStack
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec
from werkzeug.wsgi import ClosingIterator, wrap_file

from s3img import imaging
from s3img.errors import AccessDenied, BucketError, ObjectNotFound
from s3img.service.caching import HINTS, hints_of, is_current, modern_formats, uses_hints, wanted_range
from s3img.service.engine.jobs import RenderJob, SourceRef
from s3img.service.service_request import Response
from s3img.transform.geometry import NO_HINTS

if TYPE_CHECKING:
    from s3img.limits import Limits
    from s3img.service.engine.jobs import EngineProtocol, Original, Result, SourceFacts
    from s3img.service.service_request import ServiceRequest
    from s3img.transform import Transform

_INFO: Final = "info/1"
_UNTYPED: Final = frozenset({"", "binary/octet-stream", "application/octet-stream"})
_CONDITIONS: Final = ("Range", "If-None-Match", "If-Modified-Since")
_ATTEMPTS: Final = 3


def answer_picture(request: ServiceRequest, engine: EngineProtocol, transform: Transform) -> Response:
    """Answer with the rendering; with the default image's where the source is missing and there is one.

    Raise what the engine raises, and SignatureError.
    """
    key = request.parsed.key
    try:
        return _answer_rendering(request, engine, transform, key)
    except (ObjectNotFound, AccessDenied):
        default = transform.output.default_image or request.route.default_image
        if not default or default == key:
            raise
        return _answer_rendering(request, engine, transform, default, fallback=True)


def _answer_rendering(
    request: ServiceRequest, engine: EngineProtocol, transform: Transform, key: str, *, fallback: bool = False
) -> Response:
    is_hinted = request.config.service.client_hints and uses_hints(transform)
    is_negotiated = transform.format == "auto"
    accept = modern_formats(request.headers.get("Accept", "")) if is_negotiated else None
    hints = hints_of(request.headers) if is_hinted else NO_HINTS
    version = "" if fallback else request.parsed.version
    inspect = partial(_inspect, request)

    def ask(origin: str) -> tuple[SourceRef, Result]:
        source = SourceRef(origin, key, version)
        return source, engine.result(RenderJob(source, transform, accept, hints), request.budget, inspect=inspect)

    source, result = request.first_of_origins(ask)
    response = request.respond(source, result.facts, result.etag, fallback=fallback)
    # Name the headers that the answer depends on, and no other: a cache keeps one copy for each of their values.
    if names := [*(["Accept"] if is_negotiated else []), *([HINTS] if is_hinted else [])]:
        response.headers["Vary"] = ", ".join(names)
    if is_hinted:
        response.headers["Accept-CH"] = HINTS
        response.headers["Content-DPR"] = f"{float(hints.dpr):.2f}".rstrip("0").rstrip(".")
    if fallback:
        response.headers["S3img-Fallback"] = "default-image"
    return _complete(request, source, result, response)


def answer_info(request: ServiceRequest, engine: EngineProtocol) -> Response:
    """Answer with what is known of a picture, as JSON; raise what the engine raises, and SignatureError."""
    make = partial(_describe_picture, limits=request.config.limits)
    inspect = partial(_inspect, request)

    def ask(origin: str) -> tuple[SourceRef, Result]:
        source = SourceRef(origin, request.parsed.key, request.parsed.version)
        return source, engine.derived(source, _INFO, make, request.budget, inspect=inspect)

    source, result = request.first_of_origins(ask)
    return _complete(request, source, result, request.respond(source, result.facts, result.etag))


def _describe_picture(data: bytes, *, limits: Limits) -> bytes:
    return msgspec.json.encode({"schema": f"s3img.{_INFO}", **imaging.describe(data, limits=limits)})


def _inspect(request: ServiceRequest, facts: SourceFacts, etag: str) -> bool:
    request.grant.check_source(facts)
    return is_current(request.headers, etag, facts)


def _complete(request: ServiceRequest, source: SourceRef, result: Result, response: Response) -> Response:
    """Complete an answer: 304 without a body where the client's copy is current, else the result's bytes."""
    request.add_timings(response.headers, result.timings)
    if result.unchanged:
        return request.unchanged(response)
    request.describe_body(response.headers, source, result.media_type, result.size)
    if not request.is_get:
        result.close()
    elif isinstance(result.body, bytes):
        response.body = [result.body]
    else:
        response.body = wrap_file(request.environ, result.body)
    return response


def answer_original(request: ServiceRequest, engine: EngineProtocol) -> Response:
    """Answer with a source's own bytes; raise what the engine raises, SignatureError, OutOfRange.

    The source is opened at once where all of it is wanted, else asked about first.
    """
    is_plain = request.is_get and not any(name in request.headers for name in _CONDITIONS)

    def ask(origin: str) -> tuple[SourceRef, SourceFacts, Original | None]:
        source = SourceRef(origin, request.parsed.key, request.parsed.version)
        if not is_plain:
            return source, engine.facts(source, request.budget), None
        opened = engine.original(source, request.budget)
        return source, opened.facts, opened

    source, facts, opened = request.first_of_origins(ask)
    for _ in range(_ATTEMPTS):
        found = _try_original(request, engine, source, facts, opened)
        if isinstance(found, Response):
            return found
        facts, opened = found, None
    raise BucketError("The source changes while it is read.", key=source.key)


def _try_original(
    request: ServiceRequest, engine: EngineProtocol, source: SourceRef, facts: SourceFacts, opened: Original | None
) -> Response | SourceFacts:
    """Return the answer, or other facts where the source was replaced since it was asked about."""
    with ExitStack() as stack:
        if opened:
            stack.callback(opened.close)
        request.grant.check_source(facts)
        response = request.respond(source, facts, facts.etag)
        if not opened and is_current(request.headers, facts.etag, facts):
            return request.unchanged(response)
        response.headers["Accept-Ranges"] = "bytes"
        part = wanted_range(request.headers, facts) if request.is_get else None
        start, stop = part or (0, facts.size)
        request.describe_body(response.headers, source, media_type(facts.media_type, source.key), stop - start)
        if part:
            response.status = 206
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{facts.size}"
        if not request.is_get:
            return response
        if not opened:
            opened = engine.original(source, request.budget, start=start, stop=stop if part else None)
            stack.callback(opened.close)
        if opened.facts.etag != facts.etag:
            return opened.facts
        first = next(opened.chunks, b"")  # a source that fails at once can still be answered with its error
        stack.pop_all()
    chunks = chain((first,), opened.chunks) if first else ()
    response.body = ClosingIterator(chunks, opened.close)  # closing `chunks` does nothing before the first `next`
    return response


def media_type(stored: str, key: str) -> str:
    """Return the type that was stored with a source, else the one that its key's suffix stands for."""
    if stored not in _UNTYPED:
        return stored
    suffix = key.rpartition(".")[2].lower()
    known = {"jpg": "image/jpeg", **imaging.MEDIA_TYPES}.get(suffix)
    guessed, encoding = mimetypes.guess_type(f"file.{suffix}")
    return known or (None if encoding else guessed) or "application/octet-stream"
