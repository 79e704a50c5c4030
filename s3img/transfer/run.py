"""Send what is planned: each object once, a bounded number at a time, on any executor, while it can go well."""

from __future__ import annotations

import os
import time
from concurrent.futures import BrokenExecutor, Future, wait
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from s3img.buckets import HOME, home_of
from s3img.buckets.protocol import changed
from s3img.errors import BucketError, CredentialsError, FileUnreadable, S3ImgError, Unreachable
from s3img.transfer.plan import UploadResult
from s3img.transfer.workers import WorkerPool, submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from s3img.buckets import Bucket
    from s3img.transfer.plan import Upload, UploadPlan

    Outcome = Future[S3ImgError | None]

PATIENCE = 600.0
"""Seconds after which an upload is given up: more than all attempts of a request take until each has timed out."""

CHECK_SECONDS = 1.0
"""Seconds without an upload that ends, after which the limits are looked at."""

SLOWEST = 32_000
"""Bytes a second that an upload may be as slow as, beyond `PATIENCE`."""


SAME_FAILURES = 8
"""Failures of one general cause, with no success between them, after which the rest is not tried any more."""

_GENERAL_CODES = frozenset(
    {
        *("AccessDenied", "AllAccessDisabled", "401", "403", "NoSuchBucket", "InvalidBucketName", "InvalidRegion"),
        *("PermanentRedirect", "AuthorizationHeaderMalformed", "RequestTimeTooSkewed", "BrokenExecutor"),
    }
)
"""Codes that say something of the bucket or of this machine, never of one object."""


class Deadline:
    """The seconds that several runs may take together, counted from now; 0 is as long as they like."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds if seconds else None

    def left(self) -> float | None:
        """Return what is left for the next run, None without a limit."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


class FailurePolicy:
    """Stop a run that can't go well any more: its time is over, or one cause concerns every object."""

    def __init__(self, bucket: str, limit: float) -> None:
        self._bucket = bucket
        self._limit = limit
        self._cause: BucketError | None = None
        self._last = ""
        self._alike = 0

    def record(self, failure: S3ImgError | None) -> None:
        """Note how an upload ended; None is a success."""
        if failure is None:
            self._alike = 0
        elif isinstance(failure, CredentialsError | Unreachable) or (
            isinstance(failure, BucketError) and failure.code in _GENERAL_CODES
        ):
            self._alike = self._alike + 1 if failure.code == self._last else 1
            self._last = failure.code
            self._cause = self._cause or (failure if self._alike >= SAME_FAILURES else None)

    def should_stop(self) -> bool:
        """Tell whether to start nothing more."""
        if not self._cause and time.monotonic() >= self._limit:
            fix = "Run the command again: it goes on where this run ended."
            self._cause = BucketError("the time for this run is over.", code="DeadlineExceeded", fix=fix)
        return self._cause is not None

    def not_tried(self, upload: Upload) -> BucketError:
        """Describe an upload that was never begun by the cause that stopped the run."""
        cause = self._cause or BucketError("the run ended.")
        message = f"{self._bucket}: {upload.key!r} was not tried: {cause.message}"
        return type(cause)(message, code=cause.code, action="put", bucket=self._bucket, key=upload.key, fix=cause.fix)


def upload_one(bucket: Bucket, upload: Upload) -> S3ImgError | None:
    """Send one object unless its file changed since it was planned; return the failure, if any.

    The job of an executor: it and its arguments can be pickled, and a bucket is opened once in each process.
    """
    try:
        try:
            stat = os.stat(upload.path)  # noqa: PTH116 - a Path's own takes three times as long
        except OSError as error:
            raise FileUnreadable(str(upload.path), error) from error
        if stat.st_size != upload.size:
            raise changed(str(upload.path))
        # The bytes that were planned will do only while the file's stat proves that it still has them.
        proof = upload.stat
        is_same = proof is not None and (proof.mtime, proof.ctime) == (stat.st_mtime_ns, stat.st_ctime_ns)
        source = upload.content if is_same and upload.content else upload.path
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
    policy = FailurePolicy(bucket.name, float("inf") if deadline is None else started + deadline)
    uploaded: list[Upload] = []
    failed: dict[str, S3ImgError] = {}
    workers = max(1, min(workers, len(plan.uploads)))
    pool = executor or WorkerPool(workers)
    # A queue as long as the pool is wide: without one, workers wait until this thread gets the interpreter lock.
    flight = UploadsInFlight(pool, bucket, most=2 * workers, patience=patience)
    try:
        for upload, failure in _outcomes(plan.uploads, flight, policy):
            if failure is None:
                uploaded.append(upload)
            else:
                failed[upload.key] = failure
            if progress:
                progress(upload, failure)
    finally:
        flight.finish()
        if isinstance(pool, WorkerPool):
            pool.close()
    return UploadResult(
        uploaded=tuple(sorted(upload.key for upload in uploaded)),
        failed=dict(sorted(failed.items())),
        bytes=sum(upload.size for upload in uploaded),
        seconds=time.monotonic() - started,
    )


