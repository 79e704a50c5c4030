"""What a sync has sent so far, written down while it is under way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.errors import S3ImgError
    from s3img.folder_sync.state import StateFile, SyncState
    from s3img.sync import Upload

    Progress = Callable[[str, int, int], None]

JOURNAL_SECONDS = 2.0
"""How often a run under way writes down what it has sent."""


class Journal:
    """Write down what has been sent, every two seconds: a killed run then goes on where it was."""

    def __init__(self, state: SyncState, state_file: StateFile, total: int, progress: Progress | None) -> None:
        self._state = state
        self._state_file = state_file
        self._total = total
        self._progress = progress
        self._done = 0
        self._saved = time.monotonic()

    def __call__(self, upload: Upload, failure: S3ImgError | None) -> None:
        """Take note of an upload that has ended."""
        self._done += 1
        if failure is None:
            self._state.objects[upload.key] = upload.size
        if time.monotonic() - self._saved >= JOURNAL_SECONDS:
            self._state_file.save(self._state)
            self._saved = time.monotonic()
        if self._progress:
            self._progress("uploading", self._done, self._total)
