"""How long each step of a request took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.service.engine.model import Timings


class Stopwatch:
    """Add up seconds by step; several threads may add to it."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: list[tuple[str, float]] = []

    def add(self, step: str, seconds: float) -> None:
        """Note that a step took some seconds."""
        self._steps.append((step, seconds))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    @property
    def timings(self) -> Timings:
        """Return the steps in the order in which they ended, each once."""
        totals: dict[str, float] = {}
        for name, seconds in self._steps.copy():
            totals[name] = totals.get(name, 0.0) + seconds
        return tuple(totals.items())
