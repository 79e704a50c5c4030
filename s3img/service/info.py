"""Answers about a picture instead of with it: ``/info/KEY``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from s3img import imaging
from s3img.service.caching import is_current
from s3img.service.engine.model import SourceRef
from s3img.service.origins import first_of
from s3img.service.pictures import finish

if TYPE_CHECKING:
    from s3img.limits import Limits
    from s3img.service.answer import Answer
    from s3img.service.engine.model import EngineProtocol, Facts, Result
    from s3img.service.exchange import Exchange

_NAME: Final = "info/1"


def info(exchange: Exchange, engine: EngineProtocol) -> Answer:
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
