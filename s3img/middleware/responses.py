"""Which responses are rewritten, and what that does to their headers (RFC 9110)."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from werkzeug.http import parse_options_header

from s3img import csp

if TYPE_CHECKING:
    from collections.abc import Collection

    Headers = list[tuple[str, str]]


_BODILESS = frozenset({"204", "205", "304"})

_NO_TRANSFORM = re.compile(r"(?:^|,)\s*no-transform\s*(?:,|$)", re.IGNORECASE)

_DROPPED = frozenset({"content-md5", "digest", "content-digest", "repr-digest", "last-modified", "accept-ranges"})
"""Headers that describe the bytes before rewriting. ``Last-Modified`` would hide that the lock has changed."""


@dataclass(frozen=True, slots=True)
class ResponseKind:
    """Media type of a body, its charset ("" where the header names none) and its content coding."""

    media_type: str
    charset: str
    coding: str


def is_of_type(headers: Headers, media_types: Collection[str]) -> bool:
    """Tell whether a response may be one of these media types: quick, as it is done for every response."""
    for name, value in headers:
        if len(name) == 12 and name.lower() == "content-type":
            return value.partition(";")[0].strip().lower() in media_types
    return False


class ResponseHead:
    """Status and headers of the app's response."""

    def __init__(self, status: str, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self.code = status[:3]
        self._by_name = {name.lower(): value for name, value in headers}

    def get(self, name: str) -> str:
        """Return a header by its lower-case name, "" without one."""
        return self._by_name.get(name, "")

    @property
    def length(self) -> int | None:
        """Return the declared bytes of the body."""
        value = self.get("content-length")
        return int(value) if value.isascii() and value.isdigit() else None

    @property
    def policies(self) -> list[str]:
        """Return every Content-Security-Policy that is enforced."""
        return [value for name, value in self.headers if name.lower() == csp.NAME]

    def kind(self, media_types: Collection[str]) -> ResponseKind | None:
        """Return the kind of a body that may be rewritten: of these media types, complete, and shown by browsers."""
        if self.code in _BODILESS or self.code.startswith("1"):
            return None
        media_type, options = parse_options_header(self.get("content-type"))
        if media_type.lower() not in media_types or is_no_transform(self.get("cache-control")):
            return None
        # A download is kept as a file, perhaps to be compared with its digest.
        if self.get("content-disposition").strip().lower().startswith("attachment"):
            return None
        return ResponseKind(
            media_type.lower(), options.get("charset", ""), self.get("content-encoding").strip().lower()
        )

    @property
    def is_partial(self) -> bool:
        """Tell whether the body is only a part."""
        return self.code == "206" or bool(self.get("content-range"))

    def rewritten(self, tag: str, *, length: int | None, weak: bool = False) -> Headers:
        """Return the headers of a rewritten body of ``length`` bytes (None: unknown); ``tag`` goes into its ETag."""
        found: Headers = []
        for name, value in self.headers:
            match name.lower():
                case "content-length":
                    if length is not None:
                        found.append((name, str(length)))
                case "etag":
                    found.append((name, with_tag(value, tag, weak=weak)))
                case other if other not in _DROPPED:
                    found.append((name, value))
        # Ranges would count bytes of a page that only exists after it was rewritten as a whole.
        return [*found, ("Accept-Ranges", "none")]


def is_no_transform(cache_control: str) -> bool:
    """Tell whether a Cache-Control forbids to change the body (RFC 9111, section 5.2.2.6)."""
    return "no-transform" in cache_control.lower() and bool(_NO_TRANSFORM.search(cache_control))


def with_tag(etag: str, tag: str, *, weak: bool = False) -> str:
    """Return an ETag that ends in ``tag``; ``weak`` where equal tags will not mean equal bytes."""
    etag = etag.strip()
    if len(etag) < 2 or not etag.endswith('"'):
        return etag
    tagged = f'{etag[:-1]}{tag}"'
    return f"W/{tagged}" if weak and not etag.startswith("W/") else tagged


_MOST = 1000
"""Messages to remember; when there are more, a repeated one does no harm."""

_log = logging.getLogger("s3img.middleware")
_logged: set[str] = set()
_guard = Lock()


def warn_once(message: str, *, where: str = "", error: BaseException | None = None) -> None:
    """Log a warning, with the traceback of an error, unless it was logged before, even for another page."""
    with _guard:
        if message in _logged:
            return
        if len(_logged) >= _MOST:
            _logged.clear()
        _logged.add(message)
    _log.warning("%s%s", where and f"{where}: ", message, exc_info=error)
