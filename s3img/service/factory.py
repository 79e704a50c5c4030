"""The service as servers start it: ``gunicorn --threads 100 's3img.service:create_app()'``, and under ASGI."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

from s3img.config.load import load
from s3img.errors import ConfigError
from s3img.lock import LOCK_NAME, read_lock
from s3img.service.app import TransformService
from s3img.service.imgproxy.proxy_environment import PREFIX, ignored_variables, imgproxy_source
from s3img.service.log import LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from wsgiref.types import WSGIApplication

    from s3img.config import Config
    from s3img.service.asgi import AsgiService

INSECURE = "S3IMG_INSECURE"
_M_MMAP_THRESHOLD = -3  # of malloc.h
_MAPPED_BYTES = 1 << 18


def create_app(environ: Mapping[str, str] | None = None) -> TransformService:
    """Make the WSGI application that ``S3IMG_*`` variables, and the settings file they may name, describe.

    imgproxy's own variables count as well; where there are any, its addresses are answered at the root unless the
    settings say otherwise. A lock beside the settings file tells which renderings are in the bucket. Requests are
    logged to stderr unless logging is set up already. Raise ConfigError for settings that can't be used, and for
    ``access = "open"`` without ``S3IMG_INSECURE=1``; LockError.
    """
    environ = os.environ if environ is None else environ
    return_large_blocks()
    insecure = is_on(environ.get(INSECURE, ""))
    log_to_stderr()
    config = load_with_imgproxy(environ, insecure=insecure)
    refuse_open(config, insecure=insecure)
    named = environ.get("S3IMG_CONFIG")
    folder = Path(named).parent if named else Path()
    app = TransformService(config, lock=read_lock(folder / LOCK_NAME, missing_ok=True), environ=environ)
    app.start()
    return app


def load_with_imgproxy(environ: Mapping[str, str], *, insecure: bool) -> Config:
    """Read the settings, those that imgproxy's own variables stand for included; warn of variables without effect."""
    config = load(environ=environ)
    if not any(name.startswith(PREFIX) for name in environ):
        return config
    if ignored := ignored_variables(environ):
        LOGGER.warning("imgproxy's variables that have no effect here: %s", ", ".join(ignored))
    has_bucket = bool(config.bucket or config.origins)
    source = imgproxy_source(environ, config.imgproxy, insecure=insecure, has_bucket=has_bucket)
    return load(environ=environ, host=source)


def create_asgi_app(environ: Mapping[str, str] | None = None) -> AsgiService:
    """Make the same as an ASGI application (``granian --interface asgi --factory s3img.service:create_asgi_app``)."""
    from s3img.service.asgi import AsgiService  # with asyncio, which WSGI servers do without

    # gunicorn loads the module of its workers before the application; those of ASGI load neither of these two.
    if wrong := [name for name in ("sync", "gthread") if f"gunicorn.workers.{name}" in sys.modules]:
        fix = "start s3img.service:create_app() with it, or use granian or uvicorn"
        raise ConfigError([f"gunicorn's {wrong[0]} worker speaks WSGI, and create_asgi_app is for ASGI servers: {fix}"])
    return AsgiService(create_app(environ))


def refuse_open(config: Config, *, insecure: bool) -> None:
    """Raise ConfigError for a service that anybody may ask for anything, unless that is meant."""
    accesses = {"access": config.access} if not config.endpoints else {}
    accesses |= {f"endpoints.{name}.access": one.access or config.access for name, one in config.endpoints.items()}
    opened = [place for place, access in accesses.items() if access == "open"]
    if opened and not insecure:
        raise ConfigError([f'{place}: "open" lets anybody ask for anything: {_ADVICE}' for place in opened])


def return_large_blocks() -> None:
    """Make glibc give the memory of pictures back to the system; do nothing with another C library.

    It raises the size from which a block is mapped by itself, up to 32 MiB, as soon as one is freed, and then keeps the
    blocks that Pillow has for pixels (16 MiB) in an arena of each thread. A size that is set stays.
    """
    if "MALLOC_MMAP_THRESHOLD_" in os.environ:  # the operator's choice
        return
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


def is_on(value: str) -> bool:
    """Read a variable that is on or off."""
    return value.strip().lower() in {"1", "true", "yes", "on"}


def log_to_stderr() -> None:
    """Show the service's log where nothing else is set up to; a level that is set already stays."""
    if not LOGGER.hasHandlers():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        LOGGER.addHandler(handler)
        LOGGER.setLevel(LOGGER.level or logging.INFO)


_ADVICE = f'choose "signed", "named" or "sizes"; for development, start with --insecure or {INSECURE}=1'


class QuietHandler(WSGIRequestHandler):
    """Leave the log to the application: addresses of requests may hold one-time tokens."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing."""


def serve(
    app: WSGIApplication,
    *,
    host: str,
    port: int,
    started: Callable[[str], None],
    choices: str = "--host or --port",
) -> None:
    """Serve until interrupted; ``started`` is called with the address, port 0 takes a free one.

    Raise ConfigError where the address can't be listened on; ``choices`` are the options that name another one.
    """
    try:
        server = make_server(host, port, app, threaded=True, request_handler=QuietHandler)
    except (OSError, SystemExit, OverflowError) as error:  # werkzeug ends the program when a port is in use
        raise ConfigError([f"{host}:{port}: can't be listened on; name another {choices}"]) from error
    try:
        started(f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}")
        server.serve_forever()
    except KeyboardInterrupt:
        return
    finally:
        server.server_close()
