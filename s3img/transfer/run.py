"""Send what is planned: each object once, a bounded number at a time, on any executor."""

from __future__ import annotations

import os
import time
from concurrent.futures import BrokenExecutor, Future, wait
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from s3img.buckets import HOME, home_of
from s3img.buckets.protocol import changed, unreadable
from s3img.errors import BucketError, S3ImgError, Unreachable
from s3img.transfer.failures import FailurePolicy
from s3img.transfer.plan import UploadResult

if TYPE_CHECKING:
    from collections.abc import Callable

_Given = ParamSpec("_Given")

_Made = TypeVar("_Made")


class Workers:
    """Run jobs in daemon threads; the pools of `concurrent.futures` join theirs at exit, however long that takes."""

    def __init__(self, count: int) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._count = count
        for number in range(count):
            Thread(target=self._work, name=f"s3img-upload-{number}", daemon=True).start()

    def submit(self, job: Callable[_Given, _Made], /, *args: _Given.args, **kwargs: _Given.kwargs) -> Future[_Made]:
        """Begin a job as soon as a thread is free."""
        future: Future[_Made] = Future()
        self._jobs.put((future, lambda: job(*args, **kwargs)))
        return future

    def close(self) -> None:
        """Let the threads end after the jobs that were submitted."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            future, call = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor
    from pathlib import Path

    from s3img.buckets import Bucket
    from s3img.transfer.plan import Upload, UploadPlan

    _Outcome = Future[S3ImgError | None]


PATIENCE = 600.0
"""Seconds after which an upload is given up: more than all attempts of a request take until each has timed out."""

_GLANCE = 1.0
"""Seconds without an upload that ends, after which the limits are looked at."""

_SLOWEST = 32_000
"""Bytes a second that an upload may be as slow as, beyond `PATIENCE`."""


def upload_one(bucket: Bucket, upload: Upload) -> S3ImgError | None:
    """Send one object unless its file changed since it was planned; return the failure, if any.

    The job of an executor: it and its arguments can be pickled, and a bucket is opened once in each process.
    """
    try:
        source = _source(upload)
        bucket.put(
            upload.key,
            source,
            media_type=upload.media_type,
            cache_control=upload.cache_control,
            metadata={**upload.metadata, HOME: home_of(bucket.name)},
            sha256="" if source is upload.content else upload.sha256,
        )
    except S3ImgError as error:
        return error
    return None


def _source(upload: Upload) -> Path | bytes:
    """Return the bytes that were planned, or the file where it has to be read again to know that it has them."""
    try:
        found = os.stat(upload.path)  # noqa: PTH116 - a Path's own takes three times as long
    except OSError as error:
        raise unreadable(str(upload.path), error) from error
    if found.st_size != upload.size:
        raise changed(str(upload.path))
    proof = upload.stat
    is_same = proof is not None and (proof.mtime, proof.ctime) == (found.st_mtime_ns, found.st_ctime_ns)
    return upload.content if is_same and upload.content else upload.path


def run_uploads(
    plan: UploadPlan,
    bucket: Bucket,
    *,
    workers: int = 32,
    progress: Callable[[Upload, S3ImgError | None], None] | None = None,
    deadline: float | None = None,
    patience: float = PATIENCE,
    executor: Executor | None = None,
) -> UploadResult:
    """Send every upload of the plan once, at most ``workers`` at a time; a failure is part of the result.

    ``progress`` is called in this thread for each upload as it ends. After ``deadline`` seconds, after `SAME_FAILURES`
    of one cause that concerns every object, and on `KeyboardInterrupt` (raised again) nothing new is begun, and what
    is under way is waited for: an upload for ``patience`` seconds at most, longer only as far as its size asks for.
    ``executor`` (of processes or machines, too) is left open; by default threads do the work.
    """
    started = time.monotonic()
    brake = FailurePolicy(bucket.name, float("inf") if deadline is None else started + deadline)
    outcomes: list[tuple[Upload, S3ImgError | None]] = []
    workers = max(1, min(workers, len(plan.uploads)))
    pool = executor or Workers(workers)
    # A queue as long as the pool is wide: without one, workers wait until this thread gets the interpreter lock.
    begun = _Begun(pool, bucket, room=2 * workers, patience=patience)
    try:
        for upload, failure in _outcomes(plan.uploads, begun, brake):
            outcomes.append((upload, failure))
            if progress:
                progress(upload, failure)
    finally:
        begun.finish()
        if isinstance(pool, Workers):
            pool.close()
    return _result(outcomes, time.monotonic() - started)


def _outcomes(
    uploads: Iterable[Upload], begun: _Begun, brake: FailurePolicy
) -> Iterator[tuple[Upload, S3ImgError | None]]:
    """Yield each upload as it ends; memory does not grow with their number."""
    waiting = iter(uploads)
    while True:
        begun.fill(() if brake.is_on() else waiting)
        if not begun:
            break
        upload, future = begun.next_ended()
        if future.cancelled():
            yield upload, brake.not_tried(upload)
        else:
            failure = _failure(future)
            brake.feel(failure)
            yield upload, failure
        if brake.is_on():
            begun.cancel()
    yield from ((upload, brake.not_tried(upload)) for upload in waiting)


class _Begun:
    """Hold the uploads that have been begun and not ended, ``room`` of them at most, each with its limit in time."""

    def __init__(self, pool: Executor | Workers, bucket: Bucket, *, room: int, patience: float) -> None:
        self._pool = pool
        self._bucket = bucket
        self._room = room
        self._patience = patience
        self._ended: SimpleQueue[_Outcome] = SimpleQueue()
        self._limits: dict[_Outcome, tuple[Upload, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._limits)

    def fill(self, waiting: Iterable[Upload]) -> None:
        """Begin as many more as there is room for."""
        for upload in islice(waiting, self._room - len(self._limits)):
            future = self._submitted(upload)
            self._limits[future] = upload, self._limit(upload)
            future.add_done_callback(self._ended.put)

    def _limit(self, upload: Upload) -> float:
        return time.monotonic() + self._patience + upload.size / _SLOWEST

    def _submitted(self, upload: Upload) -> _Outcome:
        try:
            return self._pool.submit(upload_one, self._bucket, upload)
        except BrokenExecutor as error:
            broken: _Outcome = Future()
            broken.set_exception(error)
            return broken

    def next_ended(self) -> tuple[Upload, _Outcome]:
        """Wait for the next one to end, or to be over its limit: the future that is returned then has failed."""
        while True:
            try:
                future = self._ended.get(timeout=min(self._patience, _GLANCE))
            except Empty:
                if late := self._overdue():
                    upload, _ = self._limits.pop(late)
                    return upload, _given_up(self._bucket.name, upload)
                continue
            if future in self._limits:  # not one that was given up before
                return self._limits.pop(future)[0], future

    def _overdue(self) -> _Outcome | None:
        """Return one that is over its limit; the time of those that wait for a worker begins when they have one.

        Where every worker hangs in an upload that was given up, they never will.
        """
        if any(future.running() for future in self._limits):
            for future, (upload, _) in self._limits.items():
                if not (future.running() or future.done()):
                    self._limits[future] = upload, self._limit(upload)
        now = time.monotonic()
        return next((future for future, (_, limit) in self._limits.items() if limit <= now), None)

    def cancel(self) -> None:
        """Take back those that no worker has taken yet."""
        for future in [*self._limits]:
            future.cancel()

    def finish(self) -> None:
        """Take back what can be, and let the rest end."""
        self.cancel()
        wait(self._limits, timeout=self._patience)


def _given_up(bucket: str, upload: Upload) -> _Outcome:
    message = f"{bucket}: {upload.key!r} was given up: the store does not finish its answer."
    fix = "Check the store and the network. Run the command again: what is stored already is not sent twice."
    outcome: _Outcome = Future()
    outcome.set_result(
        Unreachable(message, code="DeadlineExceeded", action="put", bucket=bucket, key=upload.key, fix=fix)
    )
    return outcome


def _failure(future: _Outcome) -> S3ImgError | None:
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        return BucketError(f"A worker died: {error}", code="BrokenExecutor", fix="Look for what ended it: memory?")
    return future.result()


def _result(outcomes: Iterable[tuple[Upload, S3ImgError | None]], seconds: float) -> UploadResult:
    uploaded = [upload for upload, failure in outcomes if failure is None]
    return UploadResult(
        uploaded=tuple(sorted(upload.key for upload in uploaded)),
        failed=dict(sorted((upload.key, failure) for upload, failure in outcomes if failure)),
        bytes=sum(upload.size for upload in uploaded),
        seconds=seconds,
    )
