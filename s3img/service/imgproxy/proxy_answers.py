"""Answers to requests in imgproxy's form: with the service's own cache, entity tags and negotiation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from s3img import imaging
from s3img.service.answers import answer_original, complete, inspect_request
from s3img.service.caching import modern_formats
from s3img.service.engine.jobs import SourceRef
from s3img.service.service_request import attachment

if TYPE_CHECKING:
    from s3img.imaging import Drawn
    from s3img.imgproxy import ProcessingOptions
    from s3img.limits import Limits
    from s3img.service.engine.jobs import EngineProtocol, Result
    from s3img.service.imgproxy.proxy_mount import ProxiedRequest
    from s3img.service.service_request import Response, ServiceRequest

_NAME: Final = "imgproxy/1"
_NONE: Final[frozenset[str]] = frozenset()


def answer_proxied(request: ServiceRequest, engine: EngineProtocol, proxied: ProxiedRequest) -> Response:
    """Answer with what the options make of the source; raise what the engine raises, and SignatureError."""
    options = proxied.options
    if options.raw:
        return answer_original(request, engine)
    settings = request.config.imgproxy
    offered = settings.auto_formats if settings and not options.format else ()
    accept = _NONE
    if offered:
        accept = modern_formats(request.headers.get("Accept", "")) & {imaging.MEDIA_TYPES[name] for name in offered}
    name = "\n".join([_NAME, proxied.text, *sorted(accept)])
    draw = partial(_draw, options=options, accept=accept, quality=_quality(request))
    inspect = partial(inspect_request, request)

    def ask(origin: str) -> tuple[SourceRef, Result]:
        source = SourceRef(origin, request.parsed.key, request.parsed.version)
        return source, engine.rendered(source, name, draw, request.budget, inspect=inspect)

    source, result = request.first_of_origins(ask)
    response = request.respond(source, result.facts, result.etag)
    if offered:
        response.headers["Vary"] = "Accept"
    return complete(request, source, result, response, stored=_disposition(options, result))


def _draw(
    data: bytes, limits: Limits, *, options: ProcessingOptions, accept: frozenset[str], quality: dict[str, int]
) -> Drawn:
    return imaging.draw_processed(data, options, accept=accept, limits=limits, quality=quality)


def _quality(request: ServiceRequest) -> dict[str, int]:
    quality = request.config.quality
    return {"jpeg": quality.jpeg, "webp": quality.webp, "avif": quality.avif}


def _disposition(options: ProcessingOptions, result: Result) -> str:
    """Return the name that a browser saves the picture under; attachments have it from the address already."""
    if not options.filename or result.unchanged:
        return ""
    suffix = imaging.FORMATS.get(result.media_type, "")
    return attachment(f"{options.filename}.{imaging.SUFFIXES.get(suffix, suffix)}", kind="inline")
