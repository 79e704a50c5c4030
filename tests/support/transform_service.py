"""The transform service without a server: a client that sends addresses to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.middleware.lint import LintMiddleware
from werkzeug.test import Client

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from s3img.config import Config
    from s3img.service import TransformService

NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Served:
    """A service, and a client that sends addresses to it."""

    app: TransformService
    config: Config

    def ask(self, path: str, method: str = "GET", **headers: str) -> TestResponse:
        """Send a request; ``If_None_Match`` stands for ``If-None-Match``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        app = LintMiddleware(self.app) if method == "GET" else self.app  # which takes each answer for one to a GET
        return Client(app).open(path, method=method, headers=named, buffered=True)

    def status(self, path: str, **headers: str) -> tuple[int, str]:
        answer = self.ask(path, **headers)
        return answer.status_code, answer.headers.get("S3img-Error", "").partition(" ")[0]
