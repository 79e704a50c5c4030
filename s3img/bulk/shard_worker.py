"""Render one shard: fetch a few pictures ahead, render one after the other, put results meanwhile."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from s3img.bulk import result_places
from s3img.bulk.picture_work import Layers, PageVariants, PlannedResult, ReadPicture, ServiceResults, missing_results
from s3img.bulk.result_places import engine_name, open_origin, open_target, read_settings
from s3img.bulk.shard_report import Checkpoints, PictureError, ShardReport
from s3img.errors import (
    BucketError,
    CredentialsError,
    ImageTooLarge,
    ObjectChanged,
    ObjectNotFound,
    S3ImgError,
    Unreachable,
    WorkerRefused,
    unexpected,
)
from s3img.lock import LockEntry
from s3img.pictures.result_names import SourceFacts, SourceRef
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from s3img.buckets import Bucket
    from s3img.bulk.picture_work import Work
    from s3img.bulk.shards import BulkJob, Shard, ShardItem
    from s3img.config import Config
    from s3img.imaging import Rendered

Made = TypeVar("Made")

ATTEMPTS: Final = 12
"""Tries of one request: of three in ten that are refused, all of them are so once in two million."""

_PASSING: Final = frozenset(
    {"store-busy", "store-failed", "connection-broken", "no-connection", "no-answer", "port-closed"}
)
"""Reasons of failures that a busy store has as well, or whatever stands before it: the next try may go well."""

_LASTING: Final = frozenset({"ENOSPC", "EDQUOT", "EEXIST", "ENOTDIR", "ENAMETOOLONG"})
"""What a folder's file system says that no pause changes; a full disk held a run up for two minutes a request."""

SHORTEST: Final = 0.05
LONGEST: Final = 20.0
"""Seconds of a pause, at least and at most; it doubles with each refusal and halves with each success."""


