"""What a WSGI server tells about its client's connection."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

_SOCKETS: Final = ("gunicorn.socket", "werkzeug.socket")


def gone_check(environ: WSGIEnvironment) -> Callable[[], bool]:
    """Return a function that tells whether the client has closed its connection, where the server lets us know."""
    if callable(asked := environ.get("waitress.client_disconnected")):
        return lambda: bool(asked())
    found = next((environ[name] for name in _SOCKETS if isinstance(environ.get(name), socket.socket)), None)
    return (lambda: False) if found is None else (lambda: _is_closed(found))


def _is_closed(connection: socket.socket) -> bool:
    """Look at the next byte without taking it: an end of stream is a client that has left."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except (OSError, AttributeError, ValueError):  # TLS, a platform without the flag: nothing is known
        return False
