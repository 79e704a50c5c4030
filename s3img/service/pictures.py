"""Answers to requests for renderings: found or made by the engine, told to the client as HTTP has it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from werkzeug.wsgi import wrap_file

from s3img import imaging
from s3img.errors import AccessDenied, ObjectNotFound
from s3img.service.caching import HINTS, hints_of, is_current, is_negotiated, modern_formats, uses_hints
from s3img.service.engine.requests import RenderJob, SourceRef
from s3img.service.origins import first_of
from s3img.transform.geometry import NO_HINTS

if TYPE_CHECKING:
    from s3img.limits import Limits
    from s3img.service.answer import Answer
    from s3img.service.engine.requests import EngineProtocol, Facts, Result
    from s3img.service.service_request import ServiceRequest
    from s3img.transform import Transform


def picture(exchange: ServiceRequest, engine: EngineProtocol, transform: Transform) -> Answer:
    """Answer with the rendering; with the default image's where the source is missing and there is one.

    Raise what the engine raises, and SignatureError.
    """
    asked = exchange.asked
    try:
        return _rendering(exchange, engine, transform, asked.key)
    except (ObjectNotFound, AccessDenied):
        default = transform.output.default_image or exchange.route.default_image
        if not default or default == asked.key:
            raise
        return _rendering(exchange, engine, transform, default, fallback=True)


def _rendering(
    exchange: ServiceRequest, engine: EngineProtocol, transform: Transform, key: str, *, fallback: bool = False
) -> Answer:
    is_hinted = exchange.config.service.client_hints and uses_hints(transform)
    accept = modern_formats(exchange.headers.get("Accept", "")) if is_negotiated(transform) else None
    hints = hints_of(exchange.headers) if is_hinted else NO_HINTS
    version = "" if fallback else exchange.asked.version

    def inspect(facts: Facts, etag: str) -> bool:
        exchange.grant.check_source(facts)
        return is_current(exchange.headers, etag, facts)

    def ask(origin: str) -> tuple[SourceRef, Result]:
        source = SourceRef(origin, key, version)
        return source, engine.result(RenderJob(source, transform, accept, hints), exchange.budget, inspect=inspect)

    source, result = first_of(exchange.origins, ask)
    answer = exchange.answer(source, result.facts, result.etag, fallback=fallback)
    _vary(answer.headers, negotiated=accept is not None, hinted=is_hinted)
    if is_hinted:
        answer.headers["Content-DPR"] = f"{float(hints.dpr):.2f}".rstrip("0").rstrip(".")
    if fallback:
        answer.headers["S3img-Fallback"] = "default-image"
    return finish(exchange, source, result, answer)


def finish(exchange: ServiceRequest, source: SourceRef, result: Result, answer: Answer) -> Answer:
    """Complete an answer: 304 without a body where the client's copy is current, else the result's bytes."""
    exchange.time(answer.headers, result.timings)
    if result.unchanged:
        return exchange.unchanged(answer)
    exchange.describe(answer.headers, source, result.media_type, result.size)
    if not exchange.is_get:
        result.close()
    elif isinstance(result.body, bytes):
        answer.body = [result.body]
    else:
        answer.body = wrap_file(exchange.environ, result.body)
    return answer


def _vary(headers: dict[str, str], *, negotiated: bool, hinted: bool) -> None:
    """Name the headers that this answer depends on, and no other: a cache keeps one copy for each of their values."""
    names = [*(["Accept"] if negotiated else []), *([HINTS] if hinted else [])]
    if names:
        headers["Vary"] = ", ".join(names)
    if hinted:
        headers["Accept-CH"] = HINTS


_NAME: Final = "info/1"


def info(exchange: ServiceRequest, engine: EngineProtocol) -> Answer:
    """Answer with what is known of a picture, as JSON; raise what the engine raises, and SignatureError."""
    make = partial(_describe, limits=exchange.config.limits)

    def inspect(facts: Facts, etag: str) -> bool:
        exchange.grant.check_source(facts)
        return is_current(exchange.headers, etag, facts)

    def ask(origin: str) -> tuple[SourceRef, Result]:
        source = SourceRef(origin, exchange.asked.key, exchange.asked.version)
        return source, engine.derived(source, _NAME, make, exchange.budget, inspect=inspect)

    source, result = first_of(exchange.origins, ask)
    return finish(exchange, source, result, exchange.answer(source, result.facts, result.etag))


def _describe(data: bytes, *, limits: Limits) -> bytes:
    return msgspec.json.encode({"schema": "s3img.info/1", **imaging.describe(data, limits=limits)})
