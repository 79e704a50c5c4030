"""Who may ask for what: signed addresses for anything, others for what the access in force allows, and how often."""

from __future__ import annotations

import re
import threading
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from msgspec.structs import replace

from s3img.errors import SignatureError, TooManyRequests
from s3img.pictures.result_names import is_private
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from s3img.config import Config
    from s3img.service.engine.jobs import SourceFacts
    from s3img.service.request_parsing import ParsedRequest
    from s3img.service.request_reader import Route

_FIX: Final = "Ask the owner of the pictures for a signed address."
_UNCOUNTED: Final = nullcontext()
"""Shared by all requests where clients have no bound: a generator for each would be a thirtieth of a 304's time."""
_NAMED: Final = re.compile(r"n-([^,:]+)")


@dataclass(frozen=True, slots=True)
class Grant:
    """Why a request may be served: by a signature, which ends at ``expires`` (0: never), or by a preset's name."""

    signed: bool = False
    named: bool = False
    expires: int = 0

    def check_source(self, facts: SourceFacts) -> None:
        """Raise SignatureError for a source that its metadata keeps private."""
        if is_private(facts) and not (self.signed or self.named):
            raise SignatureError("The picture is private.", fix=_FIX)


class AccessPolicy:
    """Decide what each ``access`` lets through without a signature."""

    def __init__(self, config: Config) -> None:
        presets, limits = config.presets, config.limits
        self._presets = presets
        allowed = (Transform.parse(text, presets=presets, limits=limits) for text in config.allowed)
        self._allowed = {transform.with_fonts(config.fonts) for transform in allowed}

    def grant(self, parsed: ParsedRequest, transform: Transform | None, route: Route) -> Grant:
        """Return the reason to serve a request without a signature; raise SignatureError where there is none."""
        if route.access == "signed":
            raise SignatureError("The address is not signed.", fix=_FIX)
        preset = _NAMED.fullmatch(unquote(parsed.steps or ""))
        grant = Grant(named=preset is not None and preset[1] in self._presets)
        if route.access == "open":
            return grant
        if parsed.kind == "info" or parsed.version:
            raise SignatureError("Without a signature, neither info nor a version may be asked for.", fix=_FIX)
        if transform is None or grant.named or (route.access == "sizes" and self._is_listed(transform)):
            return grant
        what = "a preset alone (n-NAME)" if route.access == "named" else "a preset alone (n-NAME) or a listed transform"
        raise SignatureError(f"Without a signature, {what} may be asked for.", fix=_FIX)

    def _is_listed(self, transform: Transform) -> bool:
        """Tell whether a transform is in ``allowed``, as it is or without its format."""
        plain = Transform(transform.steps, replace(transform.output, format="auto"))
        return transform in self._allowed or plain in self._allowed


class ClientLimiter:
    """Let each client have so many requests under way (0: any number)."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, client: str) -> AbstractContextManager[None]:
        """Count a request until its answer is ready; raise TooManyRequests when the client has all of its own."""
        return self._count_one(client) if self._each else _UNCOUNTED

    @contextmanager
    def _count_one(self, client: str) -> Iterator[None]:
        with self._lock:
            if self._counts[client] >= self._each:
                raise TooManyRequests("This client has too many requests under way.", fix="Wait for their answers.")
            self._counts[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._counts[client] -= 1
                if not self._counts[client]:  # else each address that ever asked would stay in memory
                    del self._counts[client]
