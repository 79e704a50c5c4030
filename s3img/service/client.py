"""What a WSGI server tells about its client's connection."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

DISCONNECTED: Final = "s3img.client_disconnected"
"""Key of a function that tells whether the client has left, for servers without a name of their own for it."""

_ASKED: Final = ("waitress.client_disconnected", DISCONNECTED)
_SOCKETS: Final = ("gunicorn.socket", "werkzeug.socket")


def gone_check(environ: WSGIEnvironment) -> Callable[[], bool]:
    """Return a function that tells whether the client has closed its connection, where the server lets us know."""
    return partial(_is_gone, environ)


def _is_gone(environ: WSGIEnvironment) -> bool:
    for name in _ASKED:
        if callable(asked := environ.get(name)):
            return bool(asked())
    found = (environ.get(name) for name in _SOCKETS)
    return any(_is_closed(one) for one in found if isinstance(one, socket.socket))


def _is_closed(connection: socket.socket) -> bool:
    """Look at the next byte without taking it: an end of stream is a client that has left."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except (OSError, AttributeError, ValueError):  # TLS, a platform without the flag: nothing is known
        return False
