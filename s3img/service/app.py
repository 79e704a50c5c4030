"""The transform service as a WSGI application: from an environment to a response, whatever happens."""

from __future__ import annotations

import os
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from werkzeug.datastructures import EnvironHeaders

from s3img.errors import Busy, ConfigError, MethodNotAllowed
from s3img.service import failure
from s3img.service.access import ClientLimiter
from s3img.service.answers import answer_info, answer_original, answer_picture
from s3img.service.engine.jobs import Budget
from s3img.service.imgproxy.proxy_answers import answer_proxied
from s3img.service.imgproxy.proxy_mount import ProxyMount
from s3img.service.log import log_failure, log_request, request_id
from s3img.service.origins import build_engine
from s3img.service.request_parsing import RequestTarget
from s3img.service.request_reader import RequestReader
from s3img.service.service_request import PLAIN, Response, ServiceRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from s3img.config import Config
    from s3img.lock import Lock
    from s3img.service.engine.jobs import EngineProtocol
    from s3img.service.imgproxy.proxy_mount import ProxiedRequest
    from s3img.service.request_reader import AllowedRequest

ARRIVED: Final = "s3img.arrived"
"""Key of the time (``time.monotonic()``) when a request came, for servers that let it wait for a thread."""
DISCONNECTED: Final = "s3img.client_disconnected"
"""Key of a function that tells whether the client has left, for servers without a name of their own for it."""
_DISCONNECTED_NAMES: Final = ("waitress.client_disconnected", DISCONNECTED)
_SOCKET_NAMES: Final = ("gunicorn.socket", "werkzeug.socket")
_EXPOSED: Final = "Accept-Ranges, Content-DPR, Content-Length, Content-Range, ETag, S3img-Error, Server-Timing"
_DAY: Final = "86400"
_METHODS: Final = "GET, HEAD, OPTIONS"
_READY: Final = 16
"""Threads for answers that are ready: each takes a fraction of a ms, or waits for a disk."""


def client_is_gone(environ: WSGIEnvironment) -> bool:
    """Tell whether the client has closed its connection, where the server lets us know."""
    for name in _DISCONNECTED_NAMES:
        if callable(is_gone := environ.get(name)):
            return bool(is_gone())
    found = (environ.get(name) for name in _SOCKET_NAMES)
    return any(_is_closed(one) for one in found if isinstance(one, socket.socket))


def _is_closed(connection: socket.socket) -> bool:
    """Look at the next byte without taking it: an end of stream is a client that has left."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except (OSError, AttributeError, ValueError):  # TLS, a platform without the flag: nothing is known
        return False


def refuse_green_threads() -> None:
    """Raise ConfigError where gevent or eventlet has replaced threads, or is about to.

    Rendering is compiled code that never yields to their loop: one picture would hold up all requests of the process.
    """
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    # With --preload, gunicorn makes the application first and replaces threads in each worker: every request would
    # hang. The worker's module is loaded by then, and nothing else loads it.
    is_gevent = "gunicorn.workers.ggevent" in sys.modules or (
        gevent is not None and gevent.is_module_patched("threading")
    )
    is_eventlet = "gunicorn.workers.geventlet" in sys.modules or (
        eventlet is not None and eventlet.is_monkey_patched("thread")
    )
    if is_gevent or is_eventlet:
        name = "gevent" if is_gevent else "eventlet"
        fix = "start gunicorn with --worker-class gthread, or use granian or waitress"
        raise ConfigError([f"{name}: the service needs real threads, and {name}'s workers replace them: {fix}"])


def refuse_asgi(scope: Mapping[str, Any], *channels: Any) -> Any:  # noqa: ANN401 - what its version of ASGI wants
    """Return an ASGI application (of version 2 without ``channels``) that ends its server at the start.

    A server that does not tell its applications of the start gets the ConfigError with each request.
    """
    fix = "start s3img.service:create_asgi_app instead, or use a WSGI server"

    async def refuse(
        receive: Callable[[], Awaitable[object]], send: Callable[[dict[str, str]], Awaitable[None]]
    ) -> None:
        if scope["type"] != "lifespan":
            raise ConfigError([f"this is an ASGI server, and create_app makes a WSGI application: {fix}"])
        await receive()
        message = f"s3img.service:create_app makes a WSGI application, and this is an ASGI server: {fix}."
        await send({"type": "lifespan.startup.failed", "message": message})

    return refuse(*channels) if channels else refuse


def refuse_rsgi(_app: object, _loop: object) -> None:
    """Raise ConfigError: granian calls an application's ``__rsgi_init__`` at the start of its own interface, RSGI."""
    fix = "start create_asgi_app with --interface asgi, or create_app with --interface wsgi"
    raise ConfigError([f"granian's own interface, RSGI, is its default, and the service does not speak it: {fix}"])


