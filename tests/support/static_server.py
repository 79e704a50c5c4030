"""Serve a folder on loopback, as a static host would: fixture ``serve``."""

from __future__ import annotations

import functools
import threading
from contextlib import ExitStack, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    """Answer below one path of the server with the files of a folder."""

    extensions_map = {  # noqa: RUF012 - the base class's form
        ".avif": "image/avif",
        ".css": "text/css",
        ".html": "text/html",
        ".js": "text/javascript",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".webp": "image/webp",
    }

    def __init__(self, *arguments: Any, path: str, **options: Any) -> None:
        self.below = path
        super().__init__(*arguments, **options)

    def translate_path(self, path: str) -> str:
        if not path.startswith(self.below):
            return super().translate_path("/.not-served")
        return super().translate_path("/" + path.removeprefix(self.below))

    def log_message(self, *arguments: Any) -> None:
        """Keep the tests' output free of requests."""


@contextmanager
def serving(folder: Path, path: str = "/") -> Iterator[str]:
    """Yield the URL, with a final slash, at which the folder is served; ``path`` begins and ends with a slash."""
    handler = functools.partial(_Handler, directory=str(folder), path=path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{path}"
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Return ``serve(folder, path="/")``, which returns a URL that works until the test ends."""
    with ExitStack() as stack:
        yield lambda folder, path="/": stack.enter_context(serving(folder, path))
