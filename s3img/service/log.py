"""One JSON line for each request: who asked is found by the request's id, no secret is written, no line is forged."""

from __future__ import annotations

import logging
import re
import time
from random import getrandbits
from typing import TYPE_CHECKING, Final

import msgspec

from s3img.signing import PARAMETER

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from s3img.service.answer import Answer

LOGGER: Final = logging.getLogger("s3img.service")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SIGNATURE: Final = re.compile(rf"(?i)((?:^|[?&]){PARAMETER}=)[^&]*")
_LONGEST: Final = 500


def request_id(given: str) -> str:
    """Return the id that a proxy gave the request, a new one where there is none or it is something else."""
    return given if given and _ID.fullmatch(given) else f"{getrandbits(64):016x}"


def log_request(environ: WSGIEnvironment, answer: Answer, *, identity: str, started: float) -> None:
    """Write a request's line; ``started`` by ``time.monotonic()``.

    The signature of an address opens it for whoever reads the log, so it is left out. JSON escapes line breaks.
    """
    if not LOGGER.isEnabledFor(logging.INFO):
        return
    target = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}?{environ.get('QUERY_STRING', '')}"
    line = {
        "request_id": identity,
        "method": environ["REQUEST_METHOD"][:16],
        "target": _SIGNATURE.sub(r"\1-", target).removesuffix("?")[:_LONGEST],
        "status": answer.status,
        "error": answer.headers.get("S3img-Error", "").partition(" ")[0],
        "bytes": int(answer.headers.get("Content-Length", 0)),
        "seconds": round(time.monotonic() - started, 4),
    }
    said = {name: value for name, value in line.items() if value != ""}
    LOGGER.info("%s", msgspec.json.encode(said).decode())


def log_failure(error: Exception, *, status: int, identity: str) -> None:
    """Write why a request failed, where it was not the client's fault; a bug with its traceback."""
    if status == 500:
        LOGGER.error("request %s failed", identity, exc_info=error)
    elif status > 500:
        LOGGER.warning("%s", msgspec.json.encode({"request_id": identity, "failure": str(error)}).decode())
