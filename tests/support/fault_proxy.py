"""A proxy in front of a real store that breaks chosen requests the way networks and busy stores do."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
import struct
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STALL = 2.5
"""Seconds of silence; the tests' clients wait less."""

_ERRORS = {
    "slow down": (503, "SlowDown"),
    "internal error": (500, "InternalError"),
    "too many requests": (429, "TooManyRequests"),
    "denied": (403, "AccessDenied"),
    "skewed": (403, "RequestTimeTooSkewed"),
}


class Reply(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class FaultProxy:
    """Pass requests on to ``upstream``; each takes the next of ``faults``, whose names are `FAULTS` or "" for none."""

    def __init__(self, upstream: str, port: int) -> None:
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.upstream = urlsplit(upstream).netloc
        self.faults: Iterator[str] = itertools.repeat("")
        self.lock = threading.Lock()
        self.injected = 0

    def next_fault(self) -> str:
        with self.lock:
            fault = next(self.faults, "")
            self.injected += bool(fault)
            return fault

    def forward(self, handler: BaseHTTPRequestHandler, body: bytes, *, sent: int | None = None) -> Reply:
        """Send a request upstream, or only the first ``sent`` bytes of its body before hanging up."""
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in {"expect", "connection"}:
                    connection.putheader(name, value)
            connection.endheaders(body if sent is None else body[:sent])
            if sent is not None:
                return Reply(0, [], b"")
            answer = connection.getresponse()
            return Reply(answer.status, answer.getheaders(), answer.read())


class _Handler(BaseHTTPRequestHandler):
    """Serve one connection; each fault is a method."""

    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def handle_one(self) -> None:
        fault = self.proxy.next_fault()
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "reset while sending":
            self.rfile.read(length // 2)
            self.reset()
            return
        self.body = self.rfile.read(length)
        if fault in _ERRORS:
            self.refuse(*_ERRORS[fault])
        else:
            FAULTS[fault](self)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one  # noqa: N815 - http.server's names

    def pass_on(self) -> None:
        self.reply(self.proxy.forward(self, self.body))

    def half_arrives(self) -> None:
        """The store gets half of the body, then both sides lose the connection."""
        self.proxy.forward(self, self.body, sent=len(self.body) // 2)
        self.reset()

    def answer_is_lost(self) -> None:
        """The store did what was asked, and the client never hears of it."""
        self.proxy.forward(self, self.body)
        self.reset()

    def answer_is_cut(self) -> None:
        reply = self.proxy.forward(self, self.body)
        self.reply(reply, keep=max(0, len(reply.body) // 2))
        self.reset()

    def silence(self) -> None:
        time.sleep(STALL)
        self.reset()

    def trickle(self) -> None:
        """The answer comes a few bytes at a time."""
        self.reply(self.proxy.forward(self, self.body), pause=0.005)

    def wrong_etag(self) -> None:
        """The answer names an object that is not the one that was sent."""
        reply = self.proxy.forward(self, self.body)
        named = [
            (name, '"00000000000000000000000000000000"') if name.lower() == "etag" else (name, value)
            for name, value in reply.headers
        ]
        self.reply(reply._replace(headers=named))

    def slow_loris(self) -> None:
        """The answer comes a byte at a time, each just before the client would give up, and never ends."""
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(600):
                self.wfile.write(b"x")
                time.sleep(0.1)
        self.reset()

    def garbage(self) -> None:
        self.wfile.write(b"\x00\xff<<not http>>\r\n\r\n")
        self.reset()

    def refuse(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        self.reply(Reply(status, [("Content-Type", "application/xml")], text))

    def reply(self, reply: Reply, *, keep: int | None = None, pause: float = 0) -> None:
        hop = {"connection", "transfer-encoding", "content-length", "date", "server", "keep-alive"}
        has_body = self.command != "HEAD"
        length = len(reply.body) if has_body else dict(reply.headers).get("Content-Length", "0")
        self.send_response(reply.status)
        for name, value in reply.headers:
            if name.lower() not in hop:
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        # An answer to HEAD has no body: a client would take it for the beginning of the next answer.
        body = reply.body[:keep] if has_body else b""
        for start in range(0, len(body), 64 if pause else 1 << 30):
            time.sleep(pause)
            self.wfile.write(body[start : start + (64 if pause else 1 << 30)])

    def reset(self) -> None:
        """Close with RST instead of FIN, as a broken link does."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, *_: object) -> None:
        return


FAULTS: dict[str, Callable[[_Handler], None]] = {
    "": _Handler.pass_on,
    "half arrives": _Handler.half_arrives,
    "answer is lost": _Handler.answer_is_lost,
    "answer is cut": _Handler.answer_is_cut,
    "silence": _Handler.silence,
    "trickle": _Handler.trickle,
    "wrong etag": _Handler.wrong_etag,
    "slow loris": _Handler.slow_loris,
    "garbage": _Handler.garbage,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def shutdown_request(self, request: object) -> None:
        """Close without the orderly shutdown that would turn a reset into an end of file."""
        self.close_request(request)  # type: ignore[arg-type] # the standard library's own signature is wider

    def handle_error(self, *_: object) -> None:
        return


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """Run a proxy on a free port of loopback."""
    server = _Server(("127.0.0.1", 0), _Handler)
    proxy = FaultProxy(upstream, server.server_port)
    server.RequestHandlerClass = type("Handler", (_Handler,), {"proxy": proxy})
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
