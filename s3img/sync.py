"""Uploads: what has to be sent (`plan`, pure) and sending it (`run`, a bounded pool; failures are values).

Keys are expected to change with their content, so an object that is there with its planned size is not sent again.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING

from s3img.buckets import IMMUTABLE
from s3img.buckets.content import changed, unreadable
from s3img.errors import BucketError, ConfigError, CredentialsError, S3ImgError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from s3img.buckets import Bucket

    _Outcome = Future[S3ImgError | None]

MARKER = {"s3img": "1"}
"""Metadata of every object that s3img writes (``x-amz-meta-s3img: 1``), so that a later clean-up knows its own."""

SITE_MARKER = {"s3img": "site"}
"""Metadata of what published sites show: nothing in the bucket refers to it, so a clean-up leaves it alone."""

SAME_FAILURES = 8
"""Failures of one general cause, with no success between them, after which the rest is not tried any more."""


_GENERAL_CODES = frozenset(
    {
        *(
            "AccessDenied",
            "AllAccessDisabled",
            "401",
            "403",
            "NoSuchBucket",
            "InvalidBucketName",
            "RequestTimeTooSkewed",
        ),
        *("PermanentRedirect", "AuthorizationHeaderMalformed", "InvalidRegion"),
    }
)
"""Codes that say something of the bucket or the machine, never of one object."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Plan one object: ``size`` in bytes and ``sha256`` (hex, "" if unknown) of the file as it was planned."""

    key: str
    path: Path
    size: int
    media_type: str
    cache_control: str = IMMUTABLE
    sha256: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: MARKER, compare=False)


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """List what to send and what is there already, both by key; ``replaced`` has the sizes of partial objects."""

    uploads: tuple[Upload, ...]
    present: tuple[Upload, ...] = ()
    replaced: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes to send."""
        return sum(upload.size for upload in self.uploads)

    def __str__(self) -> str:
        head = f"{len(self.uploads)} to upload ({self.bytes} bytes), {len(self.present)} present"
        return "\n".join((head, *(self._line(upload) for upload in self.uploads)))

    def _line(self, upload: Upload) -> str:
        found = self.replaced.get(upload.key)
        why = "new" if found is None else f"has {found} bytes there"
        return f"put {upload.key}  {upload.size} bytes  {upload.media_type}  {upload.path}  ({why})"


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Tell what became of each planned upload: ``uploaded`` keys and ``failed`` ones with their cause, both sorted."""

    uploaded: tuple[str, ...]
    failed: Mapping[str, S3ImgError]
    bytes: int
    seconds: float

    @property
    def exit_code(self) -> int:
        """0, or the code of the worst failure: credentials before the store before a file."""
        codes = {error.exit_code for error in self.failed.values()}
        return next((code for code in (4, 5) if code in codes), max(codes, default=0))


def plan(uploads: Iterable[Upload], present: Mapping[str, int]) -> SyncPlan:
    """Choose what to send, each key once and in the order of keys; ``present`` maps the store's keys to their sizes.

    Raise `ConfigError` naming every key that two different contents claim.
    """
    ordered = _each_key_once(uploads)
    there = {upload.key: present[upload.key] for upload in ordered if upload.key in present}
    return SyncPlan(
        uploads=tuple(upload for upload in ordered if there.get(upload.key) != upload.size),
        present=tuple(upload for upload in ordered if there.get(upload.key) == upload.size),
        replaced={
            upload.key: there[upload.key] for upload in ordered if there.get(upload.key, upload.size) != upload.size
        },
    )


def _each_key_once(uploads: Iterable[Upload]) -> list[Upload]:
    wanted: dict[str, Upload] = {}
    clashes = []
    for upload in uploads:
        first = wanted.setdefault(upload.key, upload)
        if _content(first) != _content(upload):
            clashes.append(
                f"key_template: {first.path} and {upload.path} get one key, {upload.key!r}: add {{{{hash:8}}}}"
            )
    if clashes:
        raise ConfigError(clashes)
    return [wanted[key] for key in sorted(wanted)]


def _content(upload: Upload) -> tuple[object, ...]:
    """Say what makes two uploads one: equal bytes as far as is known, and equal headers."""
    return upload.sha256 or upload.path, upload.size, upload.media_type, upload.cache_control


def upload_one(bucket: Bucket, upload: Upload) -> S3ImgError | None:
    """Send one object unless its file changed since it was planned; return the failure, if any."""
    try:
        _check_size(upload)
        bucket.put(
            upload.key,
            upload.path,
            media_type=upload.media_type,
            cache_control=upload.cache_control,
            metadata=upload.metadata,
            sha256=upload.sha256,
        )
    except S3ImgError as error:
        return error
    return None


