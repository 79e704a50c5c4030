"""Real WSGI servers on loopback, and requests whose first line is sent as it is written."""

from __future__ import annotations

import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import gunicorn.config
import waitress.server
import werkzeug.serving
from s3_servers import free_ports
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_QUIET = ["--no-control-socket"] if "control_socket_disable" in gunicorn.config.make_settings() else []
"""Newer versions leave a socket in the user's folders."""

SERVERS = ("gunicorn", "waitress", "werkzeug", "wsgiref")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


def send(port: int, target: bytes | str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request; nothing about its target is mended."""
    target = target.encode() if isinstance(target, str) else target
    lines = [f"{name}: {value}".encode() for name, value in {"Host": "localhost", **(headers or {})}.items()]
    head = b"\r\n".join([method.encode() + b" " + target + b" HTTP/1.1", *lines, b"Connection: close", b"", b""])
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(head)
        return _read(connection, method)


def _read(connection: socket.socket, method: str) -> Answer:
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    with response:
        body = response.read()
    return Answer(response.status, Headers(response.headers.items()), body)


@contextmanager
def running(name: str, app: Callable[..., Any], environ: Mapping[str, str]) -> Iterator[int]:
    """Run a service under a server and lend its port; gunicorn and granian make their own from ``environ``."""
    if own := {"gunicorn": running_gunicorn, "granian": running_granian}.get(name):
        with own(environ) as (port, _):
            yield port
        return
    with {"waitress": _waitress, "werkzeug": _werkzeug, "wsgiref": _wsgiref}[name](app) as port:
        yield port


@contextmanager
def running_gunicorn(
    environ: Mapping[str, str], *options: str, app: str = "s3img.service:create_app()", log: Path | None = None
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run gunicorn on a free port, and stop it gently."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", *_QUIET, *options, app]
    with running_command(command, environ, port, log) as process:
        yield port, process


@contextmanager
def running_granian(
    environ: Mapping[str, str], *options: str, log: Path | None = None
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run granian on a free port, and stop it gently."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "granian", "--interface=asgi", "--factory", *options]
    command += ["--host=127.0.0.1", f"--port={port}", "s3img.service:create_asgi_app"]
    with running_command(command, environ, port, log) as process:
        yield port, process


@contextmanager
def running_command(
    command: list[str], environ: Mapping[str, str], port: int, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server's command, with no other variables than ``environ``, until it answers; stop it gently."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    with (log or Path(os.devnull)).open("wb") as output:
        process = subprocess.Popen(command, env={**kept, **environ}, stdout=output, stderr=output)
        try:
            _wait(port, process)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(40)


def _wait(port: int, process: subprocess.Popen[bytes], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if send(port, "/healthz").status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server does not start")


@contextmanager
def _waitress(app: Callable[..., Any]) -> Iterator[int]:
    server = waitress.server.create_server(app, host="127.0.0.1", port=0, threads=2)

    def run() -> None:
        with suppress(OSError):  # its loop has no other end than a closed socket
            server.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield int(server.effective_port)
    finally:
        server.close()
        thread.join(10)


@contextmanager
def _werkzeug(app: Callable[..., Any]) -> Iterator[int]:
    server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    with _thread(server):
        yield server.port


@contextmanager
def _wsgiref(app: Callable[..., Any]) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, handler_class=_Plain)
    with _thread(server):
        yield server.server_port


@contextmanager
def _thread(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Silent(werkzeug.serving.WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class _Plain(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return

    def get_stderr(self) -> Any:
        return io.StringIO()
