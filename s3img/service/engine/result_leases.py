"""Which machine of a fleet makes a result: an object in the bucket that says so for a while, and may be lost.

A lease saves work and guards nothing: two machines that make a result put the same bytes under the same name. So
whatever goes wrong with one means "make it here".
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from s3img.errors import BucketError
from s3img.keys import OWN_FOLDER

if TYPE_CHECKING:
    from s3img.buckets import Bucket

LEASES: Final = f"{OWN_FOLDER}/leases/"
"""Where leases are; a machine that dies leaves its own, which a lifecycle rule of the bucket may delete."""


class ResultLeases:
    """Take leases of ``seconds`` on results by their identities; safe to share between threads.

    A store that passes over ``If-None-Match`` gives everybody a lease, as if there were none.
    """

    def __init__(self, bucket: Bucket, seconds: float) -> None:
        self.seconds = seconds
        self._bucket = bucket
        self._lock = threading.Lock()
        self._taken: dict[str, float] = {}

    def take(self, identity: str) -> bool:
        """Return True where the result is to be made here, False while another machine has its lease."""
        try:
            # No name of the machine: the bucket may be readable by everybody.
            self._bucket.put(
                LEASES + identity,
                b"lease\n",
                media_type="text/plain",
                cache_control="no-store",
                metadata={"s3img": "lease"},
                only_new=True,
            )
        except BucketError as error:
            return error.reason != "condition-failed"
        with self._lock:
            self._taken[identity] = time.monotonic()
        return True

    def is_free(self, identity: str) -> bool:
        """Tell whether a lease that another machine had has been released, or is over; one that is over is deleted."""
        try:
            info = self._bucket.head(LEASES + identity)
            if info is None:
                return True
            # The store's clock against ours: whoever waits does so for ``seconds`` of its own clock at most, too.
            if (datetime.now(UTC) - info.modified).total_seconds() <= self.seconds:
                return False
            self._bucket.delete([LEASES + identity])
        except BucketError:
            return True
        return True

    def release(self, identity: str) -> None:
        """Give back a lease that was taken here; raise `BucketError`. One that is over may be another machine's now."""
        with self._lock:
            taken = self._taken.pop(identity, None)
        if taken is not None and time.monotonic() - taken < self.seconds:
            self._bucket.delete([LEASES + identity])
