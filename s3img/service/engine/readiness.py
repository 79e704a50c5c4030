"""Whether the stores behind the origins take the service's credentials, for orchestrators that ask again and again."""

from __future__ import annotations

import time
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, Final

from s3img.errors import BucketError, CredentialsError
from s3img.service.engine.metrics import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from s3img.buckets import Bucket
    from s3img.service.engine.concurrency import QueuedPool
    from s3img.service.engine.jobs import Budget

_KEY: Final = ".s3img/ready"
"""Key that is asked for. Nothing has to be there: a missing or denied object proves credentials as well."""
_BELIEVED: Final = 5.0
"""Seconds for which an answer that the store gave is not asked for again."""
_PATIENCE: Final = 0.8
"""Seconds to wait for a store that took the credentials before: Kubernetes gives a probe one second by default."""


class OriginReadiness:
    """Ask each of ``names`` with a small request whether its store knows the credentials that it is asked with.

    A slow or missing store does not make it unready: what is in the caches is served, and all instances of the
    service would leave the load balancer at once.
    """

    def __init__(self, origin: Callable[[str], Bucket], names: Sequence[str], pool: QueuedPool) -> None:
        self._origin = origin
        self._names = names
        self._pool = pool
        self._until: dict[str, float] = {}
        self._refused: dict[str, CredentialsError] = {}

    def check(self, budget: Budget) -> None:
        """Raise `CredentialsError` for the first origin that refuses its credentials, and what the pool raises."""
        now = time.monotonic()
        due = [name for name in self._names if name in self._refused or self._until.get(name, 0.0) <= now]
        questions = {name: self._pool.start(partial(self._ask, name), budget, Stopwatch()) for name in due}
        # An origin that took the credentials a while ago is not waited for long; of another one nothing good is known.
        again = [question for name, question in questions.items() if name in self._until and name not in self._refused]
        wait(set(questions.values()) - set(again), timeout=max(0.0, budget.left))
        wait(again, timeout=max(0.0, min(_PATIENCE, budget.left)))
        for name in self._names:
            if (refused := self._refused.get(name)) is not None:
                raise CredentialsError(
                    f"origin {name}: {refused.message}", code=refused.code, reason=refused.reason, fix=refused.fix
                )

    def _ask(self, name: str) -> None:
        try:
            self._origin(name).head(_KEY)
        except CredentialsError as error:
            self._refused[name] = error
            return
        except BucketError:  # whatever else it says, it is not about the credentials
            pass
        self._refused.pop(name, None)
        self._until[name] = time.monotonic() + _BELIEVED
