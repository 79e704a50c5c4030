"""The middleware itself: its options, and what it does with each request."""

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
    """Rewrite the pages of a WSGI app to point at the bucket, from the lock alone: no request waits for the bucket.

    ``static`` maps URL paths of the app to folders below the lock's. ``css`` and ``feeds`` rewrite these, too.
    ``encodings`` decides about compressed pages. ``csp_host`` adds the address of the images to policies that block
    it. Pages above ``max_bytes`` are passed on unchanged. ``cache_bytes`` bounds the cache of rewritten pages. With
    ``upload_missing="background"`` a thread syncs images that are on disk and not in the lock. Raise ConfigError.
    """

    def __init__(  # noqa: PLR0913 - options, all by name
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
        problems = []
        if encodings not in {"recode", "skip"}:
            problems.append(f"encodings: {encodings!r}: write one of recode, skip")
        if upload_missing not in {"off", "background"}:
            problems.append(f"upload_missing: {upload_missing!r}: write one of off, background")
        if problems:
            raise ConfigError(problems)
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
            return style_sheet_response(environ)(environ, start_response)
        if is_no_transform(environ.get("HTTP_CACHE_CONTROL", "")):  # RFC 9111, section 5.2.1.6
            return self.app(environ, start_response)
        return ResponseRewriter(self.app, self._pages, self._selection, environ, start_response).run()

    def close(self) -> None:
        """End the background thread; a sync that is going on gets some seconds to finish."""
        if self.background:
            self.background.close()

    def _pages(self) -> Pages:
        """Return what rewrites under the lock as it is now; while the lock is damaged, under the last good one."""
        try:
            catalog = self._file.current()
        except LockError as error:
            if self._known is None:
                raise
            warn_once(f"{error} Pages are rewritten from the lock as it was before.")
            return self._known[1]
        # Two threads may both make new pages for a new lock: the later one wins, and both are right.
        known = self._known
        if known is None or known[0] is not catalog:
            missing = self.background.offer if self.background else None
            known = self._known = (catalog, Pages(catalog, self._rules, missing))
        return known[1]


def style_sheet_response(environ: WSGIEnvironment) -> Response:
    """Return the style sheet, or 304; its address changes with its content, so caches may keep it for a year."""
    response = Response(STYLE_SHEET, mimetype="text/css")
    response.cache_control.public = True
    response.cache_control.max_age = 31_536_000
    response.cache_control.immutable = True
    response.add_etag()
    return response.make_conditional(Request(environ))
