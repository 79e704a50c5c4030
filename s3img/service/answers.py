"""Answers to what may be served: renderings, facts about pictures, and sources as they are."""

from __future__ import annotations

import mimetypes
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from werkzeug.wsgi import ClosingIterator, wrap_file

from s3img import imaging
from s3img.codings import is_known as is_known_coding
from s3img.errors import AccessDenied, BucketError, NotServed, ObjectNotFound, TransformError
from s3img.imaging.detectors import Detectors, find_json
from s3img.imaging.isolation.tasks import describe_picture
from s3img.service.caching import HINTS, accepts_codings, hints_of, is_current, modern_formats, uses_hints, wanted_range
from s3img.service.engine.jobs import RenderJob, SourceRef
from s3img.service.service_request import Response
from s3img.transform.focus import DetectedFocus, FocusBox
from s3img.transform.geometry import NO_HINTS

if TYPE_CHECKING:
    from s3img.service.engine.jobs import EngineProtocol, Original, Result, SourceFacts
    from s3img.service.service_request import ServiceRequest
    from s3img.transform import Transform
    from s3img.transform.focus import Focus

_Inputs: TypeAlias = tuple[tuple[str, SourceRef, "SourceFacts"], ...]
"""The pictures and fonts of layers: the keys that a transform names, where they are, and what is known of them."""
_INFO: Final = "info/1"
_DECODED: Final = "decoded/1"
_UNTYPED: Final = frozenset({"", "binary/octet-stream", "application/octet-stream"})
_CONDITIONS: Final = ("Range", "If-None-Match", "If-Modified-Since")
_ATTEMPTS: Final = 3


def answer_picture(request: ServiceRequest, engine: EngineProtocol, transform: Transform) -> Response:
    """Answer with the rendering; with the default image's where the source is missing and there is one.

    Raise what the engine raises, and SignatureError.
    """
    key, asked = request.parsed.key, transform
    transform = asked if asked.is_located else Detectors.of(request.config.focus_detectors).settled(asked)
    if transform != asked and request.config.service.missing_detector == "refuse":
        raise no_detector(asked, transform)
    inputs = _locate_inputs(request, engine, transform)
    try:
        response = _answer_rendering(request, engine, transform, key, inputs)
    except (ObjectNotFound, AccessDenied):
        default = transform.output.default_image or request.route.default_image
        if not default or default == key:
            raise
        response = _answer_rendering(request, engine, transform, default, inputs, fallback=True)
    if transform != asked:
        response.headers["S3img-Focus"] = "auto"
    return response


def _locate_inputs(request: ServiceRequest, engine: EngineProtocol, transform: Transform) -> _Inputs:
    """Find the pictures of a transform's layers at the endpoint's origins.

    Raise NotServed that names the one that is missing, so that no default image takes its place, and SignatureError.
    """
    found = []
    for key in transform.inputs:

        def ask(origin: str, key: str = key) -> tuple[SourceRef, SourceFacts]:
            source = SourceRef(origin, key)
            facts = engine.facts(source, request.budget)
            request.grant.check_source(facts)
            return source, facts

        try:
            found.append((key, *request.first_of_origins(ask, everywhere=True)))
        except (ObjectNotFound, AccessDenied) as error:
            raise NotServed(f"No origin has {key!r}, which a layer names.") from error
    return tuple(found)


def _answer_rendering(
    request: ServiceRequest,
    engine: EngineProtocol,
    transform: Transform,
    key: str,
    inputs: _Inputs,
    *,
    fallback: bool = False,
) -> Response:
    is_hinted = request.config.service.client_hints and uses_hints(transform)
    is_negotiated = transform.format == "auto"
    accept = modern_formats(request.headers.get("Accept", "")) if is_negotiated else None
    hints = hints_of(request.headers) if is_hinted else NO_HINTS
    version = "" if fallback else request.parsed.version
    inspect = partial(inspect_request, request)

    def ask(origin: str) -> tuple[SourceRef, Result]:
        source = SourceRef(origin, key, version)
        places = tuple((key, place) for key, place, _ in inputs)
        job = RenderJob(source, focused(request, engine, source, transform, inputs), accept, hints, places)
        return source, engine.result(job, request.budget, inspect=inspect)

    source, result = request.first_of_origins(ask)
    layers = [facts for _, _, facts in inputs]
    response = request.respond(source, result.facts, result.etag, fallback=fallback, layers=layers)
    # Name the headers that the answer depends on, and no other: a cache keeps one copy for each of their values.
    if names := [*(["Accept"] if is_negotiated else []), *([HINTS] if is_hinted else [])]:
        response.headers["Vary"] = ", ".join(names)
    if is_hinted:
        response.headers["Accept-CH"] = HINTS
        response.headers["Content-DPR"] = f"{float(hints.dpr):.2f}".rstrip("0").rstrip(".")
    if fallback:
        response.headers["S3img-Fallback"] = "default-image"
    return complete(request, source, result, response)


def no_detector(asked: Transform, transform: Transform) -> TransformError:
    """Return the error for a focus that nothing here finds: one that ``asked`` has and ``transform`` lacks."""
    missing: list[str] = []

    def note(focus: Focus, _: str) -> Focus:
        missing.append(str(focus))
        return focus

    transform.located(note)
    left = set(missing)
    missing.clear()
    asked.located(note)
    name = next(f"fo-{one}" for one in missing if one not in left)
    message = f"{name!r} needs a detector, and none is installed: name one in focus_detectors."
    return TransformError(message, token=name, suggestion="fo-auto")


