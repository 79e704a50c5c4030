"""The fixtures of the gallery's tests."""

from __future__ import annotations

from gallery_visitor import bucket, config, make_gallery, visitor

__all__ = ["bucket", "config", "make_gallery", "visitor"]
