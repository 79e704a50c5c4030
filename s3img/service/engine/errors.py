"""The words of the engine's errors."""

from __future__ import annotations

import logging
import time

from s3img.errors import Busy, DeadlineExceeded


def busy(step: str, *, retry_after: int) -> Busy:
    """Return the error for a step whose places, and the queue for them, are taken."""
    message = f"The service has too much to do at this moment (step: {step})."
    return Busy(message, retry_after=retry_after, fix="Try again in a moment.")


def late(step: str) -> DeadlineExceeded:
    """Return the error for a request whose time ended in ``step``."""
    fix = "Try again, or raise the service's deadline."
    return DeadlineExceeded(f"The time for this request ended (step: {step}).", fix=fix)


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
