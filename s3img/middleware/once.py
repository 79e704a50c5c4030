"""Messages that would otherwise come with every page."""

from __future__ import annotations

import logging
from threading import Lock

_MOST = 1000
"""Messages that are remembered; when there are more, a repeated one does no harm."""

_log = logging.getLogger("s3img.middleware")
_said: set[str] = set()
_guard = Lock()


def warn_once(message: str, *, where: str = "", error: BaseException | None = None) -> None:
    """Log a warning, with the traceback of an error, unless it was logged before, be it for another page."""
    with _guard:
        if message in _said:
            return
        if len(_said) >= _MOST:
            _said.clear()
        _said.add(message)
    _log.warning("%s%s", where and f"{where}: ", message, exc_info=error)
