"""The middleware itself: its options, and what it does with each request."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import threading
from pathlib import Path
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Literal

from werkzeug.wrappers import Request, Response

from s3img.config import LOCK_NAME, Config
from s3img.errors import ConfigError, LockError
from s3img.images import Images
from s3img.middleware.pages import PageRules, Pages
from s3img.middleware.responses import is_no_transform, warn_once
from s3img.middleware.rewriter import ResponseRewriter, Selection
from s3img.middleware.site import mounts
from s3img.pictures.catalog import CatalogFile
from s3img.pictures.markup import STYLE_SHEET
from s3img.sync.tree import is_image_path, is_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from s3img.pictures.catalog import Catalog

BATCH = 100  # images that one sync takes at most, so that the first ones are soon in the lock
_GRACE = 5.0  # seconds that the end of the process waits for a sync that is going on
_REMEMBERED = 10_000


class BackgroundSync:
    """Sync the images offered, in a thread that starts with the first offer: so every forked process has its own.

    At most ``queue_size`` images wait; more are left for the next time that a page shows them. A failure is logged
    once, and an image that failed is tried again when it has changed.
    """

    def __init__(self, images: Images, lock: Path, queue_size: int) -> None:
        self._images = images
        self._lock = lock
        self._queue_size = queue_size
        self._guard = threading.Lock()
        self._process = 0
        self._queue: Queue[str | None] = Queue(queue_size)
        self._thread: threading.Thread | None = None
        self._seen: dict[str, int] = {}
        self._closed = False

    def offer(self, path: str) -> None:
        """Take a path that is not in the lock, if it is an image on disk that was not taken before or has changed."""
        try:
            changed = os.stat(self._lock.parent / path).st_mtime_ns if is_image_path(path) else 0  # noqa: PTH116 - for every page
        except (OSError, ValueError):
            return
        with self._guard:
            if not changed or self._closed or self._seen.get(path) == changed:
                return
            if not is_inside(self._lock.parent, path):
                return
            self._start_thread()
            with contextlib.suppress(Full):
                self._queue.put_nowait(path)
                if len(self._seen) >= _REMEMBERED:
                    self._seen.clear()
                self._seen[path] = changed

    def join(self) -> None:
        """Wait until all images that were offered are done."""
        self._queue.join()

    def close(self) -> None:
        """Take no more images, and wait for the sync that is going on."""
        with self._guard:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is None or self._process != os.getpid():
            return
        while True:
            try:
                self._queue.get_nowait()
                self._queue.task_done()
            except Empty:
                break
        self._queue.put(None)  # ends the thread after what it is doing
        thread.join(_GRACE)

    def _start_thread(self) -> None:
        """Start the thread, once in each process: a forked one has the parent's queue, but not its thread."""
        if self._process == os.getpid():
            return
        # What was offered before the fork is in the parent's hands; its queue may even be locked by its thread.
        self._process = os.getpid()
        self._queue = Queue(self._queue_size)
        self._seen = {}
        self._thread = threading.Thread(target=self._work, name="s3img-background", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _work(self) -> None:
        while True:
            batch = self._batch()
            try:
                places = [self._lock.parent / path for path in dict.fromkeys(batch)]
                result = self._images.sync(*places, lock=self._lock) if places else None
                for problem in result.problems if result else ():
                    warn_once(f"an image of a page is not in the bucket yet: {problem}")
            except Exception as error:  # the thread must live on: the next images may be better
                if not self._closed:
                    warn_once(f"images of pages can't be put into the bucket: {error}")
            for _ in batch:
                self._queue.task_done()
            if not batch:
                self._queue.task_done()
                return

    def _batch(self) -> list[str]:
        """Wait for an image, and take the others that are waiting; return nothing when the thread is to end."""
        path = self._queue.get()
        batch: list[str] = []
        while path is not None:
            batch.append(path)
            if len(batch) == BATCH:
                break
            try:
                path = self._queue.get_nowait()
            except Empty:
                break
        return batch


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
