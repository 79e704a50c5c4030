"""WSGI middleware: pages of dynamic sites come out pointing at the bucket; see ``docs/middleware.md``."""

from __future__ import annotations

from s3img.middleware.wsgi import RewriteMiddleware

__all__ = ["RewriteMiddleware"]
