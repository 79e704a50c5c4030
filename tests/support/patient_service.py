"""The service as servers load it, which waits for its bucket however busy the machine is."""

from __future__ import annotations

from s3img.service import create_app
from s3img.service.engine import result_stores

__all__ = ["create_app"]

result_stores.PATIENCE = 60.0  # type: ignore[misc] # a constant of programs that are not tests
