"""Lines about a run that takes long, for logs, where no bar can be drawn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ProgressLines:
    """Write a line every ``seconds``: a first build of a large site is not silent, and a quick one is."""

    def __init__(
        self, write: Callable[[str], object], *, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._seconds = seconds
        self._clock = clock
        self._due = clock() + seconds

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Note how far a stage has come; the signature is that of `Progress`."""
        if self._clock() >= self._due:
            self._due = self._clock() + self._seconds
            self._write(f"{stage.capitalize()}: {done} of {total}")
