"""Warnings about what works worse than it should: said once, then not again for a while."""

from __future__ import annotations

import logging
import time

log = logging.getLogger("s3img.service")

_EVERY = 300.0


class Complaints:
    """Log the first warning of a kind, and those that follow only every five minutes."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def warn(self, kind: str, message: str, *arguments: object) -> None:
        """Log a warning unless one of its kind was logged a short while ago."""
        now = time.monotonic()
        if now - self._last.get(kind, -_EVERY) >= _EVERY:
            self._last[kind] = now
            log.warning(message, *arguments)
