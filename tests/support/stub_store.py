"""An HTTP server that gives the answers no local S3 server gives, and remembers what it was sent."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from s3img.buckets import AccessKey, S3Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"ETag": '"e"'})

    @classmethod
    def error(cls, status: int, code: str, message: str = "no", **headers: str) -> Answer:
        """Refuse the way S3 does: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, text.encode(), {"Content-Type": "application/xml", **named})


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class StubStore:
    """Answer request after request from a list, the last answer for ever; or as ``answer_by`` says."""

    def __init__(self, port: int) -> None:
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.answers: list[Answer] = [Answer()]
        self.answer_by: Callable[[Request], Answer] | None = None
        self.requests: list[Request] = []

    def options(self, **changes: Any) -> S3Options:
        key = AccessKey("stubaccesskey", "stubsecretkey")
        usual = {"endpoint_url": self.endpoint_url, "access_key": key, "attempts": 1, "use_obstore": False}
        return S3Options(**{**usual, **changes})

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        if self.answer_by:
            return self.answer_by(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def stub_store(*answers: Answer) -> Iterator[StubStore]:
    """Run a stub store on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = store.answer(Request(self.command, self.path, headers, body))
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    store = StubStore(server.server_port)
    store.answers = list(answers) or store.answers
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
