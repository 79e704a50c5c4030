"""Put images that pages show and the lock lacks into the bucket, in a thread; pages don't wait for it."""

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
