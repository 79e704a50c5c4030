"""Check this machine: encoders, the resizer, folders that can be written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from s3img.cache import Cache
from s3img.doctor.findings import fail, ok, skip
from s3img.errors import LockError
from s3img.lock import read_lock

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.doctor.findings import Finding
    from s3img.doctor.probe_context import ProbeContext


def encoders(context: ProbeContext) -> Finding:
    """Check that the configured formats can be written, and name the resizer."""
    from s3img.imaging import encoders as present  # loads Pillow
    from s3img.imaging.resize import backend

    missing = [name for name in context.config.formats if name not in present()]
    if missing:
        names = " and ".join(missing)
        fix = f"Install Pillow from PyPI, whose wheels have {names}, or leave {names} out of formats."
        return fail("encoders", "encoder-missing", f"this Pillow can't write {names}: pages get less.", fix)
    speed = "the fast resizer" if backend() == "cykooz" else "Pillow's own resizer, which is slower"
    return ok(
        "encoders", f"{', '.join(context.config.formats) or 'no further format'} can be written; {speed} is used."
    )


def text_layout(context: ProbeContext) -> Finding:  # noqa: ARG001 - what this machine has, whatever the settings
    """See whether layers of text can be in any script."""
    from s3img.imaging.text_fonts import has_shaping  # loads Pillow

    if has_shaping():
        return ok("text", "layers of text can be in any script.")
    # No fault: most sites and services draw no such text.
    why = "libfribidi is not installed, so layers of text in Arabic, Hebrew or Indic scripts are refused; if you need"
    return skip("text", f"{why} them, install libfribidi0 (Debian, Ubuntu) or fribidi (Alpine, Fedora, Homebrew).")


def cache(context: ProbeContext) -> Finding:
    """Check that the cache folder can be written: without it, everything is rendered again."""
    folder = Cache.at(context.config.cache_dir).folder
    if _may_write(folder):
        return ok("cache", f"{folder} can be written.")
    return fail("cache", "cache-unwritable", f"{folder} can't be written.", "Name another folder in cache_dir.")


def lock(context: ProbeContext) -> Finding:
    """Check that the lock can be read and written."""
    path = context.lock
    try:
        entries = len(read_lock(path, missing_ok=True))
    except LockError as error:
        return fail("lock", "lock-unreadable", error.message, error.fix)
    if not _may_write(path.parent):
        message = f"{path} can't be written, so `s3img sync` can't."
        return fail("lock", "lock-unwritable", message, "Run it where its folder can be written, or name --lock.")
    return ok("lock", f"{path} names {entries} images." if path.exists() else f"there is no {path} yet.")


def _may_write(folder: Path) -> bool:
    """Tell whether a folder, or the nearest existing one above it, can be written; nothing is created."""
    existing = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
