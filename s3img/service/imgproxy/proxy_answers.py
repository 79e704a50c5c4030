"""Answers to requests in imgproxy's form: with the service's own cache, entity tags and negotiation."""

from __future__ import annotations

import hashlib
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from werkzeug.datastructures import ResponseCacheControl
from werkzeug.http import parse_cache_control_header

from s3img import imaging
from s3img.config.imgproxy import ImgproxySettings
from s3img.errors import AccessDenied, BucketError, ImageTooLarge, NotServed, ObjectNotFound
from s3img.imaging.isolation.tasks import draw_options, picture_facts_json
from s3img.service.answers import answer_original, complete, inspect_request
from s3img.service.caching import HINTS, hints_of, modern_formats
from s3img.service.engine.jobs import SourceRef
from s3img.service.service_request import attachment
from s3img.transform.geometry import NO_HINTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.config.service import ServiceSettings
    from s3img.imaging.isolation.tasks import DrawSource
    from s3img.imgproxy import ProcessingOptions
    from s3img.imgproxy.info_options import InfoOptions
    from s3img.limits import Limits
    from s3img.service.engine.jobs import Budget, CheckRequest, EngineProtocol, Result, SourceFacts
    from s3img.service.imgproxy.proxy_mount import ProxiedRequest
    from s3img.service.service_request import Response, ServiceRequest
    from s3img.transform.geometry import Hints

_NAME: Final = "imgproxy/2"
_INFO: Final = "imgproxy-info/2"
_TAG_HEADERS: Final = {"Cache-Tag": {"all", "cloudflare"}, "x-amz-meta-cache-tag": {"all", "cloudfront"}}
_MODERN: Final = ("avif", "webp")  # in the order of imgproxy's priorities
_NONE: Final[frozenset[str]] = frozenset()


def answer_proxied(request: ServiceRequest, engine: EngineProtocol, proxied: ProxiedRequest) -> Response:
    """Answer with what the options make of the source; raise what the engine raises, and SignatureError."""
    options = proxied.options
    if proxied.info:
        return _answer_info(request, engine, proxied.text, proxied.info)
    if options.raw:
        return answer_original(request, engine)
    settings = request.config.imgproxy or ImgproxySettings()
    text, hints = proxied.text, NO_HINTS
    if settings.client_hints and (hints := hints_of(request.headers)) != NO_HINTS:
        options = with_hints(options, hints)
        text += f"\n{options.pipelines[0]}"
    accept, enforced, vary = negotiate(request, settings, options)
    subsampling = request.config.subsampling
    names = [_NAME, text, *sorted(accept), *([subsampling] if subsampling != "auto" else [])]
    names += [f"enforced={name}" for name in enforced]
    marks = [(url, mark, _watermark_facts(request, engine, url, mark)) for url, mark in proxied.watermarks]
    names += [f"watermark={mark.origin}/{mark.key}?{facts.version}#{facts.etag}" for _, mark, facts in marks]
    name = "\n".join(names)

    def prepare() -> DrawSource:
        files = {url: _read_whole(engine, mark, request.budget, request.config.limits) for url, mark, _ in marks}
        return partial(
            draw_options,
            options=options,
            choice=imaging.FormatChoice(accept, enforced, settings.preferred_formats),
            quality=_quality(request),
            subsampling=subsampling,
            watermarks=files,
            profile=proxied.profile,
        )

    is_slow = options.format == "avif" or imaging.MEDIA_TYPES["avif"] in accept or "avif" in enforced

    def render(source: SourceRef, inspect: CheckRequest) -> Result:
        return engine.rendered(source, name, prepare, request.budget, inspect=inspect, is_slow=is_slow)

    def ask(origin: str) -> tuple[SourceRef, Result]:
        source = SourceRef(origin, request.parsed.key, request.parsed.version)
        return source, render(source, partial(inspect_request, request))

    failure: BucketError | None = None
    try:
        source, result = request.first_of_origins(ask)
    except BucketError as error:
        failure = error
        source, result = _fall_back(request, proxied.fallback, render, error)
    layers = [facts for *_, facts in marks]
    service = passing_age(request.config.service, result.facts) if settings.cache_control_passthrough else None
    response = request.respond(
        source, result.facts, result.etag, fallback=failure is not None, layers=layers, settings=service
    )
    if vary:
        response.headers["Vary"] = vary
    if settings.client_hints:
        response.headers["Accept-CH"] = HINTS
    add_tags(request, response, options.cache_tags)
    response = complete(request, source, result, response, stored=_disposition(options, result))
    return _mark_fallback(request, response, failure) if failure else response


def negotiate(
    request: ServiceRequest, settings: ImgproxySettings, options: ProcessingOptions
) -> tuple[frozenset[str], tuple[str, ...], str]:
    """Return the media types that are offered and taken, the formats that are enforced, and ``Vary``."""
    offered = () if options.format else settings.auto_formats
    vary = [HINTS] if settings.client_hints else []
    if not offered and not settings.enforced_formats:
        return _NONE, (), ", ".join(vary)
    taken = modern_formats(request.headers.get("Accept", ""))
    accept = taken & {imaging.MEDIA_TYPES[name] for name in offered}
    enforced = tuple(name for name in _MODERN if name in settings.enforced_formats if f"image/{name}" in taken)
    return accept, enforced, ", ".join(["Accept", *vary])


