"""A reverse proxy that is set up badly: it changes the ``Host`` header, or its clock is wrong, or it loses a header."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True)
class Meddling:
    """Say what the proxy changes.

    ``host`` replaces the Host header, ``drop`` names headers of requests that are lost, ``path`` changes their target;
    ``skew`` s are added to the Date of answers, ``headers`` replace theirs, ``body`` changes their bytes; ``answers``
    gives the status with which a request that has a header is refused (0: hang up), ``pause`` s pass before each answer.
    """

    host: str = ""
    drop: tuple[str, ...] = ()
    path: Callable[[str], str] = str
    skew: float = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[bytes], bytes] = bytes
    answers: Mapping[str, int] = field(default_factory=dict)
    pause: float = 0


class _Handler(BaseHTTPRequestHandler):
    """Pass one request on, changed; the class of one proxy names its upstream and what it changes."""

    protocol_version = "HTTP/1.1"
    target = ""
    meddling = Meddling()

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(self.meddling.pause)
        if refused := [status for name, status in self.meddling.answers.items() if name in self.headers]:
            self.refuse(refused[0])
            return
        with contextlib.closing(http.client.HTTPConnection(self.target, timeout=30)) as connection:
            path = self.meddling.path(self.path)
            connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", self.meddling.host or self.headers["Host"])
            for name, value in self.headers.items():
                if name.lower() not in {"host", "connection", "expect", *self.meddling.drop}:
                    connection.putheader(name, value)
            connection.endheaders(body)
            self.answer(connection.getresponse())

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_OPTIONS = handle_one  # noqa: N815 - http.server's names

    def refuse(self, status: int) -> None:
        self.close_connection = True
        if status:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def answer(self, got: http.client.HTTPResponse) -> None:
        body = self.meddling.body(got.read())
        own = {"Date": email.utils.formatdate(time.time() + self.meddling.skew, usegmt=True), **self.meddling.headers}
        gone = {"connection", "transfer-encoding", "content-length", *map(str.lower, own)}
        self.send_response_only(got.status)
        for name, value in [*got.getheaders(), *own.items()]:
            if name in own or name.lower() not in gone:
                self.send_header(name, value)
        length = got.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def meddling_proxy(upstream: str, meddling: Meddling) -> Iterator[str]:
    """Yield the URL of a proxy before ``upstream``."""
    facts = {"target": urlsplit(upstream).netloc, "meddling": meddling}
    with _running(type("Handler", (_Handler,), facts)) as url:
        yield url


@contextmanager
def regional_store(upstream: str, region: str, *, names_it: bool = True) -> Iterator[str]:
    """Yield the URL of a store in one region: it answers requests that are signed for another as AWS does.

    Without ``names_it`` it does not say which region is its own.
    """

    class Regional(_Handler):
        target = urlsplit(upstream).netloc

        def handle_one(self) -> None:
            signed = self.headers.get("Authorization", "")
            if not signed or f"/{region}/s3/" in signed:
                super().handle_one()
                return
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            named = f"<Message>expecting '{region}'</Message><Region>{region}</Region>" if names_it else ""
            text = f"<Error><Code>AuthorizationHeaderMalformed</Code>{named}</Error>".encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(text)))
            if names_it:
                self.send_header("x-amz-bucket-region", region)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else text)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one  # noqa: N815 - http.server's names

    with _running(Regional) as url:
        yield url


@contextmanager
def _running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
