"""The service's log: one JSON line for each request, without secrets and on one line, and warnings for its operator."""

from __future__ import annotations

import logging
import re
import time
from random import getrandbits
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.errors import BucketError
from s3img.signing import PARAMETER

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from s3img.service.service_request import Response

LOGGER: Final = logging.getLogger("s3img.service")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SIGNATURE: Final = re.compile(rf"(?i)((?:^|[?&])(?:{PARAMETER}|ik-s)=)[^&]*")
_LONGEST: Final = 500
_PAUSE: Final = 300.0
"""Seconds between two warnings of one kind."""


_KEYS: Final = (
    "Check the origin's access key and its secret (S3IMG_…, or the variables that its `credentials` name), and that "
    "they belong to this store; then start the service again, which reads them once."
)
_RENEW: Final = "Renew the service's session token or sign in again; a role on the machine renews its own."
_NETWORK: Final = "Check the store, and the network between it and the service; clients may try again."

OPERATOR_ADVICE: Final = {
    **dict.fromkeys(("unknown-key", "wrong-secret", "half-credentials", "credentials-malformed"), _KEYS),
    "no-credentials": "Give the service an access key (S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY) or a role.",
    "no-profile": "Correct `aws_profile`; the service's user needs the profile in its own home.",
    **dict.fromkeys(("expired-token", "credentials-broken"), _RENEW),
    "clock-skew": "Set the clock of the service's machine (NTP).",
    "store-busy": "Lower `service.fetches`, put a cache in front, or ask the store for more requests per second.",
    "store-failed": "Look at the store's own state; if it stays, check that endpoint_url is its S3 interface.",
    **dict.fromkeys(
        ("upload-stalled", "no-connection", "no-answer", "answer-too-slow", "connection-broken", "port-closed"),
        _NETWORK,
    ),
    **dict.fromkeys(
        ("bytes-changed", "not-stored"),
        "If it stays, look at the proxy between the service and the store: it changes bytes.",
    ),
    "store-full": 'Free space there, or set `service.results = "none"`.',
    **dict.fromkeys(
        ("key-refused", "key-too-long", "key-not-text"), "No object can have this key: a client made it up."
    ),
    "unexpected": "Please report it, with this line.",
}
"""What the service's operator can do, by reason, where the error's own advice is for somebody who runs a command."""


class RateLimitedLog:
    """Log the first warning of a kind, and those that follow only every five minutes."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def warn(self, kind: str, message: str, *arguments: object) -> None:
        """Log a warning unless one of its kind was logged a short while ago."""
        now = time.monotonic()
        if now - self._last.get(kind, -_PAUSE) >= _PAUSE:
            self._last[kind] = now
            LOGGER.warning(message, *arguments)


def request_id(given: str) -> str:
    """Return the id that a proxy gave the request, a new one where there is none or it is something else."""
    return given if given and _ID.fullmatch(given) else f"{getrandbits(64):016x}"


def log_request(environ: WSGIEnvironment, response: Response, *, identity: str, started: float) -> None:
    """Write a request's line; ``started`` by ``time.monotonic()``.

    The signature of an address opens it for whoever reads the log, so it is left out. JSON escapes line breaks, so
    that no client can write a line of its own.
    """
    if not LOGGER.isEnabledFor(logging.INFO):
        return
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".encode("latin-1", "replace")  # PEP 3333
    target = f"{path.decode('utf-8', 'replace')}?{environ.get('QUERY_STRING', '')}"
    line = {
        "request_id": identity,
        "method": environ["REQUEST_METHOD"][:16],
        "target": _SIGNATURE.sub(r"\1-", target).removesuffix("?")[:_LONGEST],
        "status": response.status,
        "error": response.headers.get("S3img-Error", "").partition(" ")[0],
        "bytes": int(response.headers.get("Content-Length", 0)),
        "seconds": round(time.monotonic() - started, 4),
    }
    filled = {name: value for name, value in line.items() if value != ""}
    LOGGER.info("%s", msgspec.json.encode(filled).decode())


def log_failure(error: Exception, *, status: int, identity: str) -> None:
    """Write why a request failed, where it was not the client's fault; a bug with its traceback."""
    if status == 500:
        LOGGER.error("request %s failed", identity, exc_info=error)
    elif status > 500:
        line = {"request_id": identity, "status": status, "failure": operator_text(error)}
        LOGGER.warning("%s", msgspec.json.encode(line).decode())


def operator_text(error: Exception) -> str:
    """Return what happened and what the service's operator can do, where the error's own advice is for a command."""
    advice = OPERATOR_ADVICE.get(error.reason) if isinstance(error, BucketError) else None
    return f"{error.message} {advice}" if advice and isinstance(error, BucketError) else str(error)
