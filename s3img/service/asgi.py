"""The service under ASGI servers, some of which speak HTTP in compiled code.

They tell the address as it was sent, and when a client leaves. Requests are answered in threads, as under WSGI; the
event loop only passes on what is ready.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

from s3img.service.app import ARRIVED, DISCONNECTED, refuse_rsgi

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
    from wsgiref.types import WSGIEnvironment

    from s3img.service.app import TransformService

Message: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"

_BLOCK: Final = 1 << 18
"""Bytes of a file that are sent at once."""


class AsgiService:
    """Serve what ``service`` serves, to ``threads`` clients at a time (0: as many as `TransformService.threads`).

    Others wait, which counts as their requests' time. The service is closed at the end of the lifespan; an application
    that mounts it below a path (Starlette, FastAPI) does not hand that on, and calls `close` in a lifespan of its own.
    """

    __rsgi_init__ = refuse_rsgi

    def __init__(self, service: TransformService, *, threads: int = 0) -> None:
        self._service = service
        self._pool = ThreadPoolExecutor(threads or service.threads, thread_name_prefix="s3img-request")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's start and end; a WebSocket is refused."""
        if scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        elif scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await self.close()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await send({"type": "websocket.close"})

    async def close(self) -> None:
        """Finish what is under way, without holding up the event loop."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    async def _serve_http(self, scope: Message, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        client = _AsgiClient(loop, receive)
        response = _AsgiResponse()
        environ = environ_of(scope)
        environ[DISCONNECTED] = client.is_gone
        try:
            body = await loop.run_in_executor(self._pool, response.start, self._service, environ)
            await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
            while not response.is_complete:
                await send({"type": "http.response.body", "body": body, "more_body": True})
                if client.is_gone():
                    return
                body = await loop.run_in_executor(self._pool, response.read)
            await send({"type": "http.response.body", "body": body})
        finally:
            client.end()
            if not response.is_complete:
                with suppress(RuntimeError):  # the process ends
                    self._pool.submit(response.close)

    def _close(self) -> None:
        self._pool.shutdown()
        self._service.close()


class _AsgiResponse:
    """One response, which threads make and read, one at a time."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        self._lock = threading.Lock()
        self._body: Iterable[bytes] = ()
        self._chunks: Iterator[bytes] = iter(())

    def start(self, service: TransformService, environ: WSGIEnvironment) -> bytes:
        """Answer a request; return the first bytes of the body."""

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
            self.status = int(status[:3])
            self.headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
            return bytes  # PEP 3333's old `write`, which the service never calls

        with self._lock:
            self._body = service(environ, start_response)
            if isinstance(self._body, list | tuple):
                self.is_complete = True
                return b"".join(self._body)
            self._chunks = iter(self._body)
        return self.read()

    def read(self) -> bytes:
        """Return the next bytes; none when the answer is complete."""
        with self._lock:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._close()
                self.is_complete = True
            return chunk or b""

    def close(self) -> None:
        """Close the body of a response that is not wanted any more."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if close := getattr(self._body, "close", None):
            close()


class _AsgiClient:
    """Whether a client has left.

    Its server is asked when somebody wants to know for the first time: most requests end before.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Receive) -> None:
        self._loop = loop
        self._receive = receive
        self._is_asked = False
        self._is_gone = False
        self._task: asyncio.Task[None] | None = None

    def is_gone(self) -> bool:
        """Tell whether the client is known to have left; called in threads."""
        if not self._is_asked:
            self._is_asked = True
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._start_waiting)
        return self._is_gone

    def end(self) -> None:
        """Ask no longer: the request is answered."""
        self._is_asked = True
        if self._task is not None:
            self._task.cancel()

    def _start_waiting(self) -> None:
        self._task = self._loop.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # what a client sends as a body means nothing here
        self._is_gone = True


def environ_of(scope: Message) -> WSGIEnvironment:
    """Return what the service reads of a WSGI environment (PEP 3333), for an ASGI scope of type ``http``."""
    path = scope["path"]
    root = _mount(scope.get("root_path", ""), scope.get("app_root_path", ""), path)
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    environ = {
        ARRIVED: time.monotonic(),
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _wsgi(root),
        "PATH_INFO": _wsgi(path.removeprefix(root)),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "RAW_URI": (scope.get("raw_path") or b"").decode("latin-1"),
        "REMOTE_ADDR": client[0],
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.file_wrapper": _blocks,
    }
    for name, value in scope["headers"]:
        if b"_" not in name:  # which would pass for a hyphen
            key, text = f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}", value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


def _mount(root: str, outer: str, path: str) -> str:
    """Return the part of ``root`` that ``path`` begins with.

    The specification has all of it in the path. Behind a proxy that takes off its own prefix, ``FastAPI(root_path=…)``
    has the prefix in the root alone; Starlette notes it as the application's own (``outer``) and adds the mount's.
    """
    is_whole = path == root or path.startswith(f"{root}/")
    return root if is_whole or not outer else root.removeprefix(outer)


def _wsgi(text: str) -> str:
    """Return a text as PEP 3333 has it: its bytes in UTF-8 as if they were Latin-1."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _blocks(file: BinaryIO, _: int = 0) -> Iterator[bytes]:
    with file:
        yield from iter(partial(file.read, _BLOCK), b"")
