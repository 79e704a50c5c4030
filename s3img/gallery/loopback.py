"""What only programs of this machine, and pages of one server on it, may ask: requests as loopback servers see them.

Any web page can send requests to 127.0.0.1, and a name of its own can lead there (DNS rebinding). So the host that
was asked for has to be this server's, and a browser's ``Origin`` and ``Sec-Fetch-Site`` have to be of its own pages.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from s3img.errors import ConfigError
from s3img.service.factory import serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIApplication, WSGIEnvironment

EDITORS: Final = ("app", "vscode-webview", "vscode-file", "capacitor", "tauri")
"""Schemes of the origins of editors' own windows; no page of the web can have one of them."""

NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


def host_of(environ: WSGIEnvironment) -> str:
    """Return the host that a request asks for, without its port."""
    host: str = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    return host.rpartition(":")[0].lower() if host.rpartition(":")[2].isdigit() else host.lower()


def is_for_loopback(environ: WSGIEnvironment) -> bool:
    """Tell whether a request asks for this machine by a name that no other machine can have."""
    return host_of(environ) in NAMES


def is_from_elsewhere(environ: WSGIEnvironment) -> bool:
    """Tell whether a browser says that a page of another origin sends this request."""
    site = environ.get("HTTP_SEC_FETCH_SITE", "")
    origin = environ.get("HTTP_ORIGIN", "")
    if site and site not in {"same-origin", "none"}:
        return True
    # A page whose policy is `no-referrer` sends "null" to its own server too; then the other header tells.
    if not origin or (origin == "null" and site):
        return False
    # Not the scheme: before the server may be a proxy that speaks TLS. No two share a host and a port.
    try:
        return bool(urlsplit(origin).netloc.lower() != environ.get("HTTP_HOST", "").lower())
    except ValueError:  # no browser writes such an origin: [ without its end
        return True


def is_from_an_editor(environ: WSGIEnvironment) -> bool:
    """Tell whether the window of an editor sends this request."""
    return str(environ.get("HTTP_ORIGIN", "")).partition("://")[0].lower() in EDITORS


def serve_on_loopback(app: WSGIApplication, *, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until interrupted; ``started`` is called with the address, port 0 takes a free one.

    Raise ConfigError for an address of another machine, and for one that can't be listened on.
    """
    try:
        addresses = {found[4][0] for found in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise ConfigError([f"--host: {host!r} is not an address of this machine"]) from error
    if not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise ConfigError([f"--host: {host!r} can be reached from other machines; use 127.0.0.1"])
    serve(app, host=host, port=port, started=started, choices="--port")
