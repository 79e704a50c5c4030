"""What an app serves for s3img: its embedded store, the transform service, and pages that are rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, abort, current_app, request, send_from_directory

from flask_s3img import debug
from flask_s3img.options import URL_PREFIX
from s3img.buckets import IMMUTABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from flask import Flask, Response
    from werkzeug.wrappers import Response as AnyResponse

    from flask_s3img.state import AppState

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
"""All: the service itself says which it answers."""


def add_to(app: Flask, state: AppState) -> None:
    """Add routes and the middleware that the settings ask for."""
    blueprint = Blueprint("s3img", __name__, url_prefix=URL_PREFIX)
    if state.options.embedded is not None:
        blueprint.add_url_rule("/store/<path:key>", "store", _store)
    if state.debug:
        debug.add_to(blueprint)
    app.register_blueprint(blueprint)
    if path := state.options.app.service.rstrip("/"):
        _mount_service(app, state, path)
    if state.options.app.rewrite:
        app.wsgi_app = _Rewritten(app, state)  # type: ignore[method-assign]  # Flask's documented way


def _store(key: str) -> Response:
    """Serve an object of the embedded store; its name changes with its bytes."""
    folder = current_app.extensions["s3img"].options.embedded
    if any(part.startswith(".") for part in key.split("/")):
        abort(404)
    response = send_from_directory(folder, key)
    response.headers["Cache-Control"] = IMMUTABLE
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; sandbox"  # SVG may hold scripts
    )
    return response


def _mount_service(app: Flask, state: AppState, path: str) -> None:
    """Answer below a path with the transform service, after the app's own ``before_request`` functions."""
    from s3img.service import TransformService

    service = TransformService(state.config)

    def view(rest: str = "") -> AnyResponse:  # noqa: ARG001 - the service reads the request itself
        environ = request.environ.copy()
        length = len(path)
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + path
        environ["PATH_INFO"] = environ["PATH_INFO"][length:]
        return current_app.response_class.from_app(service, environ)

    options: dict[str, Any] = {"methods": METHODS, "merge_slashes": False, "provide_automatic_options": False}
    app.add_url_rule(f"{path}/", "s3img.service", view, **options)
    app.add_url_rule(f"{path}/<path:rest>", "s3img.service", view, **options)


class _Rewritten:
    """Rewrite an app's pages; the middleware is made with the first request, when all blueprints are known."""

    def __init__(self, app: Flask, state: AppState) -> None:
        self._app = app
        self._inner = app.wsgi_app
        self._state = state
        self._outer: Callable[..., Iterable[bytes]] | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._outer is None:
            self._outer = self._make()
        return self._outer(environ, start_response)

    def _make(self) -> Callable[..., Iterable[bytes]]:
        from s3img.middleware import RewriteMiddleware

        base = self._state.options.lock.parent
        static = {prefix: self._state.lock_path(folder, "") for prefix, folder in self._state.static_roots().items()}
        options = {"upload_missing": self._state.options.app.upload_missing, **self._state.options.app.rewrite_options}
        return RewriteMiddleware(
            self._inner, self._state.images, static=static, lock=base / self._state.options.lock, **options
        )
