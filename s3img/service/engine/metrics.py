"""Counts and times for Prometheus; nothing at all without the extra, or when no one asked for them.

With ``PROMETHEUS_MULTIPROC_DIR`` in the environment the counts of all processes that share the folder are added up.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from s3img.service.engine.jobs import Timings

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


class Metrics(Protocol):
    """Record what the engine does."""

    def answered(self, origin: str, timings: Timings) -> None:
        """Count a result by where it came from, and the seconds of its steps."""

    def failed(self, error: str) -> None:
        """Count an error by the name of its class."""

    def text(self) -> tuple[bytes, str]:
        """Return Prometheus's text and its media type."""

    def close(self) -> None:
        """Take this process out of what is under way."""


class NoMetrics:
    """Record nothing."""

    def answered(self, origin: str, timings: Timings) -> None:
        """Do nothing."""

    def failed(self, error: str) -> None:
        """Do nothing."""

    def text(self) -> tuple[bytes, str]:
        """Raise `ConfigError`: there is nothing to tell."""
        raise ConfigError(["metrics: are off"])

    def close(self) -> None:
        """Do nothing."""


class PrometheusMetrics:
    """Count with prometheus_client; ``counts`` tell how much work runs or waits in each pool when somebody asks."""

    def __init__(self, counts: Mapping[str, Callable[[], int]]) -> None:
        try:
            import prometheus_client as prometheus  # an extra
        except ImportError as error:
            raise ConfigError(["metrics: need an extra: pip install 's3img[prometheus]'"]) from error
        self._registry = prometheus.CollectorRegistry()
        counter = prometheus.Counter
        self._results = counter("s3img_results", "Results by origin", ["origin"], registry=self._registry)
        self._errors = counter("s3img_errors", "Errors by kind", ["error"], registry=self._registry)
        self._steps = prometheus.Histogram(
            "s3img_step_seconds", "Seconds of each step", ["step"], registry=self._registry, buckets=_SECONDS
        )
        gauge = prometheus.Gauge(
            "s3img_work_count",
            "Work under way and waiting",
            ["step"],
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._gauges = {gauge.labels(step): count for step, count in counts.items()}

    def answered(self, origin: str, timings: Timings) -> None:
        """Count a result; one that the client had already has the origin ``client``."""
        self._results.labels(origin or "client").inc()
        for step, seconds in timings:
            self._steps.labels(step).observe(seconds)

    def failed(self, error: str) -> None:
        """Count an error."""
        self._errors.labels(error).inc()

    def text(self) -> tuple[bytes, str]:
        """Return the counts of this process, or of all that share ``PROMETHEUS_MULTIPROC_DIR``."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess

        for one, count in self._gauges.items():
            one.set(count())
        registry = self._registry
        if _FOLDER in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # theirs has no types
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def close(self) -> None:
        """Take the gauges of this process out of the sums; its counts stay."""
        from prometheus_client import multiprocess

        if _FOLDER in os.environ:
            multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call] # theirs has no types


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
