"""The transform service as a WSGI application: from an environment to an answer, whatever happens."""

from __future__ import annotations

import os
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from s3img.errors import MethodNotAllowed
from s3img.service import failure
from s3img.service.access import Places
from s3img.service.answer import PLAIN, Answer
from s3img.service.engine.requests import Budget
from s3img.service.log import log_failure, log_request, request_id
from s3img.service.originals import original
from s3img.service.pictures import info, picture
from s3img.service.reception import Reception
from s3img.service.request_target import RequestTarget
from s3img.service.wiring import build_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from s3img.config import Config
    from s3img.lock import Lock
    from s3img.service.engine.requests import EngineProtocol
    from s3img.service.service_request import ServiceRequest

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


_EXPOSED: Final = "Accept-Ranges, Content-DPR, Content-Length, Content-Range, ETag, S3img-Error, Server-Timing"

_DAY: Final = "86400"


class Cors:
    """Let pages of ``origins`` read answers; ``*`` are all, and none is the usual case."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origins)

    def apply(self, headers: dict[str, str], origin: str) -> None:
        """Say whether a page of ``origin`` may read this answer, and that others get another one."""
        if not self._origins:
            return
        if "*" in self._origins:
            self._allow(headers, "*")
            return
        headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
        if origin in self._origins:
            self._allow(headers, origin)

    def preflight(self, headers: dict[str, str], methods: str) -> None:
        """Answer what browsers ask before requests of their scripts; ``apply`` says whether for this page."""
        if self._origins:
            headers["Access-Control-Allow-Methods"] = methods
            headers["Access-Control-Allow-Headers"] = "Range, If-None-Match, If-Modified-Since, If-Range"
            headers["Access-Control-Max-Age"] = _DAY

    def _allow(self, headers: dict[str, str], origin: str) -> None:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _EXPOSED
        headers["Timing-Allow-Origin"] = origin


ARRIVED: Final = "s3img.arrived"
"""Key of the time (``time.monotonic()``) when a request came, for servers that let it wait for a thread."""

_METHODS: Final = "GET, HEAD, OPTIONS"


class TransformService:
    """Serve the pictures of a configuration's origins; share it between threads, make it before a fork.

    Of the images in ``lock`` it shows what a sync has rendered. ``engine`` replaces the one that the settings
    describe, ``environ`` the environment that credentials are read from. Raise ConfigError for settings it can't serve
    under. ``access = "open"`` lets anybody ask for anything: it is for development, and for services that something
    else protects.
    """

    def __init__(
        self,
        config: Config,
        *,
        lock: Lock | None = None,
        engine: EngineProtocol | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._reception = Reception(config)
        self._cors = Cors(config.service.cors_origins)
        self._engine = engine or build_engine(config, os.environ if environ is None else environ, lock)
        self._clock = clock
        self._places = Places(config.service.per_client)
        self._admin = {"/healthz": self._health, "/readyz": self._readiness}
        if config.service.metrics_path:
            self._admin[config.service.metrics_path] = self._metrics

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        started = environ.setdefault(ARRIVED, time.monotonic())
        identity = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        answer = self._respond(environ, identity)
        answer.headers["X-Request-ID"] = identity
        answer.headers["X-Content-Type-Options"] = "nosniff"
        self._cors.apply(answer.headers, environ.get("HTTP_ORIGIN", ""))
        log_request(environ, answer, identity=identity, started=started)
        return answer.send(environ["REQUEST_METHOD"], start_response)

    @property
    def clients(self) -> int:
        """Return how many requests find a place or may wait for one; the next ones are told to come back."""
        said = self._config.service
        return said.fetches + (said.renders or os.cpu_count() or 1) + said.queue

    def close(self) -> None:
        """Finish what is under way and stop the threads."""
        self._engine.close()

    def _respond(self, environ: WSGIEnvironment, identity: str) -> Answer:
        try:
            return self._answer(environ).checked()
        except Exception as error:  # whatever it is, the client learns nothing of it
            log_failure(error, status=failure.kind_of(error).status, identity=identity)
            return failure.respond(error, accept=environ.get("HTTP_ACCEPT", ""), request_id=identity)

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        target = RequestTarget.of(environ)
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return self._options()
        if method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(
                "Pictures can be read with GET and HEAD, and nothing else.", allowed=_METHODS.split(", ")
            )
        budget = Budget(environ[ARRIVED] + self._config.service.seconds, gone_check(environ))
        if admin := self._admin.get(target.path):
            return admin(budget)
        with self._places.one(environ.get("REMOTE_ADDR", "")):
            return self._serve(self._reception.receive(environ, target, budget, now=self._clock()))

    def _serve(self, exchange: ServiceRequest) -> Answer:
        if exchange.asked.kind == "info":
            return info(exchange, self._engine)
        if exchange.transform is None or exchange.transform.output.original:
            return original(exchange, self._engine)
        return picture(exchange, self._engine, exchange.transform)

    def _options(self) -> Answer:
        answer = Answer(204, {"Allow": _METHODS})
        self._cors.preflight(answer.headers, _METHODS)
        return answer

    def _health(self, budget: Budget) -> Answer:  # noqa: ARG002 - of the kind of the others
        return Answer.whole(b"ok\n", PLAIN)

    def _readiness(self, budget: Budget) -> Answer:
        self._engine.ready(budget)
        return Answer.whole(b"ready\n", PLAIN)

    def _metrics(self, budget: Budget) -> Answer:  # noqa: ARG002 - of the kind of the others
        data, media_type = self._engine.metrics()
        return Answer.whole(data, media_type)
