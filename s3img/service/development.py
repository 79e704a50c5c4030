"""A server for development: werkzeug's, with a thread for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.service.app import TransformService


class _Quiet(WSGIRequestHandler):
    """Leave the log to the service."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing."""


def serve(app: TransformService, *, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until interrupted; ``started`` is called with the address, port 0 takes a free one.

    Raise ConfigError where the address can't be listened on.
    """
    try:
        server = make_server(host, port, app, threaded=True, request_handler=_Quiet)
    except (OSError, SystemExit, OverflowError) as error:  # werkzeug ends the program when a port is in use
        raise ConfigError([f"{host}:{port}: can't be listened on; name another --host or --port"]) from error
    try:
        started(f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}")
        server.serve_forever()
    except KeyboardInterrupt:
        return
    finally:
        server.server_close()
        app.close()
