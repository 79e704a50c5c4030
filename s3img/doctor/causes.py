"""What an error means for an examination: its own code where that is one of `CODES`, else the nearest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.doctor.codes import CODES
from s3img.doctor.model import fail
from s3img.errors import AccessDenied, CredentialsError, Unreachable

if TYPE_CHECKING:
    from s3img.doctor.model import Finding
    from s3img.errors import S3ImgError

_NEAREST = {
    **dict.fromkeys(("half-credentials", "no-profile", "credentials-malformed"), "credentials-broken"),
    **dict.fromkeys(("endpoint-invalid", "endpoint-unusable", "no-region"), "settings-invalid"),
    **dict.fromkeys(("no-object", "not-offered"), "not-s3"),
    "no-connection": "no-answer",
}
_BY_KIND = ((AccessDenied, "get-denied"), (CredentialsError, "credentials-refused"), (Unreachable, "unreachable"))


def code_of(error: S3ImgError) -> str:
    """Name an error with a code of `CODES`."""
    code = _NEAREST.get(error.reason, error.reason)
    if code in CODES:
        return code
    return next((name for kind, name in _BY_KIND if isinstance(error, kind)), "store-failed")


def finding(probe: str, error: S3ImgError) -> Finding:
    """Report an error in its own words."""
    return fail(probe, code_of(error), error.message, error.fix or "See the message.")
