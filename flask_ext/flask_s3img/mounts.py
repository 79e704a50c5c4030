"""What an app serves for s3img: its embedded store, a style sheet, the transform service, and rewritten pages."""

from __future__ import annotations

import mimetypes
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

import msgspec
from flask import Blueprint, Response, abort, current_app, request, send_from_directory
from werkzeug.test import run_wsgi_app

from flask_s3img import debug
from flask_s3img.app_state import current_state
from flask_s3img.settings import URL_PREFIX, spell
from s3img.buckets import IMMUTABLE
from s3img.errors import ConfigError, LockError
from s3img.gallery import BucketSwitch, Gallery
from s3img.imaging import MEDIA_TYPES, SUFFIXES
from s3img.lock import read_lock
from s3img.middleware import RewriteMiddleware
from s3img.middleware.wsgi import STYLE_PATH
from s3img.pictures.markup import STYLE_SHEET
from s3img.service import TransformService
from s3img.service.service_request import PRIVATE_REQUEST
from s3img.signing import Signer
from s3img.urls import PATH_CHARACTERS, quote_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any
    from wsgiref.types import WSGIApplication

    from flask import Flask
    from werkzeug.wrappers import Response as AnyResponse

    from flask_s3img.app_state import AppState
    from s3img.config import Config
    from s3img.gallery.gallery_app import Authorize

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
"""All: the service itself says which it answers."""

_TYPES = {f".{SUFFIXES.get(name, name)}": media_type for name, media_type in MEDIA_TYPES.items()}


def add_to(app: Flask, state: AppState) -> None:
    """Add routes and the middleware that the settings ask for; raise ConfigError before anything is added."""
    path = state.options.app.service.rstrip("/")
    service = _service(state) if path else None
    hosts = _hosts(app)
    blueprint = Blueprint("s3img", __name__, url_prefix=URL_PREFIX, template_folder="templates")
    blueprint.add_url_rule(STYLE_PATH.removeprefix(URL_PREFIX), "own", serve_own, **hosts)
    # One endpoint: Frozen-Flask takes the first.
    blueprint.add_url_rule("/<any(images):page>", "own", serve_own, **hosts)
    if state.options.embedded is not None:
        blueprint.add_url_rule("/store/<path:key>", "store", serve_store, merge_slashes=False, **hosts)
    app.register_blueprint(blueprint)
    if service is not None:
        state.service = service
        _mount(app, service, path, hosts)
    if state.options.app.rewrite:
        app.wsgi_app = _Rewritten(app, state)  # type: ignore[method-assign]  # Flask's documented way


def serve_own(page: str = "", s3img_host: str = "") -> AnyResponse | str:  # noqa: ARG001 - of apps that route by host
    """Serve the style sheet, and the page about images."""
    if page:
        return debug.page()
    response = Response(STYLE_SHEET, mimetype="text/css", headers={"Cache-Control": IMMUTABLE})
    response.add_etag()
    return response.make_conditional(request)


def serve_store(key: str, s3img_host: str = "") -> Response:  # noqa: ARG001 - of apps that route by host
    """Serve an object of the embedded store; its name changes with its bytes."""
    folder = current_state().options.embedded
    if folder is None or any(part.startswith(".") for part in key.split("/")):
        abort(404)
    media_type = _TYPES.get(f".{key.rpartition('.')[2]}") or mimetypes.guess_type(key)[0]
    response = send_from_directory(folder, key, mimetype=media_type)
    response.headers["Cache-Control"] = IMMUTABLE
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; sandbox"  # SVG may hold scripts
    )
    return response


