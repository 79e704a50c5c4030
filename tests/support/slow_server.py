"""A server that sends a byte now and then for ever: no time-out of a socket ends such an answer."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def slow_server(*pieces: bytes, pause: float) -> Iterator[str]:
    """Answer every request with pieces, then with the first byte of the last one, each after ``pause`` seconds."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # of a client that has given up
            connection.recv(1 << 16)
            for piece in pieces:
                connection.sendall(piece)
            while not ended.wait(pause):
                connection.sendall(pieces[-1][:1])

    def accept() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.close()
