"""Images that pages show and the lock does not know: put into the bucket by a thread, while pages go on without it."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

from s3img.middleware.responses import warn_once
from s3img.sync.tree import is_image_path, is_inside

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.images import Images

BATCH = 100
"""Images that one sync takes at most, so that the first ones are soon in the lock."""

_GRACE = 5.0  # seconds that the end of the process waits for what is under way
_REMEMBERED = 10_000


class BackgroundSync:
    """Sync what is offered, in a thread that starts with the first offer: after a fork, every process has its own.

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
        """Take a path that is not in the lock, if it is an image on disk and was not taken before as it is."""
        try:
            changed = os.stat(self._lock.parent / path).st_mtime_ns if is_image_path(path) else 0  # noqa: PTH116 - for every page
        except (OSError, ValueError):
            return
        with self._guard:
            if not changed or self._closed or self._seen.get(path) == changed:
                return
            if not is_inside(self._lock.parent, path):
                return
            self._begin()
            with contextlib.suppress(Full):
                self._queue.put_nowait(path)
                self._remember(path, changed)

    def _remember(self, path: str, changed: int) -> None:
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[path] = changed

    def join(self) -> None:
        """Wait until everything that was offered is done."""
        self._queue.join()

    def close(self) -> None:
        """Take nothing more, and wait for what is under way."""
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
        self._queue.put(None)
        thread.join(_GRACE)

    def _begin(self) -> None:
        """Start the thread; in a process that was forked since, queue and thread are those of another one."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        self._queue = Queue(self._queue_size)
        self._seen = {}
        self._thread = threading.Thread(target=self._work, name="s3img-background", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _work(self) -> None:
        while True:
            batch = self._batch()
            if batch:
                self._sync(batch)
            for _ in batch:
                self._queue.task_done()
            if not batch:
                self._queue.task_done()
                return

    def _batch(self) -> list[str]:
        """Wait for an image and take those that wait with it; nothing at the end."""
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

    def _sync(self, batch: list[str]) -> None:
        try:
            places = [self._lock.parent / path for path in dict.fromkeys(batch)]
            result = self._images.sync(*places, lock=self._lock)
            for problem in result.problems:
                warn_once(f"an image of a page is not in the bucket yet: {problem}")
        except Exception as error:
            if not self._closed:
                warn_once(f"images of pages can't be put into the bucket: {error}")