class Pace:
    """The pace of all requests of one shard: one refusal slows all of them down, as each would be refused as well.

    Pauses are of random length (full jitter), so that shards that were refused together do not come back together.
    The store's client should not repeat requests itself: it would do so at a pace of its own, for each request alone.
    """

    def __init__(
        self,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._pause = SHORTEST
        self._until = 0.0
        self._refused = 0.0
        self.waited = 0.0

    def run(self, work: Callable[[], Made]) -> Made:
        """Return what ``work`` returns, tried again while the store is busy; raise `BucketError` where it stays so."""
        for attempt in range(1, ATTEMPTS + 1):
            left = self._until - self._clock()
            if left > 0:
                self._sleep(left)
            begun = self._clock()
            try:
                made = work()
            except BucketError as error:
                # An answer to HEAD has no body: there a busy store is just one that failed.
                if error.reason not in _PASSING or error.code in _LASTING or attempt == ATTEMPTS:
                    raise
                self._slow_down(begun)
            else:
                with self._lock:
                    self._pause = max(SHORTEST, self._pause / 2)
                return made
        raise AssertionError  # the last attempt returns or raises

    def _slow_down(self, begun: float) -> None:
        with self._lock:
            if begun < self._refused:
                # Sent before the last refusal was known: one moment of the store, whatever the number of its refusals.
                return
            pause = self._jitter(0, self._pause)
            self._pause = min(LONGEST, 2 * self._pause)
            now = self._refused = self._clock()
            if now + pause > self._until:
                self.waited += now + pause - max(now, self._until)
                self._until = now + pause


AHEAD: Final = 8
"""Pictures that are looked for and fetched while another one is rendered."""

AHEAD_BYTES: Final = 64 << 20
"""Bytes of sources that may be fetched ahead; a larger one is fetched alone."""

PUTS: Final = 32
"""Results on their way to the bucket, before rendering waits for them."""

SAME_FAILURES: Final = 8
"""Pictures in a row that fail for a cause of no picture's own, after which the shard is given up."""

CHANGED: Final = "source-changed"
"""Code of a picture that is no longer what was listed."""


def run_shard(shard: Shard, environ: Mapping[str, str] | None = None) -> ShardReport:
    """Render a shard and write its checkpoint last: the task of every executor, in any process and on any machine.

    ``environ`` is where credentials are read from, by default this process's own environment. Errors of pictures are
    part of the report. Raise WorkerRefused in a program of another version, ConfigError and BucketError where the
    buckets can't be used at all.
    """
    own = engine_name()
    if own != shard.job.engine:
        place = f"{socket.gethostname()}, process {os.getpid()}"
        message = f"The worker {place} has {own}; the run was started with {shard.job.engine}."
        raise WorkerRefused(message, fix="Install the same versions everywhere, as pip freeze lists them.")
    return ShardRun(shard, RunPlaces.of(shard.job, environ)).run()


class RunPlaces:
    """The buckets of a job and the settings that it is done under; opened once in each process.

    ``attempts`` are those of the store's client: one, where a `Pace` repeats what is refused.
    """

    def __init__(
        self, job: BulkJob, environ: Mapping[str, str] | None = None, *, attempts: int = result_places.ATTEMPTS
    ) -> None:
        self.config: Config = read_settings(job)
        self.source = open_origin(self.config, job.origin, environ, attempts=attempts)
        self.target = open_target(self.config, is_results=bool(job.transforms), environ=environ, attempts=attempts)

    @classmethod
    def of(cls, job: BulkJob, environ: Mapping[str, str] | None = None) -> RunPlaces:
        """Return those for the requests of a `Pace` that this process has opened, or open them."""
        return _opened(job) if environ is None else cls(job, environ, attempts=1)


@lru_cache(maxsize=4)
def _opened(job: BulkJob) -> RunPlaces:
    return RunPlaces(job, attempts=1)


class ShardRun:
    """One shard being rendered."""

    def __init__(self, shard: Shard, places: RunPlaces, *, pace: Pace | None = None) -> None:
        self._shard = shard
        self._places = places
        self._pace = pace or Pace()
        self._work = self._pace.run(partial(choose_work, shard.job, places))
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._causes: Counter[str] = Counter()
        self._errors: list[PictureError] = []
        self._alike = 0
        self._has_store_failed = False
        self._cpu = 0.0

    def run(self) -> ShardReport:
        """Render what is missing, and return what became of each picture."""
        started = time.monotonic()
        before = self._requests()
        puts: deque[tuple[ShardItem, Future[int]]] = deque()
        with (
            ThreadPoolExecutor(AHEAD, thread_name_prefix="s3img-fetch") as fetching,
            ThreadPoolExecutor(AHEAD, thread_name_prefix="s3img-put") as putting,
        ):
            try:
                for item, future in self._fetched(fetching):
                    self._one(item, future, partial(self._start_put, putting, puts, item))
                    self._finish(puts, most=PUTS)
                self._finish(puts, most=0)
            except BaseException:
                fetching.shutdown(wait=False, cancel_futures=True)
                putting.shutdown(wait=False, cancel_futures=True)
                raise
        report = ShardReport(
            pictures=len(self._shard.items),
            rendered=self._counts["rendered"],
            present=self._counts["present"],
            failed=len(self._errors),
            bytes_read=self._counts["read"],
            bytes_written=self._counts["written"],
            cpu_seconds=self._cpu,
            seconds=time.monotonic() - started,
            waited=self._pace.waited,
            requests=dict(Counter(self._requests()) - Counter(before)),
            causes=dict(sorted(self._causes.items())),
            errors=tuple(sorted(self._errors)),
            is_final=not self._has_store_failed,
        )
        if self._shard.is_piece or not report.is_final:
            return report
        report = msgspec.structs.replace(report, is_saved=True)
        checkpoints = Checkpoints(self._places.target, self._shard.job.run)
        self._pace.run(partial(checkpoints.write, self._shard, report))
        return report

    def _requests(self) -> Mapping[str, int]:
        buckets = {id(bucket): bucket for bucket in (self._places.source, self._places.target)}
        total: Counter[str] = Counter()
        for bucket in buckets.values():
            total.update(bucket.requests)
        return total

    def _fetched(
        self, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[ShardItem, Future[tuple[ReadPicture, list[PlannedResult]] | None]]]:
        """Yield pictures in order, with those behind them on their way within bounds of number and memory."""
        waiting = deque(self._shard.items)
        ahead: deque[tuple[ShardItem, Future[tuple[ReadPicture, list[PlannedResult]] | None]]] = deque()
        size = 0
        while waiting or ahead:
            while waiting and len(ahead) < AHEAD and (not ahead or size + waiting[0].size <= AHEAD_BYTES):
                item = waiting.popleft()
                size += item.size
                ahead.append((item, pool.submit(self._fetch, item)))
            item, future = ahead.popleft()
            yield item, future
            size -= item.size

    def _fetch(self, item: ShardItem) -> tuple[ReadPicture, list[PlannedResult]] | None:
        """Return a picture's bytes and what is missing of it, None where everything is there."""
        target = self._places.target
        planned = self._work.plan(item, None)
        if planned is not None:
            missing = self._pace.run(partial(missing_results, planned, target))
            self._count("present", len(planned) - len(missing))
            if not missing:
                return None
        source = self._pace.run(partial(read_source, self._places.source, item, self._places.config.limits.input_bytes))
        self._count("read", len(source.data))
        again = self._work.plan(item, source) or []
        if planned is None or [one.key for one in again] != [one.key for one in planned]:
            missing = self._pace.run(partial(missing_results, again, target))
            self._count("present", len(again) - len(missing))
        return source, missing

    def _count(self, name: str, number: int) -> None:
        """Count from any thread."""
        with self._lock:
            self._counts[name] += number

    def _one(
        self,
        item: ShardItem,
        future: Future[tuple[ReadPicture, list[PlannedResult]] | None],
        put: Callable[[PlannedResult, Rendered], None],
    ) -> None:
        """Render what is missing of one picture; whatever goes wrong is an error of this picture alone."""
        try:
            found = future.result()
            if found is not None:
                source, missing = found
                started = time.thread_time()
                try:
                    for planned, rendered in self._work.make(item, source, {one.key for one in missing}):
                        put(planned, rendered)
                finally:
                    self._cpu += time.thread_time() - started
            self._alike = 0
        except Exception as error:
            self._fail(item, error)

    def _start_put(
        self,
        pool: ThreadPoolExecutor,
        puts: deque[tuple[ShardItem, Future[int]]],
        item: ShardItem,
        planned: PlannedResult,
        rendered: Rendered,
    ) -> None:
        def send() -> int:
            put = partial(self._places.target.put, planned.key, rendered.data, media_type=rendered.media_type)
            self._pace.run(partial(put, metadata=planned.metadata))
            return len(rendered.data)

        puts.append((item, pool.submit(send)))

    def _finish(self, puts: deque[tuple[ShardItem, Future[int]]], *, most: int) -> None:
        """Wait for the oldest results on their way until only ``most`` are."""
        while len(puts) > most:
            item, future = puts.popleft()
            try:
                self._count("written", future.result())
                self._count("rendered", 1)
            except Exception as error:
                self._fail(item, error)

    def _fail(self, item: ShardItem, error: Exception) -> None:
        """Note why a picture failed; raise the error where it surely does not come from this picture."""
        code = error.reason if isinstance(error, S3ImgError) else "unexpected"
        text = str(error) if isinstance(error, S3ImgError) else f"It met {unexpected(error)}"
        if not any(known.key == item.key for known in self._errors[-PUTS:]):
            self._errors.append(PictureError(item.key, code, text))
            self._causes[code] += 1
        if isinstance(error, BucketError) and not isinstance(error, ObjectNotFound) and code != CHANGED:
            self._has_store_failed = True
            self._alike += 1
            if self._alike >= SAME_FAILURES or isinstance(error, CredentialsError):
                raise error


def choose_work(job: BulkJob, places: RunPlaces) -> Work:
    """Return what is made of each picture of a job; raise BucketError where a layer's picture can't be had."""
    if not job.transforms:
        return PageVariants(places.config, places.target)
    layers = {text: fetch_layers(text, job.origin, places) for text in job.transforms}
    return ServiceResults(job, places.config, places.target, layers)


def fetch_layers(transform: str, origin: str, places: RunPlaces) -> Layers:
    """Fetch the pictures that a transform lays over others: their ETags are part of the names of results."""
    found = []
    for key in Transform.parse(transform, limits=places.config.limits).inputs:
        with places.source.open(key) as opened:
            info, data = opened.info, opened.read()
        found.append((key, SourceRef(origin, key), SourceFacts(info.etag, info.size, info.modified), data))
    return tuple(found)


def read_source(bucket: Bucket, item: ShardItem, limit: int) -> ReadPicture:
    """Read a picture as it was listed, at most ``limit`` bytes; raise `BucketError` where it is another one by now."""
    for attempt in (1, 2, 3):
        try:
            found = bucket.open(item.key, etag=item.etag)
        except ObjectChanged as error:
            raise source_changed(bucket, item) from error
        with found as opened:
            if opened.info.size > limit:
                what = f"It has {opened.info.size:,} bytes; {limit:,} is the limit."
                raise ImageTooLarge(what, limit="input_bytes", fix="Make it smaller, or raise limits.input_bytes.")
            try:
                data = opened.read()
            except Unreachable:
                if attempt == 3:
                    raise
                continue
        if item.line and hashlib.sha256(data).hexdigest() != LockEntry.parse(item.line).sha256:
            raise source_changed(bucket, item)
        return ReadPicture(opened.info, data)
    raise AssertionError  # the last attempt returns or raises


def source_changed(bucket: Bucket, item: ShardItem) -> ObjectChanged:
    """Report a picture that was replaced since it was listed, or since it was locked."""
    message = f"{bucket.name}: {item.key!r} was changed since it was listed."
    fix = "Run the command again: it is listed anew."
    return ObjectChanged(message, reason=CHANGED, action="get", bucket=bucket.name, key=item.key, fix=fix)