def _check_size(upload: Upload) -> None:
    try:
        size = upload.path.stat().st_size
    except OSError as error:
        raise unreadable(str(upload.path), error) from error
    if size != upload.size:
        raise changed(str(upload.path))


def run(
    plan: SyncPlan,
    bucket: Bucket,
    *,
    workers: int = 32,
    progress: Callable[[Upload, S3ImgError | None], None] | None = None,
    deadline: float | None = None,
) -> SyncResult:
    """Send every upload of the plan once, at most ``workers`` at a time; a failure is part of the result.

    ``progress`` is called in this thread for each upload as it ends. After ``deadline`` seconds, after `SAME_FAILURES`
    of one cause that concerns every object, and on `KeyboardInterrupt` (raised again) nothing new is begun, and what
    is under way is waited for.
    """
    started = time.monotonic()
    brake = _Brake(bucket.name, float("inf") if deadline is None else started + deadline)
    outcomes: dict[Upload, S3ImgError | None] = {}
    workers = max(1, workers)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="s3img-upload")

    def begin(upload: Upload) -> _Outcome:
        return pool.submit(upload_one, bucket, upload)

    try:
        # A queue as long as the pool is wide: without one, workers wait until this thread gets the interpreter lock.
        for upload, failure in _outcomes(plan.uploads, begin, 2 * workers, brake):
            outcomes[upload] = failure
            if progress:
                progress(upload, failure)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return _result(outcomes, time.monotonic() - started)


def _outcomes(
    uploads: Iterable[Upload], begin: Callable[[Upload], _Outcome], window: int, brake: _Brake
) -> Iterator[tuple[Upload, S3ImgError | None]]:
    """Yield each upload as it ends, with at most ``window`` begun; memory does not grow with their number."""
    waiting = iter(uploads)
    ended: SimpleQueue[_Outcome] = SimpleQueue()
    begun: dict[_Outcome, Upload] = {}
    while True:
        for upload in islice(waiting, 0 if brake.is_on() else window - len(begun)):
            begun[future := begin(upload)] = upload
            future.add_done_callback(ended.put)
        if not begun:
            break
        future = ended.get()
        upload = begun.pop(future)
        if future.cancelled():
            yield upload, brake.not_tried(upload)
        else:
            brake.feel(future.result())
            yield upload, future.result()
        if brake.is_on():
            for other in [*begun]:
                other.cancel()
    yield from ((upload, brake.not_tried(upload)) for upload in waiting)


class _Brake:
    """Stop a run that can't go well any more: its time is over, or one cause concerns every object."""

    def __init__(self, bucket: str, limit: float) -> None:
        self._bucket = bucket
        self._limit = limit
        self._cause: BucketError | None = None
        self._last = ""
        self._alike = 0

    def feel(self, failure: S3ImgError | None) -> None:
        """Take note of an outcome."""
        if failure is None:
            self._alike = 0
        elif isinstance(failure, BucketError) and _concerns_all(failure):
            self._alike = self._alike + 1 if failure.code == self._last else 1
            self._last = failure.code
            self._cause = self._cause or (failure if self._alike >= SAME_FAILURES else None)

    def is_on(self) -> bool:
        """Tell whether to begin nothing more."""
        if not self._cause and time.monotonic() >= self._limit:
            fix = "Run the command again: it goes on where this run ended."
            self._cause = BucketError("the time for this run is over.", code="DeadlineExceeded", fix=fix)
        return self._cause is not None

    def not_tried(self, upload: Upload) -> BucketError:
        """Describe an upload that was never begun by the cause that stopped the run."""
        cause = self._cause or BucketError("the run ended.")
        message = f"{self._bucket}: {upload.key!r} was not tried: {cause.message}"
        return type(cause)(message, code=cause.code, action="put", bucket=self._bucket, key=upload.key, fix=cause.fix)


def _concerns_all(failure: BucketError) -> bool:
    return isinstance(failure, CredentialsError | Unreachable) or failure.code in _GENERAL_CODES


def _result(outcomes: Mapping[Upload, S3ImgError | None], seconds: float) -> SyncResult:
    uploaded = [upload for upload, failure in outcomes.items() if failure is None]
    return SyncResult(
        uploaded=tuple(sorted(upload.key for upload in uploaded)),
        failed=dict(sorted((upload.key, failure) for upload, failure in outcomes.items() if failure)),
        bytes=sum(upload.size for upload in uploaded),
        seconds=seconds,
    )
