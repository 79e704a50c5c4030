"""Which pages of other sites may read answers (the Fetch standard's CORS protocol); images need none of it."""

from __future__ import annotations

from typing import Final

_EXPOSED: Final = "Accept-Ranges, Content-DPR, Content-Length, Content-Range, ETag, S3img-Error, Server-Timing"
_DAY: Final = "86400"


class Cors:
    """Let pages of ``origins`` read answers; ``*`` are all, and none is the usual case."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origins)

    def apply(self, headers: dict[str, str], origin: str) -> None:
        """Say whether a page of ``origin`` may read this answer, and that others get another one."""
        if not self._origins:
            return
        if "*" in self._origins:
            self._allow(headers, "*")
            return
        headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
        if origin in self._origins:
            self._allow(headers, origin)

    def preflight(self, headers: dict[str, str], methods: str) -> None:
        """Answer what browsers ask before requests of their scripts; ``apply`` says whether for this page."""
        if self._origins:
            headers["Access-Control-Allow-Methods"] = methods
            headers["Access-Control-Allow-Headers"] = "Range, If-None-Match, If-Modified-Since, If-Range"
            headers["Access-Control-Max-Age"] = _DAY

    def _allow(self, headers: dict[str, str], origin: str) -> None:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _EXPOSED
        headers["Timing-Allow-Origin"] = origin