def focused(
    request: ServiceRequest, engine: EngineProtocol, source: SourceRef, transform: Transform, inputs: _Inputs = ()
) -> Transform:
    """Put the boxes that metadata name for ``fo-custom``, and those that detectors find, into the transform.

    As part of the transform they are part of the result's name: another box is another result. A source is looked at
    once for each focus, for what was found is kept like a rendering.
    """
    if transform.is_located:
        return transform
    detectors = Detectors.of(request.config.focus_detectors)
    places = {"": source, **{key: place for key, place, _ in inputs}}

    def find(focus: Focus, key: str) -> Focus:
        place = places[key]
        if not isinstance(focus, DetectedFocus):
            box = FocusBox.parse(engine.facts(place, request.budget).metadata.get("focus", ""))
            return box or ("center" if focus == "custom" else "auto")
        asked, page = detectors.asked(focus), 0 if key else transform.page
        # The detector is part of the name: what another one has found is not taken for its own.
        name = f"focus/1/{page}/{'+'.join(f'{one.kind}={one.reference}' for one in asked)}"
        make = partial(find_json, asked=asked, limits=request.config.limits, page=page)
        found = engine.derived(place, name, make, request.budget, inspect=check, decodes=True)
        with closing(found):
            data = found.body if isinstance(found.body, bytes) else found.body.read()
        return msgspec.json.decode(data, type=FocusBox | None) or "auto"

    def check(facts: SourceFacts, _: str) -> bool:
        request.grant.check_source(facts)
        return False

    return transform.located(find)


def answer_info(request: ServiceRequest, engine: EngineProtocol) -> Response:
    """Answer with what is known of a picture, as JSON; raise what the engine raises, and SignatureError."""
    make = partial(describe_picture, schema=f"s3img.{_INFO}", limits=request.config.limits)
    inspect = partial(inspect_request, request)

    def ask(origin: str) -> tuple[SourceRef, Result]:
        source = SourceRef(origin, request.parsed.key, request.parsed.version)
        return source, engine.derived(source, _INFO, make, request.budget, inspect=inspect, decodes=True)

    source, result = request.first_of_origins(ask)
    return complete(request, source, result, request.respond(source, result.facts, result.etag))


def inspect_request(request: ServiceRequest, facts: SourceFacts, etag: str) -> bool:
    """Tell whether the client's copy is current; raise SignatureError for a private source without a signature."""
    request.grant.check_source(facts)
    return is_current(request.headers, etag, facts)


def complete(
    request: ServiceRequest, source: SourceRef, result: Result, response: Response, *, stored: str = ""
) -> Response:
    """Complete an answer: 304 without a body where the client's copy is current, else the result's bytes.

    ``stored`` is the source's own ``Content-Disposition``, where the result is the source.
    """
    request.add_timings(response.headers, result.timings)
    if result.unchanged:
        return request.unchanged(response)
    request.describe_body(response.headers, source, result.media_type, result.size, stored=stored)
    request.add_language(response.headers, result.facts)
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
        if facts.codings and not _reads_codings(request, facts):
            return _answer_decoded(request, engine, source, facts)
        response = request.respond(source, facts, facts.etag)
        if facts.codings:
            response.headers["Vary"] = "Accept-Encoding"
        if not opened and is_current(request.headers, facts.etag, facts):
            return request.unchanged(response)
        response.headers["Accept-Ranges"] = "bytes"
        part = wanted_range(request.headers, facts) if request.is_get else None
        start, stop = part or (0, facts.size)
        kind = media_type(facts.media_type, source.key)
        request.describe_body(response.headers, source, kind, stop - start, stored=facts.content_disposition)
        request.add_language(response.headers, facts)
        if facts.codings:  # of what is sent, ranges included
            response.headers["Content-Encoding"] = ", ".join(facts.codings)
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


def _reads_codings(request: ServiceRequest, facts: SourceFacts) -> bool:
    """Tell whether a source is sent in the codings it is stored in: the client names them, or nothing can be done."""
    is_known = all(map(is_known_coding, facts.codings))
    return not is_known or accepts_codings(request.headers.get("Accept-Encoding", ""), facts.codings)


def _answer_decoded(request: ServiceRequest, engine: EngineProtocol, source: SourceRef, facts: SourceFacts) -> Response:
    """Answer with a source taken out of its codings: a result of its own, with an entity tag of its own."""
    kind = media_type(facts.media_type, source.key)
    inspect = partial(inspect_request, request)
    result = engine.derived(source, _DECODED, bytes, request.budget, media_type=kind, inspect=inspect)
    response = request.respond(source, result.facts, result.etag)
    response.headers["Vary"] = "Accept-Encoding"
    return complete(request, source, result, response, stored=facts.content_disposition)


def media_type(stored: str, key: str) -> str:
    """Return the type that was stored with a source, else the one that its key's suffix stands for.

    Some tools store a plain suffix (``jpg``) as the type.
    """
    if "/" in stored and stored not in _UNTYPED:
        return stored
    suffix = stored.lstrip(".").lower() if stored and "/" not in stored else key.rpartition(".")[2].lower()
    known = {"jpg": "image/jpeg", **imaging.MEDIA_TYPES}.get(suffix)
    guessed, encoding = mimetypes.guess_type(f"file.{suffix}")
    return known or (None if encoding else guessed) or "application/octet-stream"