class CorsPolicy:
    """Let pages of ``origins`` read responses; ``*`` means all, and none is the usual case."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origins)

    def apply(self, headers: dict[str, str], origin: str) -> None:
        """Write whether a page of ``origin`` may read this response, and that others get another one."""
        if not self._origins:
            return
        allowed = "*" if "*" in self._origins else origin
        if allowed != "*":
            headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
        if allowed == "*" or origin in self._origins:
            headers["Access-Control-Allow-Origin"] = allowed
            headers["Access-Control-Expose-Headers"] = _EXPOSED
            headers["Timing-Allow-Origin"] = allowed

    def preflight(self, headers: dict[str, str], methods: str) -> None:
        """Answer what browsers ask before requests of their scripts; ``apply`` tells whether for this page."""
        if self._origins:
            headers["Access-Control-Allow-Methods"] = methods
            headers["Access-Control-Allow-Headers"] = "Range, If-None-Match, If-Modified-Since, If-Range"
            headers["Access-Control-Max-Age"] = _DAY


class TransformService:
    """Serve the pictures of a configuration's origins; share it between threads, make it before a fork.

    Of the images in ``lock`` it shows what a sync has rendered. ``engine`` replaces the one that the settings
    describe, ``environ`` the environment that credentials are read from. Raise ConfigError for settings it can't serve
    under. ``access = "open"`` lets anybody ask for anything: it is for development, and for services that something
    else protects.
    """

    __rsgi_init__ = refuse_rsgi

    def __init__(
        self,
        config: Config,
        *,
        lock: Lock | None = None,
        engine: EngineProtocol | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        refuse_green_threads()
        self._has_looked_at_threads = False
        self._config = config
        environ = os.environ if environ is None else environ
        self._reader = RequestReader(config)
        self._mount = ProxyMount(config, config.imgproxy, environ) if config.imgproxy else None
        self._cors = CorsPolicy(config.service.cors_origins)
        self._engine = engine or build_engine(config, environ, lock)
        self._clock = clock
        self._clients = ClientLimiter(config.service.per_client)
        self._health_paths = {"/healthz", *(config.imgproxy.health_paths if config.imgproxy else ())}
        self._operator_paths = {*self._health_paths, "/readyz", config.service.metrics_path or "/healthz"}

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse | None = None, *channels: object
    ) -> Iterable[bytes]:
        """Answer one request; an ASGI server, which calls with other arguments, is told what to start instead."""
        if start_response is None or channels:
            refusal: Iterable[bytes] = refuse_asgi(environ, *filter(None, (start_response, *channels)))
            return refusal
        started = environ.setdefault(ARRIVED, time.monotonic())
        identity = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        try:
            if not self._has_looked_at_threads:  # a program may replace them after it has made the service
                refuse_green_threads()
                self._has_looked_at_threads = True
            response = self._respond(environ).checked()
        except Exception as error:  # whatever it is, the client learns nothing of what is inside
            log_failure(error, status=failure.kind_of(error).status, identity=identity)
            response = failure.respond(error, accept=environ.get("HTTP_ACCEPT", ""), request_id=identity)
        response.headers["X-Request-ID"] = identity
        response.headers["X-Content-Type-Options"] = "nosniff"
        self._cors.apply(response.headers, environ.get("HTTP_ORIGIN", ""))
        log_request(environ, response, identity=identity, started=started)
        return response.send(environ["REQUEST_METHOD"], start_response)

    @property
    def config(self) -> Config:
        """Return the settings in force."""
        return self._config

    @property
    def threads(self) -> int:
        """Return how many threads a server needs: so many may wait for what is made, and some answer all others."""
        settings = self._config.service
        return settings.fetches + (settings.renders or os.cpu_count() or 1) + settings.queue + _READY

    def start(self) -> None:
        """Start what requests would otherwise wait for; servers may leave it out, or call it after a fork."""
        self._engine.start()

    def close(self) -> None:
        """Finish what is under way and stop the threads."""
        self._engine.close()

    def _respond(self, environ: WSGIEnvironment) -> Response:
        target = RequestTarget.of(environ)
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            response = Response(204, {"Allow": _METHODS})
            self._cors.preflight(response.headers, _METHODS)
            return response
        if method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(
                "Pictures can be read with GET and HEAD, and nothing else.", allowed=_METHODS.split(", ")
            )
        budget = Budget(environ[ARRIVED] + self._config.service.seconds, partial(client_is_gone, environ))
        if target.path in self._operator_paths:
            return self._respond_to_operator(target.path, budget)
        with self._clients.count(environ.get("REMOTE_ADDR", "")):
            now = self._clock()
            below = self._mount.below(target.path) if self._mount else None
            if self._mount and below is not None:
                proxied = self._mount.read(below, now=now, authorization=environ.get("HTTP_AUTHORIZATION", ""))
                request = self._request(environ, proxied, budget, now)
                return answer_proxied(request, self._engine, proxied)
            allowed = self._reader.read(environ, target, now=now)
            request = self._request(environ, allowed, budget, now)
            if request.parsed.kind == "info":
                return answer_info(request, self._engine)
            if allowed.transform is None or allowed.transform.output.original:
                return answer_original(request, self._engine)
            return answer_picture(request, self._engine, allowed.transform)

    def _request(
        self, environ: WSGIEnvironment, allowed: AllowedRequest | ProxiedRequest, budget: Budget, now: float
    ) -> ServiceRequest:
        return ServiceRequest(
            environ=environ,
            headers=EnvironHeaders(environ),
            config=self._config,
            route=allowed.route,
            parsed=allowed.parsed,
            grant=allowed.grant,
            budget=budget,
            now=now,
        )

    def _check_drain(self) -> None:
        """Raise Busy while the service is being taken out of its load balancer; requests are answered all the same."""
        path = self._config.service.drain_file
        # A file, because all processes of a machine have to say the same, whichever of them is asked.
        if path and Path(path).exists():
            raise Busy("The service is being drained.", retry_after=1, fix="Ask another machine.")

    def _respond_to_operator(self, path: str, budget: Budget) -> Response:
        """Answer health, readiness or metrics."""
        if path in self._health_paths:
            return Response.whole(b"ok\n", PLAIN)
        if path == "/readyz":
            self._check_drain()
            self._engine.ready(budget)
            return Response.whole(b"ready\n", PLAIN)
        return Response.whole(*self._engine.metrics())
