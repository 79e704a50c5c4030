"""The service below a path of a Starlette application, as FastAPI has it too."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette

from s3img.service.asgi import AsgiService

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transform_service import Served


def get(app: Any, target: str, *, root: str = "") -> tuple[int, dict[str, str], bytes]:
    """Ask an ASGI application, as a server does that was told its ``root`` or not; return status, headers and body."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "headers": [],
        "query_string": b"",
        "scheme": "http",
    }
    scope |= {"path": unquote(target), "raw_path": target.encode(), "root_path": root}

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with ThreadPoolExecutor(1) as pool:  # in this thread may be the loop of a browser
        pool.submit(asyncio.run, app(scope, receive, send)).result()
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    ("target", "root"),
    [
        ("/img{}", ""),
        ("/api/img{}", "/api"),  # uvicorn --root-path /api, or a proxy that leaves the prefix
        ("/img{}", "/api"),  # FastAPI(root_path="/api") behind a proxy that takes it off
    ],
)
@pytest.mark.parametrize("key", ["cat.jpg", "caf%C3%A9%20100%25%2Ba%252Fb%3Bc.jpg"])
def test_mounted_service_finds_its_keys(
    serve: Callable[..., Served], folder: Path, picture_bytes: bytes, target: str, root: str, key: str
) -> None:
    (folder / unquote(key)).write_bytes(picture_bytes)
    app = Starlette()
    app.mount("/img", AsgiService(serve(access="open").app))
    status, headers, _ = get(app, target.format(f"/tr:w-20,f-png/{key}"), root=root)
    assert (status, headers["content-type"]) == (200, "image/png")


def test_mounted_service_is_closed_by_its_application(serve: Callable[..., Served]) -> None:
    service = AsgiService(serve(access="open").app)
    assert get(service, "/healthz")[0] == 200
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, service.close()).result()
    with pytest.raises(RuntimeError, match="after shutdown"):
        get(service, "/healthz")