def _fall_back(
    request: ServiceRequest,
    fallback: SourceRef | None,
    render: Callable[[SourceRef, CheckRequest], Result],
    failure: BucketError,
) -> tuple[SourceRef, Result]:
    """Render the picture that takes the place of one that can't be fetched; raise ``failure`` without one."""
    if fallback is None:
        raise failure
    inspect = inspect_request if _fallback_status(request, failure) == HTTPStatus.OK else _inspect_source
    try:
        return fallback, render(fallback, partial(inspect, request))
    except BucketError:
        raise failure from None  # which tells more than that the fallback is missing, too


def _fallback_status(request: ServiceRequest, failure: BucketError) -> int:
    settings = request.config.imgproxy
    return (settings.fallback_image_http_code if settings else 0) or failure.status


def _mark_fallback(request: ServiceRequest, response: Response, failure: BucketError) -> Response:
    """Tell that the picture stands for another, and for how long it may be kept."""
    settings = request.config.imgproxy
    if response.status != HTTPStatus.NOT_MODIFIED:
        response.status = _fallback_status(request, failure)
    response.headers["S3img-Fallback"] = "fallback-image"
    if settings and settings.fallback_image_ttl and response.headers["Cache-Control"].startswith("public"):
        response.headers["Cache-Control"] = f"public, max-age={settings.fallback_image_ttl}"
    return response


def add_tags(request: ServiceRequest, response: Response, tags: tuple[str, ...]) -> None:
    """Write the tags by which a CDN is told to drop the answer."""
    settings = request.config.imgproxy
    if settings and tags:
        names = [name for name, kinds in _TAG_HEADERS.items() if settings.cache_tags_format in kinds]
        response.headers |= dict.fromkeys(names, ",".join(tags))


def passing_age(service: ServiceSettings, facts: SourceFacts) -> ServiceSettings:
    """Return settings under which an answer is kept as long as its source; without this, that is only a bound."""
    age = parse_cache_control_header(facts.cache_control, cls=ResponseCacheControl).max_age
    return service if age is None else msgspec.structs.replace(service, max_age=age)


def with_hints(options: ProcessingOptions, hints: Hints) -> ProcessingOptions:
    """Return options with the client's density and width where the address has none, as imgproxy takes them."""
    first, *others = options.pipelines
    dpr = float(hints.dpr) if first.dpr == 1 else first.dpr
    # The hint is in px of the screen, and the density multiplies the width again.
    width = max(1, round(hints.width / dpr)) if hints.width and not first.width else first.width
    changed = msgspec.structs.replace(first, dpr=dpr, width=width)
    return msgspec.structs.replace(options, pipelines=(changed, *others))


def _inspect_source(request: ServiceRequest, facts: SourceFacts, etag: str) -> bool:  # noqa: ARG001 - of one signature
    """Refuse a private source; a client's copy does not answer a request that fails."""
    request.grant.check_source(facts)
    return False


def _answer_info(request: ServiceRequest, engine: EngineProtocol, text: str, options: InfoOptions) -> Response:
    make = partial(picture_facts_json, options=options, limits=request.config.limits)
    name = f"{_INFO}/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    inspect = partial(inspect_request, request)

    def ask(origin: str) -> tuple[SourceRef, Result]:
        source = SourceRef(origin, request.parsed.key, request.parsed.version)
        return source, engine.derived(source, name, make, request.budget, inspect=inspect, decodes=True)

    source, result = request.first_of_origins(ask)
    response = request.respond(source, result.facts, result.etag)
    add_tags(request, response, options.cache_tags)
    return complete(request, source, result, response)


def _watermark_facts(request: ServiceRequest, engine: EngineProtocol, url: str, mark: SourceRef) -> SourceFacts:
    """Ask about a watermark; raise NotServed that names it where it is missing, and SignatureError."""
    try:
        facts = engine.facts(mark, request.budget)
    except (ObjectNotFound, AccessDenied) as error:
        raise NotServed(f"watermark: no origin has {mark.key!r}.") from error
    if url:  # the service's own was chosen by its operator
        request.grant.check_source(facts)
    return facts


def _read_whole(engine: EngineProtocol, source: SourceRef, budget: Budget, limits: Limits) -> bytes:
    """Read a source that is laid over another one; raise ImageTooLarge above ``input_bytes``."""
    opened = engine.original(source, budget)
    if opened.facts.size > limits.input_bytes:
        opened.close()
        what = f"The watermark has {opened.facts.size:,} bytes; {limits.input_bytes:,} is the limit."
        raise ImageTooLarge(what, limit="input_bytes", fix="Make it smaller, or raise limits.input_bytes.")
    return b"".join(opened.chunks)


def _quality(request: ServiceRequest) -> dict[str, int]:
    quality = request.config.quality
    return {"jpeg": quality.jpeg, "webp": quality.webp, "avif": quality.avif}


def _disposition(options: ProcessingOptions, result: Result) -> str:
    """Return the name that a browser saves the picture under; attachments have it from the address already."""
    if not options.filename or result.unchanged:
        return ""
    suffix = imaging.FORMATS.get(result.media_type, "")
    return attachment(f"{options.filename}.{imaging.SUFFIXES.get(suffix, suffix)}", kind="inline")
