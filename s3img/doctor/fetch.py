"""Requests without credentials, as a browser sends them: bounded in time and size, and to one host only."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cache, partial
from http.client import HTTPException, InvalidURL
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from s3img import __version__
from s3img.time_limit import call_within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.response import addinfourl

SECONDS = 10.0  # of connecting, and of each wait for data
WHOLE_SECONDS = 30.0  # that one request may take as a whole: somebody is waiting for what doctor finds
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOPS = 3


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """An answer: headers by lower-case name, the first ``limit`` bytes of the body, and its address."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def redirect(self) -> str:
        """Return where a redirect leads, "" for any other answer."""
        location = self.headers.get("location", "")
        try:
            return urljoin(self.url, location) if self.status in _REDIRECTS and location else ""
        except ValueError:  # it leads nowhere: [ without its end
            return ""

    def brings(self, data: bytes) -> bool:
        """Tell whether the answer is a success with exactly these bytes."""
        return self.status == 200 and self.body == data


class NoAddress(OSError):
    """A URL that no request can be sent to."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Return redirects instead of following them, also those that lead to no address."""

    def http_error_302(self, req: object, fp: object, code: int, msg: str, headers: object) -> None:
        """Follow none."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


@cache
def trusting(ca_file: str, *, system: bool = True) -> ssl.SSLContext:
    """Return a TLS context that trusts the authorities in ``ca_file`` and, by default, those of the system."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # botocore has it off: doctor must accept what it accepts
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
    ask = partial(_once, ca_file=ca_file, method=method, headers=headers or {}, limit=limit)
    answer = call_within(WHOLE_SECONDS, partial(ask, url))
    for _ in range(_HOPS if follow else 0):
        if not answer.redirect or urlsplit(answer.redirect).hostname != urlsplit(url).hostname:
            break
        answer = call_within(WHOLE_SECONDS, partial(ask, answer.redirect))
    return answer


def _once(url: str, *, ca_file: str, method: str, headers: Mapping[str, str], limit: int) -> FetchedPage:
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise NoAddress("its host is none") from error
    if scheme not in {"http", "https"}:
        raise NoAddress(f"{scheme}: is not http or https")
    request = urllib.request.Request(  # noqa: S310 - http and https only, as of the line above
        url, method=method, headers={"User-Agent": f"s3img-doctor/{__version__}", **headers}
    )
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusting(ca_file)), _Stay)
    try:
        try:
            opened: addinfourl = opener.open(request, timeout=SECONDS)
        except urllib.error.HTTPError as refused:
            opened = refused  # an answer like any other
        with opened as found:
            headers_found = {name.lower(): value for name, value in found.headers.items()}
            return FetchedPage(found.status or 0, headers_found, found.read(limit), url)
    except (ValueError, InvalidURL) as error:
        raise NoAddress("it has characters that no URL may have") from error
    except HTTPException as error:
        raise OSError(f"no HTTP answer ({type(error).__name__})") from error


def is_in_own_network(url: str) -> bool:
    """Tell whether an address leads to this machine, its network or its cloud's metadata, not to the public network."""
    try:
        host = urlsplit(url).hostname or ""
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, ValueError):  # a name without an address leads nowhere
        return False
    return not all(ipaddress.ip_address(str(one).partition("%")[0]).is_global for one in found)


def reason(error: OSError) -> str:
    """Return why a request got no answer, without its URL."""
    inner = getattr(error, "reason", error)
    inner = inner if isinstance(inner, OSError) else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {inner.verify_message}"
    return inner.strerror or str(inner) or type(inner).__name__
