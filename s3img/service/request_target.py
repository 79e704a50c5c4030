"""The request target as the client sent it: WSGI's decoded path no longer tells ``%2F`` from a slash."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote, unquote_to_bytes

from s3img.errors import RequestTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

T = TypeVar("T")

_ENTRIES: Final = 2_048

_LONGEST: Final = 1_024
"""Characters: pages have shorter addresses, and whoever makes up long ones shall not fill the memory with them."""


def remember_short(function: Callable[..., T]) -> Callable[..., T]:
    """Keep the latest results of a pure function of texts, of those only that are short; errors are never kept."""
    known = lru_cache(_ENTRIES)(function)

    def call(*texts: str) -> T:
        return known(*texts) if sum(map(len, texts)) <= _LONGEST else function(*texts)

    return call


_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")

_SENDABLE: Final = "%/?:@!$&'()*+,;=[]-._~"

MAX_TARGET: Final = 8_192
"""Characters of an address that anything is done with."""


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """Hold path and query below the place where the service is mounted: ASCII, percent-encoded as received."""

    path: str
    query: str = ""

    def __str__(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @classmethod
    def of(cls, environ: WSGIEnvironment) -> RequestTarget:
        """Read the target of a WSGI request.

        The raw address is taken where the server tells it and it says the same as PEP 3333's variables, so that
        middleware which moves or rewrites the path is heeded; else the decoded path is encoded again.
        """
        said = environ.get
        return _read(
            said("RAW_URI", ""),
            said("REQUEST_URI", ""),
            said("SCRIPT_NAME", ""),
            said("PATH_INFO", ""),
            said("QUERY_STRING", ""),
        )


@remember_short
def _read(raw: str, requested: str, mount: str, decoded: str, query: str) -> RequestTarget:
    if max(map(len, (raw, requested, decoded, query))) > MAX_TARGET:
        raise RequestTooLarge(f"The address is longer than {MAX_TARGET} characters.", limit="address")
    for sent in (raw, requested):
        if (path := _below_mount(sent, mount, decoded)) is not None:
            return RequestTarget(path, _encoded(query))
    return RequestTarget(quote(_bytes(decoded), safe="/,:"), _encoded(query))


def _below_mount(raw: str, mount: str, decoded: str) -> str | None:
    """Return the path of a raw address after ``SCRIPT_NAME``; None where the two don't fit."""
    path = _encoded(_ABSOLUTE.sub("", raw, count=1).partition("?")[0])
    likeness = _likeness(_bytes(mount))
    ends = (match.start() for match in re.finditer("/|$", path))
    end = next((end for end in [0, *ends] if _likeness(unquote_to_bytes(path[:end])) == likeness), None)
    return path[end:] if end is not None and _is_same(path[end:], decoded) else None


def _is_same(path: str, decoded: str) -> bool:
    """Compare a raw path with a server's decoded one; servers squeeze slashes, mend UTF-8 or keep ``%2F``."""
    ours, theirs = unquote_to_bytes(path), _bytes(decoded)
    return _likeness(ours) in {_likeness(theirs), _likeness(unquote_to_bytes(theirs))}


def _likeness(path: bytes) -> str:
    return re.sub("/+", "/", path.decode("utf-8", "replace"))


def _encoded(text: str) -> str:
    """Percent-encode bytes that no address may hold, which some clients send as they are."""
    return quote(_bytes(text), safe=_SENDABLE)


def _bytes(text: str) -> bytes:
    """Return the bytes behind a WSGI string, which is Latin-1 by PEP 3333."""
    return text.encode("latin-1", "replace")
