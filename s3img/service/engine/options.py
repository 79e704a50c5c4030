"""Settings of the engine: places, queues, times and stores; every one has a default."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Bound what the engine of one process takes and keeps; sizes in bytes, times in seconds.

    ``cache_folder`` None keeps nothing on disk; ``cache_bytes`` bounds the folder, which all processes of a machine
    may share; ``memory_bytes`` of small results are kept in memory (0: none). ``fetches``, ``renders`` (decoding and
    all up to encoding), ``encodes`` (to AVIF, and as many to other formats) and ``stores`` are places for each kind of
    work, ``queue`` is how many may wait for each; ``drawn_bytes`` of decoded pictures may wait to be encoded.

    A source is asked about again after ``fresh``, a missing one after ``missing``; its old facts are then used for
    ``stale_while_revalidate`` while it is asked in the background, and for ``stale_if_error`` when it does not answer.
    ``lock_seconds`` is how long one process waits for another that makes the same result.
    """

    cache_folder: Path | None = None
    cache_bytes: int = 1 << 30
    memory_bytes: int = 0
    fetches: int = 16
    renders: int = field(default_factory=lambda: os.cpu_count() or 1)
    encodes: int = field(default_factory=lambda: os.cpu_count() or 1)
    stores: int = 4
    queue: int = 64
    drawn_bytes: int = 1 << 28
    fresh: float = 60.0
    missing: float = 10.0
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 86_400.0
    lock_seconds: float = 30.0
    retry_after: int = 2
