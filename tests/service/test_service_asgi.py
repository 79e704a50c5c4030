"""The service under ASGI: what its servers say and want, and what a real one does when things go wrong."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import pytest
from fault_proxy import fault_proxy
from PIL import Image
from wsgi_servers import running_granian, send

from s3img.errors import Unreachable
from s3img.service.asgi import AsgiService, environ_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from pathlib import Path

    from s3_servers import TestBucket
    from transform_service import Served

Message = dict[str, Any]
LEFT: Message = {"type": "http.disconnect"}


def scope(path: str = "/", **more: Any) -> Message:
    usual = {"type": "http", "http_version": "1.1", "method": "GET", "headers": [], "query_string": b"", "path": path}
    return {**usual, **more}


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run in a thread of its own: in this one may be the loop of a browser that other tests drive."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, main).result()


def exchange(app: AsgiService, said: Message, *, leaves: Awaitable[object] | None = None) -> list[Message]:
    """Send one request; return all that is sent back. The client leaves when ``leaves`` is over."""
    sent: list[Message] = []

    async def receive() -> Message:
        await (leaves or asyncio.Event().wait())
        return LEFT

    async def take(message: Message) -> None:
        sent.append(message)

    run(app(said, receive, take))
    return sent


def answering(chunks: Iterator[bytes]) -> AsgiService:
    """Answer one request with these bytes, in the service's place."""

    def service(_: object, start: Callable[..., object]) -> Iterator[bytes]:
        start("200 OK", [])
        return chunks

    return AsgiService(cast("Any", service), threads=2)


def body(sent: list[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in sent)


def test_answer_is_that_of_wsgi(serve: Callable[..., Served]) -> None:
    served = serve()
    start, *rest = exchange(
        AsgiService(served.app), scope("/tr:w-20,f-png/cat.jpg", raw_path=b"/tr:w-20,f-png/cat.jpg")
    )
    same = served.ask("/tr:w-20,f-png/cat.jpg")
    assert (start["status"], dict(start["headers"])[b"etag"]) == (200, same.headers["ETag"].encode())
    assert body(rest) == same.data


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("OPTIONS", 204), ("POST", 405)])
def test_method_is_passed_on(serve: Callable[..., Served], method: str, status: int) -> None:
    start, *rest = exchange(AsgiService(serve().app), scope("/cat.jpg", method=method))
    assert (start["status"], bool(body(rest))) == (status, status == 405)


def test_original_is_sent_in_pieces(serve: Callable[..., Served], folder: Path) -> None:
    data = bytes(range(256)) * 1_000
    (folder / "large.bin").write_bytes(data)
    _, *rest = exchange(AsgiService(serve().app), scope("/large.bin"))
    assert len(rest) > 3
    assert body(rest) == data
    assert [message.get("more_body", False) for message in rest] == [True] * (len(rest) - 1) + [False]


def test_large_result_is_sent_from_its_file(serve: Callable[..., Served], folder: Path) -> None:
    Image.frombytes("RGB", (800, 800), os.urandom(800 * 800 * 3)).save(folder / "noise.png")
    app = AsgiService(serve().app)
    made, kept = (exchange(app, scope("/tr:w-790,f-png/noise.png"))[1:] for _ in range(2))
    assert body(made) == body(kept)
    assert len(body(made)) > 1 << 20
    assert (len(made), len(kept) > 4) == (1, True)


def test_address_and_headers_are_those_of_the_client() -> None:
    environ = environ_of(
        scope(
            "/img/a/b c.jpg",
            root_path="/img",
            raw_path=b"/img/a%2Fb%20c.jpg",
            query_string=b"tr=w-9",
            headers=[(b"accept", b"image/avif"), (b"accept", b"*/*"), (b"x_request_id", b"forged"), (b"host", b"h")],
            client=("192.0.2.1", 5),
        )
    )
    said = {name: environ[name] for name in ("SCRIPT_NAME", "PATH_INFO", "RAW_URI", "QUERY_STRING", "REMOTE_ADDR")}
    assert [*said.values()] == ["/img", "/a/b c.jpg", "/img/a%2Fb%20c.jpg", "tr=w-9", "192.0.2.1"]
    assert {name: value for name, value in environ.items() if name.startswith("HTTP_")} == {
        "HTTP_ACCEPT": "image/avif,*/*",
        "HTTP_HOST": "h",
    }


def test_path_is_utf8_in_wsgi_s_clothes() -> None:
    assert environ_of(scope("/caf\u00e9"))["PATH_INFO"] == "/caf\u00c3\u00a9"


def test_service_below_a_mount(serve: Callable[..., Served]) -> None:
    said = scope("/a b/cat.jpg", root_path="/a b", raw_path=b"/a%20b/cat.jpg")
    assert exchange(AsgiService(serve().app), said)[0]["status"] == 200


