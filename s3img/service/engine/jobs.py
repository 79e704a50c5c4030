"""What the service asks of its engine and what it gets: plain values, bounds, and one interface."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

import msgspec

from s3img.errors import Busy, ClientGone, DeadlineExceeded
from s3img.pictures.result_names import SourceFacts, SourceRef
from s3img.transform import Transform
from s3img.transform.geometry import NO_HINTS, Hints

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3img.imaging.isolation.tasks import DrawSource

__all__ = [
    "Budget",
    "CheckRequest",
    "EngineOptions",
    "EngineProtocol",
    "Original",
    "RenderJob",
    "Result",
    "SourceFacts",
    "SourceRef",
    "Timings",
    "busy",
    "late",
]


def busy(step: str, *, retry_after: int) -> Busy:
    """Return the error for a step whose workers, and the queue for them, are taken."""
    message = f"The service has too much to do at this moment (step: {step})."
    return Busy(message, retry_after=retry_after, fix="Try again in a moment.")


def late(step: str) -> DeadlineExceeded:
    """Return the error for a request whose time ended in ``step``."""
    fix = "Try again, or raise `service.seconds`."
    return DeadlineExceeded(f"The time for this request ended (step: {step}).", fix=fix)


CheckRequest: TypeAlias = Callable[[SourceFacts, str], bool]
"""Called with a source's facts and the result's entity tag (no quotes) before anything is read or rendered.

It returns True when the client's copy is current, which ends the work, and raises what forbids the answer.
"""

Timings: TypeAlias = tuple[tuple[str, float], ...]
"""Pairs of a step's name and the seconds it took, in the order of the steps."""


class Budget(msgspec.Struct, frozen=True):
    """The time of one request: until ``deadline`` (``time.monotonic()``), and while its client waits."""

    deadline: float
    is_gone: Callable[[], bool] = bool  # bool() is False: a client that never leaves

    @classmethod
    def of(cls, seconds: float, is_gone: Callable[[], bool] = bool) -> Budget:
        """Start now and end in ``seconds``."""
        return cls(time.monotonic() + seconds, is_gone)

    @property
    def left(self) -> float:
        """Return the seconds that are left, negative after the end."""
        return self.deadline - time.monotonic()

    def check(self, step: str) -> None:
        """Raise `DeadlineExceeded` after the end, naming the step, and `ClientGone` without a client."""
        if self.left <= 0:
            raise late(step)
        if self.is_gone():
            raise ClientGone("The client has closed its connection.")


class RenderJob(msgspec.Struct, frozen=True):
    """Ask for one rendering.

    ``accept`` names the modern media types that the client takes, for a transform without a format; None where the
    client has no say. ``hints`` is for ``dpr-auto`` and ``w-auto``: give it only where the answer may depend on it.
    ``inputs`` are the pictures of the transform's layers, each with the key that the transform names.
    """

    source: SourceRef
    transform: Transform
    accept: frozenset[str] | None = None
    hints: Hints = NO_HINTS
    inputs: tuple[tuple[str, SourceRef], ...] = ()


class Result(msgspec.Struct, frozen=True):
    """A result of ``size`` bytes; ``body`` is all of them, or a file open at its first byte, to be closed.

    ``etag`` (no quotes) is strong. ``unchanged`` means that the client's copy is current: there is no body then.
    ``origin`` tells where the result came from: ``memory``, ``disk``, ``target`` (bucket), ``render`` or ``""``.
    """

    body: bytes | BinaryIO
    media_type: str
    etag: str
    size: int
    width: int
    height: int
    facts: SourceFacts
    origin: str = ""
    timings: Timings = ()
    unchanged: bool = False

    def close(self) -> None:
        """Close the file, if there is one."""
        if not isinstance(self.body, bytes):
            self.body.close()


@dataclass(frozen=True, slots=True)
class Original:
    """Bytes ``start`` to ``stop`` (exclusive) of a source as it is; ``close`` ends the stream early.

    ``chunks`` raises a `BucketError` when the source ends early: the connection to the client must then be cut.
    """

    facts: SourceFacts
    start: int
    stop: int
    chunks: Iterator[bytes]
    close: Callable[[], None]


class EngineProtocol(Protocol):
    """Everything between a parsed request and bytes; safe to share between threads, and to make before a fork.

    Each method may raise `S3ImgError` kinds only, those of a source (`ObjectNotFound`, `AccessDenied`,
    `Unreachable`, `BucketError`), of an image, and `Busy`, `DeadlineExceeded` and `ClientGone` of its own.
    """

    def facts(self, source: SourceRef, budget: Budget) -> SourceFacts:
        """Return what is known of a source: from memory or disk while that is fresh, else from its origin."""

    def result(self, job: RenderJob, budget: Budget, *, inspect: CheckRequest | None = None) -> Result:
        """Return a rendering, from a store or made now."""

    def derived(
        self,
        source: SourceRef,
        name: str,
        make: Callable[[bytes], bytes],
        budget: Budget,
        *,
        media_type: str = "application/json",
        inspect: CheckRequest | None = None,
        decodes: bool = False,
    ) -> Result:
        """Return what ``make`` makes of a source's bytes, kept like a rendering under ``name`` (``info/1``).

        One that ``decodes`` pictures is sent to another process: a function of a module, or a ``partial`` of one.
        """

    def rendered(
        self,
        source: SourceRef,
        name: str,
        prepare: Callable[[], DrawSource],
        budget: Budget,
        *,
        inspect: CheckRequest | None = None,
        is_slow: bool = False,
    ) -> Result:
        """Return a rendering, kept under ``name``: all it depends on besides the source.

        ``prepare`` is called where it has to be made, fetches what else is needed and returns how.
        ``is_slow`` for one that may be encoded to AVIF.
        """

    def original(self, source: SourceRef, budget: Budget, *, start: int = 0, stop: int | None = None) -> Original:
        """Open a source as it is, or a range of its bytes. Compare its facts with those the range was chosen by."""

    def ready(self, budget: Budget) -> None:
        """Raise `S3ImgError` while requests can't be served."""

    def metrics(self) -> tuple[bytes, str]:
        """Return Prometheus's text and its media type; raise `ConfigError` without the extra."""

    def start(self) -> None:
        """Start what requests would otherwise wait for."""

    def close(self) -> None:
        """Finish what is under way, results that are still to be stored included; stop the threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Bounds on what the engine of one process takes and keeps; sizes in bytes, times in seconds.

    ``cache_folder`` None keeps nothing on disk; ``cache_bytes`` bounds the folder, which all processes of a machine
    may share; ``memory_bytes`` of small results are kept in memory (0: none). ``fetches``, ``renders`` (decoding and
    all up to encoding), ``encodes`` (to AVIF, and as many to other formats) and ``stores`` are the workers of each
    kind, ``queue`` is how much work may wait for each; ``drawn_bytes`` of decoded pictures may wait to be encoded.

    A source is asked about again after ``fresh``, a missing one after ``missing``; its old facts are then used for
    ``stale_while_revalidate`` while it is asked in the background, and for ``stale_if_error`` when it does not answer.
    ``lock_seconds`` is how long one process waits for another that makes the same result, ``lease_seconds`` how long
    one machine waits for another (0: it does not).
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
    lease_seconds: float = 0.0
    retry_after: int = 2
