"""One request with all that was found out about it, and what every answer to it has in common."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from wsgiref.types import WSGIEnvironment

import msgspec
from werkzeug.datastructures import Headers
from werkzeug.http import dump_options_header, http_date

from s3img.config import Config
from s3img.errors import NotServed
from s3img.imaging import MEDIA_TYPES, SUFFIXES
from s3img.service.access import Grant
from s3img.service.answer import Answer
from s3img.service.caching import cache_control
from s3img.service.engine.requests import Budget
from s3img.service.request import Asked
from s3img.service.routing import Route
from s3img.transform import Transform
from s3img.urls import object_url

if TYPE_CHECKING:
    from s3img.service.engine.requests import Facts, SourceRef, Timings

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/\\]")
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.-]+)*", re.ASCII)
_ACTIVE: Final = re.compile(r"html|xml|xsl|svg|message/|multipart/", re.IGNORECASE)
_SANDBOX: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
_SUFFIX_OF: Final = {media_type: SUFFIXES.get(name, name) for name, media_type in MEDIA_TYPES.items()}

_date = lru_cache(maxsize=1024)(http_date)


class ServiceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one request that may be served; ``transform`` is None for an original, ``now`` in Unix seconds."""

    environ: WSGIEnvironment
    headers: Headers
    config: Config
    route: Route
    asked: Asked
    transform: Transform | None
    grant: Grant
    budget: Budget
    now: float

    @property
    def is_get(self) -> bool:
        """Tell a GET from a HEAD, whose answer has the same headers and no body."""
        return bool(self.environ["REQUEST_METHOD"] == "GET")

    @property
    def origins(self) -> tuple[str, ...]:
        """Return the origins to ask, in order; raise NotServed for one that the endpoint does not have."""
        if self.asked.origin and self.asked.origin not in self.route.origins:
            raise NotServed("The address names an origin that is not served here.")
        return (self.asked.origin,) if self.asked.origin else self.route.origins

    def answer(self, source: SourceRef, facts: Facts, etag: str, *, fallback: bool = False) -> Answer:
        """Begin an answer with what does not depend on its body."""
        keep = cache_control(
            self.config.service, facts, self.grant, pinned=bool(source.version), fallback=fallback, now=self.now
        )
        headers = {"ETag": f'"{etag}"', "Last-Modified": _date(facts.modified), "Cache-Control": keep}
        origin = self.config.origins.get(source.origin)
        if origin and origin.canonical_url:
            headers["Link"] = f'<{object_url(origin.canonical_url, source.key)}>; rel="canonical"'
        return Answer(headers=headers)

    def unchanged(self, answer: Answer) -> Answer:
        """Turn an answer into one that says that the client's copy is current (RFC 9110, section 15.4.5)."""
        answer.status = 304
        del answer.headers["Last-Modified"]
        return answer

    def describe(self, headers: dict[str, str], source: SourceRef, media_type: str, size: int) -> None:
        """Say what a body is; what a browser might run is kept from running."""
        media_type = media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
        headers["Content-Type"] = media_type
        headers["Content-Length"] = str(size)
        is_active = _ACTIVE.search(media_type) is not None
        if is_active:
            headers["Content-Security-Policy"] = _SANDBOX
        if self.asked.attachment is not None or (is_active and self.config.service.active_content == "attachment"):
            headers["Content-Disposition"] = attachment(self.asked.attachment or _name(source.key, media_type))

    def time(self, headers: dict[str, str], timings: Timings) -> None:
        """Tell how long each step took, where the settings want that and there was any."""
        if self.config.service.server_timing and timings:
            headers["Server-Timing"] = ", ".join(f"{step};dur={seconds * 1000:.1f}" for step, seconds in timings)


def attachment(name: str) -> str:
    """Return ``Content-Disposition`` for a download under ``name`` (RFC 6266), which may be any text."""
    safe = _UNSAFE.sub("_", name).strip()[:200] or "download"
    plain = unicodedata.normalize("NFKD", safe).encode("ascii", "ignore").decode() or "download"
    options = {"filename": plain}
    if plain != safe:
        options["filename*"] = f"UTF-8''{quote(safe, safe='')}"
    return dump_options_header("attachment", options)


def _name(key: str, media_type: str) -> str:
    """Return the key's file name, with the suffix of what it has become."""
    name = key.rpartition("/")[2]
    suffix = _SUFFIX_OF.get(media_type)
    stem, dot, old = name.rpartition(".")
    if suffix is None or not dot or (old.lower() in {"jpg", "jpeg"} and suffix == "jpg") or old.lower() == suffix:
        return name
    return f"{stem}.{suffix}"