@pytest.mark.slow
def test_time_in_the_queue_is_a_request_s_own(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    app = AsgiService(serve(service={"seconds": 0.3}).app, threads=1)
    app._pool.submit(time.sleep, 0.5)
    start, *rest = exchange(app, scope("/tr:w-31/cat.jpg"))
    assert (start["status"], body(rest).partition(b":")[0]) == (504, b"EDEADLINE")


def test_client_that_leaves_ends_the_work(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    left: list[bool] = []

    def wait(job: object, budget: Any, **_: Any) -> None:
        end = time.monotonic() + 20
        while not budget.is_gone() and time.monotonic() < end:
            time.sleep(0.005)
        left.append(budget.is_gone())
        budget.check("wait")

    monkeypatch.setattr(served.app._engine, "result", wait)
    exchange(AsgiService(served.app), scope("/tr:w-9/cat.jpg"), leaves=asyncio.sleep(0.05))
    assert left == [True]


def endless(closed: threading.Event) -> Iterator[bytes]:
    try:
        yield from itertools.repeat(bytes(1000))
    finally:
        closed.set()


def test_client_that_leaves_ends_an_original() -> None:
    closed = threading.Event()
    app = answering(endless(closed))
    exchange(app, scope(), leaves=asyncio.sleep(0.05))
    assert closed.wait(20)


def test_server_that_cancels_a_request_closes_its_source() -> None:
    closed = threading.Event()
    app = answering(endless(closed))

    async def cancelled() -> None:
        begun = asyncio.Event()

        async def take(message: Message) -> None:
            begun.set()

        task = asyncio.create_task(app(scope(), asyncio.Event().wait, take))  # type: ignore[arg-type] # never returns
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    assert closed.wait(20)


def test_source_that_ends_early_is_no_complete_answer() -> None:
    def broken() -> Iterator[bytes]:
        yield b"01234"
        raise Unreachable("it ended early")

    app = answering(broken())
    with pytest.raises(Unreachable):
        exchange(app, scope())


def test_lifespan_ends_with_the_service(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    closed: list[bool] = []
    monkeypatch.setattr(served.app._engine, "close", lambda: closed.append(True))
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Message:
        return next(messages)

    async def take(message: Message) -> None:
        sent.append(message["type"])

    run(AsgiService(served.app)({"type": "lifespan"}, receive, take))
    assert (sent, closed) == (["lifespan.startup.complete", "lifespan.shutdown.complete"], [True])


def test_websocket_is_refused(serve: Callable[..., Served]) -> None:
    assert exchange(AsgiService(serve().app), {"type": "websocket"}) == [{"type": "websocket.close"}]


@pytest.fixture
def settings(seaweedfs_bucket: TestBucket, tmp_path: Path) -> dict[str, str]:
    for key, size in {"notes.bin": 1_000_000, "few.bin": 20_000}.items():
        seaweedfs_bucket.bucket.put(key, bytes(size), media_type="application/octet-stream")
    server = seaweedfs_bucket.server
    return {
        "S3IMG_BUCKET": seaweedfs_bucket.address,
        "S3IMG_ENDPOINT_URL": server.endpoint_url,
        "S3IMG_ACCESS_KEY_ID": server.access_key,
        "S3IMG_SECRET_ACCESS_KEY": server.secret_key,
        "S3IMG_ACCESS": "open",
        "S3IMG_INSECURE": "1",
        "S3IMG_CACHE_DIR": str(tmp_path / "cache"),
    }


def test_granian_cuts_the_connection_of_a_source_that_ends_early(settings: dict[str, str]) -> None:
    with (
        fault_proxy(settings["S3IMG_ENDPOINT_URL"]) as proxy,
        running_granian({**settings, "S3IMG_ENDPOINT_URL": proxy.endpoint_url}) as (port, _),
    ):
        proxy.faults = itertools.repeat("answer is cut")
        with pytest.raises(http.client.IncompleteRead):
            send(port, "/notes.bin")


def test_granian_tells_who_has_left(settings: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with fault_proxy(settings["S3IMG_ENDPOINT_URL"]) as proxy:
        proxy.faults = itertools.repeat("trickle")
        with running_granian({**settings, "S3IMG_ENDPOINT_URL": proxy.endpoint_url}, log=log) as (port, _):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"GET /tr:w-9/few.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
                time.sleep(0.5)
            assert "EGONE" in _logged(log, "/tr:w-9/few.bin")


def _logged(log: Path, target: str) -> str:
    """Return the error that a request ended with."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        if found := [line for line in lines if line.get("target") == target]:
            return str(found[0].get("error"))
        time.sleep(0.05)
    return ""
