"""Answers to what goes wrong: a stable code, a short text, and nothing of what is inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from s3img import errors
from s3img.service.caching import OutOfRange, wants_json
from s3img.service.service_request import PLAIN, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Final = "S3img-Error"
_OTHER: Final = re.compile(r"[^ -~]")
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class FailureKind:
    """Describe one kind of failure; without a ``message`` the error's own is shown, which speaks of the request."""

    status: int
    code: str
    message: str = ""


KINDS: Final[Mapping[type[Exception], FailureKind]] = {
    errors.TransformError: FailureKind(400, "EINVAL"),
    errors.TextError: FailureKind(400, "ETEXT"),
    errors.RequestError: FailureKind(400, "EREQUEST"),
    errors.SignatureExpired: FailureKind(410, "EEXPIRED"),
    errors.SignatureError: FailureKind(403, "ESIGNATURE"),
    errors.NotServed: FailureKind(404, "ENOENT"),
    errors.ObjectNotFound: FailureKind(404, "ENOENT", "No origin has this picture."),
    errors.AccessDenied: FailureKind(
        404, "EACCES", "An origin denies access to this key, which some do for missing ones."
    ),
    errors.MethodNotAllowed: FailureKind(405, "EMETHOD"),
    errors.RequestTooLarge: FailureKind(413, "ELIMIT"),
    errors.ImageTooLarge: FailureKind(413, "ELIMIT"),
    errors.UnsupportedImage: FailureKind(415, "EFORMAT", "The source is not an image of a kind that is rendered."),
    errors.RangeNotSatisfiable: FailureKind(416, "ERANGE", "The source has no such bytes."),
    OutOfRange: FailureKind(416, "ERANGE"),
    errors.DigestMismatch: FailureKind(422, "EHASH"),
    errors.ImageError: FailureKind(422, "EIMAGE", "The source is an image that is damaged or incomplete."),
    errors.TooManyRequests: FailureKind(429, "ERATE"),
    errors.ClientGone: FailureKind(499, "EGONE"),
    errors.Unreachable: FailureKind(504, "ETIMEDOUT", "The origin does not answer."),
    errors.CredentialsError: FailureKind(502, "EORIGIN", "The origin refuses the service's credentials."),
    errors.InvalidPrefix: FailureKind(400, "EREQUEST", "No key can begin with this prefix."),
    errors.StoreBusy: FailureKind(503, "EBUSY", "The origin has too much to do at this moment."),
    errors.BucketError: FailureKind(502, "EORIGIN", "The origin failed."),
    errors.Busy: FailureKind(503, "EBUSY", "The service has too much to do at this moment."),
    errors.DeadlineExceeded: FailureKind(
        504, "EDEADLINE", "The time for this request ended before its answer was ready."
    ),
}
"""Response to each kind of error, which stands for its subclasses as well unless they have their own."""

_INTERNAL: Final = FailureKind(500, "EINTERNAL", "The service failed.")


def kind_of(error: Exception) -> FailureKind:
    """Return the kind of an error, by the nearest of its classes."""
    return next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), _INTERNAL)


def respond(error: Exception, *, accept: str, request_id: str) -> Response:
    """Response with a short text, or JSON for a client that prefers it; nothing may keep it."""
    kind = kind_of(error)
    message = kind.message or _text(str(error))
    if wants_json(accept):
        facts = {"status": kind.status, "code": kind.code, "message": message, "request_id": request_id}
        response = Response.whole(msgspec.json.encode({"error": facts}), "application/json", status=kind.status)
    else:
        response = Response.whole(f"{kind.code}: {message}\n".encode(), PLAIN, status=kind.status)
    response.headers[HEADER] = f"{kind.code} - {message}"
    response.headers["Vary"] = "Accept"
    if isinstance(error, errors.MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, OutOfRange):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, errors.Busy | errors.StoreBusy | errors.TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _text(message: str) -> str:
    """Return one short line of ASCII: a message may repeat what the client sent."""
    return _OTHER.sub("?", message)[:_LONGEST]
