"""One request that may be served, and the response to it before it is sent."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self, TypeVar
from urllib.parse import quote
from wsgiref.types import WSGIEnvironment

import msgspec
from werkzeug.datastructures import Headers
from werkzeug.http import dump_options_header, http_date, parse_options_header

from s3img.config import Config
from s3img.errors import AccessDenied, NotServed, ObjectNotFound
from s3img.imaging import MEDIA_TYPES, SUFFIXES
from s3img.service.access import Grant
from s3img.service.caching import cache_control
from s3img.service.engine.jobs import Budget
from s3img.service.request_parsing import ParsedRequest
from s3img.service.request_reader import Route
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse

    from s3img.config.service import ServiceSettings
    from s3img.service.engine.jobs import SourceFacts, SourceRef, Timings

T = TypeVar("T")

PLAIN: Final = "text/plain; charset=utf-8"
PRIVATE_REQUEST: Final = "s3img.private"
"""Key that an application around the service sets (to True) for answers that no shared cache may keep.

No client can: its headers have keys that begin with ``HTTP_``.
"""
_STATUS_LINES: Final = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_BODILESS: Final = frozenset({204, 304})
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/\\]")
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.-]+)*", re.ASCII)
_ACTIVE: Final = re.compile(r"html|xml|xsl|svg|script|pdf|message/|multipart/", re.IGNORECASE)
_LANGUAGES: Final = re.compile(r"[A-Za-z0-9-]{1,35}(, ?[A-Za-z0-9-]{1,35}){0,9}")
_SANDBOX: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
_SUFFIX_OF: Final = {media_type: SUFFIXES.get(name, name) for name, media_type in MEDIA_TYPES.items()}

_date = lru_cache(maxsize=1024)(http_date)


@dataclass(slots=True)
class Response:
    """A status, headers (each stands once) and a body, whose ``close`` the WSGI server calls where it has one.

    It does what werkzeug's Response does for us in a fraction of its time, which is most of a 304's.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()

    @classmethod
    def whole(cls, data: bytes, media_type: str, *, status: int = 200) -> Self:
        """Answer with a few bytes that nothing may keep."""
        headers = {"Content-Type": media_type, "Content-Length": str(len(data)), "Cache-Control": "no-store"}
        return cls(status, headers, [data])

    def checked(self) -> Self:
        """Return the response; raise ValueError for a header that would be two (RFC 9110, section 5.5)."""
        for value in self.headers.values():
            if "\n" in value or "\r" in value:
                raise ValueError("a header's value has a line break")
        return self

    def send(self, method: str, start_response: StartResponse) -> Iterable[bytes]:
        """Start to send; return the body, which HEAD and some statuses have none of."""
        start_response(_STATUS_LINES.get(self.status) or f"{self.status} Unknown", list(self.headers.items()))
        return () if method == "HEAD" or self.status in _BODILESS else self.body


class ServiceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request that may be served; ``now`` in Unix seconds."""

    environ: WSGIEnvironment
    headers: Headers
    config: Config
    route: Route
    parsed: ParsedRequest
    grant: Grant
    budget: Budget
    now: float

    @property
    def is_get(self) -> bool:
        """Tell a GET from a HEAD, whose answer has the same headers and no body."""
        return bool(self.environ["REQUEST_METHOD"] == "GET")

    def first_of_origins(self, ask: Callable[[str], T], *, everywhere: bool = False) -> T:
        """Ask the request's origins, or all of its endpoint's, one after the other until one has the source.

        A denial counts as missing, which is what AWS means by it where listing is not allowed; when no origin has the
        source, raise the denial if there was one, else ObjectNotFound. Raise NotServed for an origin that the
        endpoint does not have.
        """
        named = "" if everywhere else self.parsed.origin
        if named and named not in self.route.origins:
            raise NotServed("The address names an origin that is not served here.")
        missing: ObjectNotFound | AccessDenied | None = None
        for name in (named,) if named else self.route.origins:
            try:
                return ask(name)
            except AccessDenied as error:
                missing = error
            except ObjectNotFound as error:
                missing = missing or error
        raise missing or NotServed("No origin is asked for this address.")

    def respond(
        self,
        source: SourceRef,
        facts: SourceFacts,
        etag: str,
        *,
        fallback: bool = False,
        layers: Iterable[SourceFacts] = (),
        settings: ServiceSettings | None = None,
    ) -> Response:
        """Return a response with what does not depend on its body; ``layers`` are facts of what is laid over it.

        ``settings`` are those of the service in force for this answer, where they are others.
        """
        keep = cache_control(
            settings or self.config.service,
            facts,
            self.grant,
            pinned=bool(source.version),
            fallback=fallback,
            private=bool(self.environ.get(PRIVATE_REQUEST)),
            now=self.now,
            layers=layers,
        )
        headers = {"ETag": f'"{etag}"', "Last-Modified": _date(facts.modified), "Cache-Control": keep}
        origin = self.config.origins.get(source.origin)
        if origin and origin.canonical_url:
            headers["Link"] = f'<{object_url(origin.canonical_url, source.key)}>; rel="canonical"'
        return Response(headers=headers)

    def unchanged(self, response: Response) -> Response:
        """Turn a response into a 304: the client's copy is current (RFC 9110, section 15.4.5)."""
        response.status = 304
        del response.headers["Last-Modified"]
        return response

    def describe_body(
        self, headers: dict[str, str], source: SourceRef, media_type: str, size: int, *, stored: str = ""
    ) -> None:
        """Write what a body is; what a browser might run is kept from running.

        ``stored`` is the source's own ``Content-Disposition``, which the address and the settings overrule.
        """
        media_type = media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
        headers["Content-Type"] = media_type
        headers["Content-Length"] = str(size)
        is_active = _ACTIVE.search(media_type) is not None
        if is_active:
            headers["Content-Security-Policy"] = _SANDBOX
        wanted = self.parsed.attachment
        if wanted is not None or (is_active and self.config.service.active_content == "attachment"):
            name = wanted or parse_options_header(stored)[1].get("filename") or _file_name(source.key, media_type)
            headers["Content-Disposition"] = attachment(name)
        elif stored:
            kind, options = parse_options_header(stored)
            name = options.get("filename") or ""
            headers["Content-Disposition"] = attachment(name, kind="inline" if kind == "inline" else "attachment")

    def add_language(self, headers: dict[str, str], facts: SourceFacts) -> None:
        """Write the language that was stored with a source, which renderings of it share."""
        if _LANGUAGES.fullmatch(facts.content_language):
            headers["Content-Language"] = facts.content_language

    def add_timings(self, headers: dict[str, str], timings: Timings) -> None:
        """Write how long each step took, where the settings want that and there was any."""
        if self.config.service.server_timing and timings:
            headers["Server-Timing"] = ", ".join(f"{step};dur={seconds * 1000:.1f}" for step, seconds in timings)


def attachment(name: str, *, kind: str = "attachment") -> str:
    """Return ``Content-Disposition`` for a download under ``name`` (RFC 6266), which may be any text; "" for none."""
    if not name:
        return kind
    safe = _UNSAFE.sub("_", name).strip()[:200] or "download"
    plain = unicodedata.normalize("NFKD", safe).encode("ascii", "ignore").decode() or "download"
    options = {"filename": plain}
    if plain != safe:
        options["filename*"] = f"UTF-8''{quote(safe, safe='')}"
    return dump_options_header(kind, options)


def _file_name(key: str, media_type: str) -> str:
    """Return the key's file name, with the suffix of what it has become."""
    name = key.rpartition("/")[2]
    suffix = _SUFFIX_OF.get(media_type)
    stem, dot, old = name.rpartition(".")
    if suffix is None or not dot or (old.lower() in {"jpg", "jpeg"} and suffix == "jpg") or old.lower() == suffix:
        return name
    return f"{stem}.{suffix}"
