"""Clean-up of a bucket: which objects nothing refers to any more, and how they go without hurting a running build.

The order of things, and why no build loses an object, is in ``docs/gc.md``.
"""

from __future__ import annotations

from s3img.gc.clean_up import collect
from s3img.gc.rules import Rules

__all__ = ["Rules", "collect"]
