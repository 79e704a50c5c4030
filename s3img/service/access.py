"""Who may ask for what: signed addresses may ask for anything, others for what the mode in force lets them."""

from __future__ import annotations

import re
import threading
from collections import Counter
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from msgspec.structs import replace

from s3img.errors import SignatureError, TooManyRequests
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.config import Config
    from s3img.service.engine.requests import Facts
    from s3img.service.request import Asked
    from s3img.service.routing import Route

PRIVATE: Final = "isprivatefile"
"""Name of the metadata, as ImageKit has it, that keeps an object from unsigned requests where it is ``true``."""

_FIX: Final = "Ask the owner of the pictures for a signed address."

_NAMED: Final = re.compile(r"n-([^,:]+)")


@dataclass(frozen=True, slots=True)
class Grant:
    """Say why a request may be served: by a signature, which ends at ``expires`` (0: never), or by a preset's name."""

    signed: bool = False
    named: bool = False
    expires: int = 0

    def check_source(self, facts: Facts) -> None:
        """Raise SignatureError for a source that its metadata keeps private."""
        if is_private(facts) and not (self.signed or self.named):
            raise SignatureError("The picture is private.", fix=_FIX)


def is_private(facts: Facts) -> bool:
    """Tell whether a source's metadata calls it private."""
    return facts.metadata.get(PRIVATE, "").lower() == "true"


class Policy:
    """Decide what each mode lets through."""

    def __init__(self, config: Config) -> None:
        presets, limits = config.presets, config.limits
        self._presets = presets
        self._allowed = {Transform.parse(text, presets=presets, limits=limits) for text in config.allowed}

    def grant(self, asked: Asked, transform: Transform | None, route: Route) -> Grant:
        """Return the reason to serve a request without a signature; raise SignatureError where there is none."""
        if route.access == "signed":
            raise SignatureError("The address is not signed.", fix=_FIX)
        grant = Grant(named=self._is_named(asked.steps))
        if route.access != "open":
            self._check_unsigned(asked, transform, route, grant)
        return grant

    def _check_unsigned(self, asked: Asked, transform: Transform | None, route: Route, grant: Grant) -> None:
        if asked.kind == "info" or asked.version:
            raise SignatureError("Without a signature, neither info nor a version may be asked for.", fix=_FIX)
        if transform is None or grant.named or (route.access == "sizes" and self._is_allowed(transform)):
            return
        what = "a preset alone (n-NAME)" if route.access == "named" else "a preset alone (n-NAME) or a listed transform"
        raise SignatureError(f"Without a signature, {what} may be asked for.", fix=_FIX)

    def _is_named(self, steps: str | None) -> bool:
        match = _NAMED.fullmatch(unquote(steps or ""))
        return match is not None and match[1] in self._presets

    def _is_allowed(self, transform: Transform) -> bool:
        """Tell whether a transform is listed, as it is or without its format."""
        return transform in self._allowed or _without_format(transform) in self._allowed


def _without_format(transform: Transform) -> Transform:
    return Transform(transform.steps, replace(transform.output, format="auto"))


_FREE = nullcontext()


class Places:
    """Give each client so many places (0: any number); a request holds one until its answer is ready."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def one(self, client: str) -> AbstractContextManager[None]:
        """Hold a place; raise TooManyRequests when the client has all of its own."""
        return self._held(client) if self._each else _FREE

    @contextmanager
    def _held(self, client: str) -> Iterator[None]:
        with self._lock:
            if self._taken[client] >= self._each:
                raise TooManyRequests("This client has too many requests under way.", fix="Wait for their answers.")
            self._taken[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[client] -= 1
                if not self._taken[client]:
                    del self._taken[client]
