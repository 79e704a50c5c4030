"""``s3img.lock``: which images a project has in its bucket, one line each, for git.

A line holds path, sha256, bytes, px, media type, key and placeholder, and where renderings of the image are in the
bucket too, which ones. Nothing in it changes unless the image, its key or the settings do: there are no times.
"""

from __future__ import annotations

from s3img.config import LOCK_NAME
from s3img.lock.entry import LockEntry
from s3img.lock.file import HEADER, Lock, read_lock, write_lock
from s3img.lock.locked_variants import LockedVariants, VariantSettings, recipe

__all__ = [
    "HEADER",
    "LOCK_NAME",
    "Lock",
    "LockEntry",
    "LockedVariants",
    "VariantSettings",
    "read_lock",
    "recipe",
    "write_lock",
]
