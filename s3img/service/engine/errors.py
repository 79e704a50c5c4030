"""The words of the engine's errors."""

from __future__ import annotations

from s3img.errors import Busy, DeadlineExceeded


def busy(step: str, *, retry_after: int) -> Busy:
    """Return the error for a step whose places, and the queue for them, are taken."""
    message = f"The service has too much to do at this moment (step: {step})."
    return Busy(message, retry_after=retry_after, fix="Try again in a moment.")


def late(step: str) -> DeadlineExceeded:
    """Return the error for a request whose time ended in ``step``."""
    fix = "Try again, or raise the service's deadline."
    return DeadlineExceeded(f"The time for this request ended (step: {step}).", fix=fix)
