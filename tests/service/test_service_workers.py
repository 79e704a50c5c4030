"""Servers and worker models: each serves pictures, or is refused at its start in a sentence that names one that does."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from s3_servers import free_ports
from wsgi_servers import running_command, running_gunicorn, send

from s3img.config import Config
from s3img.errors import ConfigError
from s3img.service import TransformService, create_asgi_app
from s3img.service.asgi import AsgiService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from transform_service import Served

APP = "s3img.service:create_app"
ASGI = "s3img.service:create_asgi_app"
WORKS: dict[str, tuple[str, list[str]]] = {  # the module that has to be there, and the command with {port}
    "gunicorn sync --preload": ("gunicorn", ["gunicorn", "-w=2", "--preload"]),
    "uvicorn": ("uvicorn", ["uvicorn", "--port={port}", "--factory", ASGI]),
    "gunicorn gthread --preload": ("gunicorn", ["gunicorn", "-k=gthread", "--preload"]),
    "granian wsgi": ("granian", ["granian", "--port={port}", "--interface=wsgi", "--factory", APP]),
    "waitress-serve": ("waitress", ["waitress", "--listen=127.0.0.1:{port}", "--call", APP]),
    "hypercorn": ("hypercorn", ["hypercorn", "-b=127.0.0.1:{port}", f"{ASGI}()"]),
}
FAST = ("gunicorn sync --preload", "uvicorn")


@pytest.fixture
def environ(folder: Path, tmp_path: Path) -> dict[str, str]:
    return {
        "S3IMG_BUCKET": folder.as_uri(),
        "S3IMG_ACCESS": "open",
        "S3IMG_INSECURE": "1",
        "S3IMG_CACHE_DIR": str(tmp_path / "cache"),
    }


@contextmanager
def running_worker(name: str, environ: dict[str, str]) -> Iterator[int]:
    module, command = WORKS[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    if module == "gunicorn":
        with running_gunicorn(environ, *command[1:]) as (port, _):
            yield port
        return
    (port,) = free_ports(1)
    with running_command([sys.executable, "-m", *(part.format(port=port) for part in command)], environ, port):
        yield port


@pytest.mark.parametrize("name", [pytest.param(one, marks=[] if one in FAST else pytest.mark.nightly) for one in WORKS])
def test_worker_serves_pictures(name: str, environ: dict[str, str], picture_bytes: bytes) -> None:
    with running_worker(name, environ) as port:
        rendered, original = send(port, "/tr:w-40,f-png/cat.jpg"), send(port, "/cat.jpg")
        assert (rendered.status, rendered.headers["Content-Type"]) == (200, "image/png")
        assert (original.status, original.body) == (200, picture_bytes)


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["plain", "preload"])
def test_gevent_is_refused_at_the_start(options: tuple[str, ...], environ: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    log = tmp_path / "log"
    with pytest.raises(AssertionError), running_gunicorn(environ, "--worker-class=gevent", *options, log=log):
        pass
    text = log.read_text()
    assert "gevent: the service needs real threads" in text
    assert "--worker-class gthread" in text


@pytest.mark.parametrize(
    ("module", "patcher"),
    [
        ("gevent.monkey", {"is_module_patched": lambda _: True}),
        ("eventlet.patcher", {"is_monkey_patched": lambda _: True}),
        ("gunicorn.workers.ggevent", {}),
        ("gunicorn.workers.geventlet", {}),
    ],
)
def test_green_threads_are_refused(monkeypatch: pytest.MonkeyPatch, module: str, patcher: dict[str, object]) -> None:
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**patcher))
    name = "gevent" if "ggevent" in module or module.startswith("gevent") else "eventlet"
    with pytest.raises(ConfigError, match=rf"{name}.*gthread"):
        TransformService(Config(bucket="file:///x", access="open"))


def test_threads_that_are_replaced_after_the_start_are_named(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve()
    monkeypatch.setitem(sys.modules, "gevent.monkey", SimpleNamespace(is_module_patched=lambda _: True))
    assert served.status("/cat.jpg") == (500, "EINTERNAL")
    assert "gevent: the service needs real threads" in caplog.text


def asgi_messages(app: Any, kind: str, *, version: int) -> list[dict[str, str]]:
    """Return what an application of a version of ASGI sends when it is called with a scope of that type."""
    sent: list[dict[str, str]] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message)

    scope = {"type": kind}
    with ThreadPoolExecutor() as pool:  # Playwright keeps a loop running in this thread
        pool.submit(asyncio.run, app(scope)(receive, send) if version == 2 else app(scope, receive, send)).result()
    return sent


@pytest.mark.parametrize("version", [2, 3])
def test_asgi_server_is_refused_at_its_start(serve: Callable[..., Served], version: int) -> None:
    app = serve().app
    (message,) = asgi_messages(app, "lifespan", version=version)
    assert (message["type"], "create_asgi_app instead" in message["message"]) == ("lifespan.startup.failed", True)
    with pytest.raises(ConfigError, match="create_asgi_app instead"):
        asgi_messages(app, "http", version=version)


def test_granians_own_interface_is_refused_at_its_start(serve: Callable[..., Served]) -> None:
    service = serve().app
    for app in (service, AsgiService(service)):
        with pytest.raises(ConfigError, match="--interface asgi"):
            app.__rsgi_init__(None)


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_wsgi_worker_of_gunicorn_is_refused_by_the_asgi_application(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, worker: str
) -> None:
    monkeypatch.setitem(sys.modules, f"gunicorn.workers.{worker}", SimpleNamespace())
    with pytest.raises(ConfigError, match=rf"gunicorn's {worker} worker speaks WSGI.*create_app\(\)"):
        create_asgi_app(environ)


def test_loaded_and_unused_gevent_is_no_reason_to_refuse(environ: dict[str, str]) -> None:
    pytest.importorskip("gevent")
    code = "import gevent, gevent.monkey\nfrom s3img.service import create_app\ncreate_app().close()"
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
