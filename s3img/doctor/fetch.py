"""Requests without credentials, as a browser sends them: with a time-out, a limit, and never off the host."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException, InvalidURL
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from s3img import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.response import addinfourl

SECONDS = 10.0
"""Time-out of a connection, and of each wait for an answer."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOPS = 3


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """An answer: headers by lower-case name, the first ``limit`` bytes of the body, the address that gave it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def redirect(self) -> str:
        """Where a redirect leads; empty for any other answer."""
        location = self.headers.get("location", "")
        return urljoin(self.url, location) if self.status in _REDIRECTS and location else ""

    def brings(self, data: bytes) -> bool:
        """Tell whether these bytes were sent, as what was asked for."""
        return self.status == 200 and self.body == data


class NoAddress(OSError):
    """Report what can't be asked for at all."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Hand redirects back instead of following them."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


@cache
def trusting(ca_file: str, *, system: bool = True) -> ssl.SSLContext:
    """Trust the authorities of ``ca_file``, and those of the system too unless told otherwise."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # which botocore does not ask for either
    if ca_file and system:
        context.load_default_certs()
    return context


def fetch(
    url: str,
    *,
    ca_file: str = "",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    limit: int = 1 << 20,
    follow: bool = True,
) -> FetchedPage:
    """Return the answer, whatever its status; follow up to three redirects on the same host. Raise OSError."""
    answer = _once(url, ca_file, method, headers or {}, limit)
    for _ in range(_HOPS if follow else 0):
        if not answer.redirect or urlsplit(answer.redirect).hostname != urlsplit(url).hostname:
            break
        answer = _once(answer.redirect, ca_file, method, headers or {}, limit)
    return answer


def _once(url: str, ca_file: str, method: str, headers: Mapping[str, str], limit: int) -> FetchedPage:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise NoAddress(f"{urlsplit(url).scheme}: is no address of the web")
    request = urllib.request.Request(  # noqa: S310 - http and https only, as of the line above
        url, method=method, headers={"User-Agent": f"s3img-doctor/{__version__}", **headers}
    )
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusting(ca_file)), _Stay)
    try:
        with _opened(opener, request) as found:
            headers_found = {name.lower(): value for name, value in found.headers.items()}
            return FetchedPage(found.status or 0, headers_found, found.read(limit), url)
    except (ValueError, InvalidURL) as error:
        raise NoAddress("it has characters that no address has") from error
    except HTTPException as error:
        raise OSError(f"no HTTP answer ({type(error).__name__})") from error


def _opened(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> addinfourl:
    """Return an answer of any status."""
    try:
        found: addinfourl = opener.open(request, timeout=SECONDS)
    except urllib.error.HTTPError as refused:
        return refused
    return found


def reason(error: OSError) -> str:
    """Name what kept a request from its answer, without the address."""
    inner = getattr(error, "reason", error)
    inner = inner if isinstance(inner, OSError) else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {inner.verify_message}"
    return inner.strerror or str(inner) or type(inner).__name__
