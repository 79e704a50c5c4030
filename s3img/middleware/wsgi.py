"""The middleware itself: what it is told once, and what it does with each request."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from werkzeug.wrappers import Request, Response

from s3img.config import LOCK_NAME, Config
from s3img.errors import ConfigError, LockError
from s3img.images import Images
from s3img.middleware.background import BackgroundSync
from s3img.middleware.pages import PageRules, Pages
from s3img.middleware.responses import is_no_transform, warn_once
from s3img.middleware.rewriter import ResponseRewriter, Selection
from s3img.middleware.site import mounts
from s3img.pictures.catalog import CatalogFile
from s3img.pictures.markup import STYLE_SHEET

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from s3img.pictures.catalog import Catalog

STYLE_PATH = f"/_s3img/s3img.{hashlib.sha256(STYLE_SHEET.encode()).hexdigest()[:8]}.css"
"""Where the middleware serves the style sheet of pictures, below the place where the app is mounted."""

_FEEDS = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/rdf+xml", "application/xml", "text/xml"}
)


class RewriteMiddleware:
    """Let the pages of a WSGI app point at the bucket, as the lock tells; nothing is asked of it meanwhile.

    ``static`` maps URL paths of the app to folders below the lock's; ``css`` and ``feeds`` are rewritten too where
    wanted. ``encodings`` says what to do with compressed pages, ``csp_host`` lets policies be extended by the
    address of the images, pages above ``max_bytes`` pass, ``cache_bytes`` hold what was rewritten. With
    ``upload_missing="background"`` a thread syncs images that are on disk and not in the lock. Raise ConfigError.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own, by name
        self,
        app: WSGIApplication,
        config_or_images: Config | Images,
        *,
        lock: str | os.PathLike[str] = LOCK_NAME,
        static: Mapping[str, str | os.PathLike[str]] | None = None,
        css: bool = False,
        feeds: bool = False,
        encodings: Literal["recode", "skip"] = "recode",
        csp_host: bool = False,
        max_bytes: int = 2_000_000,
        cache_bytes: int = 32_000_000,
        upload_missing: Literal["off", "background"] = "off",
        queue_size: int = 1_000,
        style_sheet: bool = True,
    ) -> None:
        _check(encodings=(encodings, ("recode", "skip")), upload_missing=(upload_missing, ("off", "background")))
        self.app = app
        images = config_or_images if isinstance(config_or_images, Images) else Images(config_or_images)
        path = Path(lock).absolute()
        self._file = CatalogFile(path, images.config, missing_ok=True)
        self._serves_style = style_sheet
        self._rules = PageRules(
            mounts=mounts(static or {"/static/": "static"}, path.parent),
            style_path=STYLE_PATH if style_sheet else "",
            max_bytes=max_bytes,
            cache_bytes=cache_bytes,
        )
        media_types = {"text/html", *(["text/css"] if css else []), *(_FEEDS if feeds else [])}
        self._selection = Selection(frozenset(media_types), encodings == "recode", csp_host, max_bytes)
        self.background = BackgroundSync(images, path, queue_size) if upload_missing == "background" else None
        self._known: tuple[Catalog, Pages] | None = None
        self._pages()  # a damaged lock, or a bucket without a public address, shows at start

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if self._serves_style and environ.get("PATH_INFO") == STYLE_PATH:
            return _style_sheet(environ)(environ, start_response)
        if is_no_transform(environ.get("HTTP_CACHE_CONTROL", "")):  # RFC 9111, section 5.2.1.6
            return self.app(environ, start_response)
        return ResponseRewriter(self.app, self._pages, self._selection, environ, start_response).run()

    def close(self) -> None:
        """End the background thread; what it is sending is waited for, for some seconds."""
        if self.background:
            self.background.close()

    def _pages(self) -> Pages:
        """Return what rewrites under the lock as it is now; a lock that is damaged meanwhile does not count."""
        try:
            catalog = self._file.current()
        except LockError as error:
            if self._known is None:
                raise
            warn_once(f"{error} Pages are written as the lock was before.")
            return self._known[1]
        known = self._known
        if known is None or known[0] is not catalog:
            missing = self.background.offer if self.background else None
            known = self._known = (catalog, Pages(catalog, self._rules, missing))
        return known[1]


def _style_sheet(environ: WSGIEnvironment) -> Response:
    response = Response(STYLE_SHEET, mimetype="text/css")
    response.cache_control.public = True
    response.cache_control.max_age = 31_536_000
    response.cache_control.immutable = True
    response.add_etag()
    return response.make_conditional(Request(environ))


def _check(**options: tuple[str, tuple[str, ...]]) -> None:
    problems = [
        f"{name}: {value!r}: write one of {', '.join(known)}"
        for name, (value, known) in options.items()
        if value not in known
    ]
    if problems:
        raise ConfigError(problems)