def _outcomes(
    uploads: Iterable[Upload], flight: UploadsInFlight, policy: FailurePolicy
) -> Iterator[tuple[Upload, S3ImgError | None]]:
    """Yield each upload as it ends; memory does not grow with their number."""
    waiting = iter(uploads)
    while True:
        flight.start(() if policy.should_stop() else waiting)
        if not flight:
            break
        upload, future = flight.next_ended()
        if future.cancelled():
            yield upload, policy.not_tried(upload)
        else:
            error = future.exception()
            if isinstance(error, BrokenExecutor):
                fix = "Find out what ended it: most often the system ran out of memory."
                failure: S3ImgError | None = BucketError(f"A worker died: {error}", code="BrokenExecutor", fix=fix)
            else:
                failure = future.result()
            policy.record(failure)
            yield upload, failure
        if policy.should_stop():
            flight.cancel()  # each one comes out of the loop above as not tried, so that no upload goes unreported
    yield from ((upload, policy.not_tried(upload)) for upload in waiting)


class UploadsInFlight:
    """The uploads that have been started and not ended, ``most`` of them at a time, each with its limit in time."""

    def __init__(self, pool: Executor | WorkerPool, bucket: Bucket, *, most: int, patience: float) -> None:
        self._pool = pool
        self._bucket = bucket
        self._most = most
        self._patience = patience
        self._ended: SimpleQueue[Outcome] = SimpleQueue()
        self._limits: dict[Outcome, tuple[Upload, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._limits)

    def start(self, waiting: Iterable[Upload]) -> None:
        """Start as many more as may be under way."""
        for upload in islice(waiting, self._most - len(self._limits)):
            future = submit(self._pool, upload_one, self._bucket, upload)
            self._limits[future] = upload, self._limit(upload)
            future.add_done_callback(self._ended.put)

    def _limit(self, upload: Upload) -> float:
        return time.monotonic() + self._patience + upload.size / SLOWEST

    def next_ended(self) -> tuple[Upload, Outcome]:
        """Wait for the next one to end, or to be over its limit: the future that is returned then has failed."""
        while True:
            try:
                future = self._ended.get(timeout=min(self._patience, CHECK_SECONDS))
            except Empty:
                if late := self._overdue():
                    upload, _ = self._limits.pop(late)
                    return upload, self._given_up(upload)
                continue
            if future in self._limits:  # not one that was given up before
                return self._limits.pop(future)[0], future

    def _overdue(self) -> Outcome | None:
        """Return one that is over its limit; the time of those that wait for a worker begins when they have one.

        Where every worker hangs in an upload that was given up, they never will.
        """
        if any(future.running() for future in self._limits):
            for future, (upload, _) in self._limits.items():
                if not (future.running() or future.done()):
                    self._limits[future] = upload, self._limit(upload)
        now = time.monotonic()
        return next((future for future, (_, limit) in self._limits.items() if limit <= now), None)

    def _given_up(self, upload: Upload) -> Outcome:
        """Return a future that has failed: the worker itself can't be stopped."""
        name = self._bucket.name
        message = f"{name}: {upload.key!r} was given up: the store does not finish its answer."
        fix = "Check the store and the network. Run the command again: what is stored already is not sent twice."
        outcome: Outcome = Future()
        outcome.set_result(
            Unreachable(message, code="DeadlineExceeded", action="put", bucket=name, key=upload.key, fix=fix)
        )
        return outcome

    def cancel(self) -> None:
        """Take back those that no worker has taken yet."""
        for future in [*self._limits]:
            future.cancel()

    def finish(self) -> None:
        """Take back what can be, and let the rest end."""
        self.cancel()
        wait(self._limits, timeout=self._patience)