def send_picture(key: str, transform: str = "", *, private: bool = True) -> Response:
    """Answer the current request with a picture; see `S3Img.send`."""
    state = current_state()
    if state.service is None:
        raise ConfigError([f'{spell("service")}: needed to send pictures: set it to a path, such as "/img"'])
    steps = quote(transform, safe=PATH_CHARACTERS + "%")
    address = f"/tr:{steps}/{quote_path(key)}" if steps else f"/{quote_path(key)}"
    # The view is the one who allows this request, so the service gets a signature with it.
    path, _, query = Signer.of(state.config.signing_keys).sign(address).partition("?")
    own = {"SCRIPT_NAME": "", "PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "QUERY_STRING": query}
    return _answer(state.service, {**request.environ, **own, "RAW_URI": f"{path}?{query}", PRIVATE_REQUEST: private})


def _hosts(app: Flask) -> dict[str, Any]:
    """Return the option of routes in an app that routes by host: any host will do."""
    return {"host": "<s3img_host>"} if app.url_map.host_matching else {}


def _answer(application: WSGIApplication, environ: dict[str, Any]) -> Response:
    body, status, headers = run_wsgi_app(application, environ)
    has_type = "Content-Type" in headers  # asked before: the response takes these headers over and adds a type
    response = current_app.response_class(body, status, headers, direct_passthrough=True)
    if not has_type:
        del response.headers["Content-Type"]
    return response


def _service(state: AppState) -> TransformService:
    lock = None
    with suppress(LockError):  # a damaged lock must not keep `flask s3img sync` from repairing it
        lock = read_lock(state.options.lock, missing_ok=True)
    try:
        return TransformService(state.config, lock=lock)
    except ConfigError as error:
        problems = [
            f"{spell(name)}: {text}" for name, _, text in (problem.partition(": ") for problem in error.problems)
        ]
        if not state.config.signing_keys:
            problems.append(
                f"{spell('service')}: set SECRET_KEY before init_app, and addresses are signed with a key of it"
            )
        raise ConfigError(problems) from None


def _mount(app: Flask, service: TransformService, path: str, hosts: dict[str, Any]) -> None:
    """Answer below a path with the transform service, after the app's own ``before_request`` functions."""

    def view(rest: str, s3img_host: str = "") -> Response:  # noqa: ARG001 - the service reads the request itself
        environ = request.environ
        # The server's SCRIPT_NAME, without what ProxyFix put before it: the raw address, which tells %2F from a slash,
        # is the server's too.
        mount = environ.get("werkzeug.proxy_fix.orig", environ).get("SCRIPT_NAME", "")
        environ = {**environ, "SCRIPT_NAME": mount + path, "PATH_INFO": environ["PATH_INFO"][len(path) :]}
        return _answer(service, environ)

    options: dict[str, Any] = {"methods": METHODS, "merge_slashes": False, "provide_automatic_options": False, **hosts}
    app.add_url_rule(f"{path}/<path:rest>", "s3img.service", view, **options)


def mount_gallery(
    app: Flask, state: AppState, path: str, allowed: Mapping[str, Authorize], configs: Mapping[str, Config]
) -> None:
    """Show buckets below a path, after the app's own ``before_request`` functions; they are opened when one is used.

    ``allowed`` and ``configs`` are by profile, "" for the app's own bucket; the first is at the path itself.
    The gallery's forms carry a token of its own, so Flask-WTF's protection, which knows nothing of it, leaves them out.
    """
    made: list[Gallery | BucketSwitch] = []
    making = threading.Lock()

    def make() -> Gallery | BucketSwitch:
        galleries: dict[str, Gallery] = {}
        own = state.config.bucket.rstrip("/").rpartition("/")[2] or "app"
        for name, authorize in allowed.items():
            lock, bucket = (None, None) if name else (state.options.lock, current_state().bucket())
            shown = name or (f"{own}-app" if own in allowed else own)
            galleries[shown] = Gallery(
                configs[name], authorize=authorize, lock=lock, policy=state.options.policy, bucket=bucket
            )
        return BucketSwitch(galleries) if len(galleries) > 1 else next(iter(galleries.values()))

    def s3img_gallery(rest: str = "", s3img_host: str = "") -> Response:  # noqa: ARG001 - it reads the request itself
        with making:
            if not made:
                made.append(make())
        environ = request.environ
        inner = {**environ, "SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + path}
        inner["PATH_INFO"] = environ["PATH_INFO"][len(path) :]
        return _answer(made[0], inner)

    if protection := app.extensions.get("csrf"):
        protection.exempt(s3img_gallery)
    options: dict[str, Any] = {"methods": ("GET", "POST"), "merge_slashes": False, **_hosts(app)}
    app.add_url_rule(f"{path}/", "s3img.gallery", s3img_gallery, **options)
    app.add_url_rule(f"{path}/<path:rest>", "s3img.gallery", s3img_gallery, **options)


class _Rewritten:
    """Rewrite an app's pages; the middleware is made with the first request, when all blueprints are known."""

    def __init__(self, app: Flask, state: AppState) -> None:
        self._inner = app.wsgi_app
        self._state = state
        self._outer: RewriteMiddleware | None = None
        self._making = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._outer is None:
            with self._making:
                if self._outer is None:  # another request may have made it meanwhile
                    options = self._state.options
                    folders = [folder for folder in self._state.names.folders if folder.prefix and not folder.host]
                    self._outer = RewriteMiddleware(
                        self._inner,
                        self._state.images,
                        static={folder.prefix: folder.inside for folder in folders if folder.inside is not None},
                        lock=options.lock,
                        upload_missing=options.app.upload_missing,
                        **msgspec.structs.asdict(options.app.rewrite_options),
                    )
        return self._outer(environ, start_response)
