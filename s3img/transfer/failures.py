"""When a run can't go well any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from s3img.errors import BucketError, CredentialsError, S3ImgError, Unreachable

if TYPE_CHECKING:
    from s3img.transfer.plan import Upload

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
