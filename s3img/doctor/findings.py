"""The results of an examination: one finding for each probe, in their order. Plain values, also in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from s3img.errors import AccessDenied, CredentialsError, Unreachable

if TYPE_CHECKING:
    from s3img.errors import S3ImgError

WARNING, SETTINGS, PERMISSION, STORE = 1, 3, 4, 5

_BY_EXIT_CODE = {
    SETTINGS: """
        settings-invalid endpoint-has-bucket needs-https not-tls no-bucket bucket-name wrong-region wrong-addressing
        not-s3 public-url-wrong public-not-found public-other-content public-redirect cors-missing lock-unreadable
    """,
    PERMISSION: """
        no-credentials credentials-broken unknown-key wrong-secret expired-token credentials-refused
        list-denied put-denied get-denied delete-denied public-private
    """,
    STORE: """
        host-unknown port-closed no-answer proxy-failed tls-self-signed tls-untrusted tls-expired tls-not-yet-valid
        tls-wrong-host tls-failed clock-skew host-rewritten unreachable store-failed bytes-changed key-changed
        public-unreachable public-encoding cors-unanswered
    """,
    WARNING: """
        clock-drift type-changed cache-control-changed conditional-ignored conditional-refused public-changed
        public-type left-behind encoder-missing cache-unwritable lock-unwritable
    """,
}

CODES = {code: exit_code for exit_code, codes in _BY_EXIT_CODE.items() for code in codes.split()}
"""The exit code that each code of a finding leads to; 1 is that of a warning."""

FindingStatus = Literal["ok", "warn", "fail", "skip"]

DOCUMENT = "docs/doctor.md"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one probe.

    ``code`` is one of `CODES` where something is wrong, else the probe's name; ``message`` says what was found and why,
    ``fix`` what to do, and ``link`` leads to the paragraph of the manual.
    """

    probe: str
    status: FindingStatus
    code: str
    message: str
    fix: str = ""
    link: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The findings on the set-up for ``target``, the bucket's address ("" for none)."""

    schema: str = "s3img.doctor/1"
    target: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def first(self) -> Finding | None:
        """Return the cause to fix first: the first failure, else the first warning."""
        by_status = {finding.status: finding for finding in reversed(self.findings)}
        return by_status.get("fail") or by_status.get("warn")

    @property
    def ok(self) -> bool:
        """Tell whether nothing is wrong."""
        return self.first is None

    @property
    def exit_code(self) -> int:
        """Return 0 when all is well, 1 for warnings, else by the first failure: 3 settings, 4 permission, 5 store."""
        return CODES[self.first.code] if self.first else 0

    def __str__(self) -> str:
        found = [finding.status for finding in self.findings]
        counts = [f"{found.count(status)} {status}" for status in ("ok", "warn", "fail", "skip") if status in found]
        return f"{self.target or 'No bucket'}: {', '.join(counts)}."


def ok(probe: str, message: str) -> Finding:
    """Return the finding of a probe that found nothing wrong."""
    return Finding(probe=probe, status="ok", code=probe, message=message, link=f"{DOCUMENT}#{probe}")


def skip(probe: str, why: str) -> Finding:
    """Return the finding of a probe that was not run, and why."""
    return Finding(probe=probe, status="skip", code=probe, message=why, link=f"{DOCUMENT}#{probe}")


def fail(probe: str, code: str, message: str, fix: str) -> Finding:
    """Return the finding of something wrong; the code decides whether it is a warning."""
    status: FindingStatus = "warn" if CODES[code] == WARNING else "fail"
    return Finding(probe=probe, status=status, code=code, message=message, fix=fix, link=f"{DOCUMENT}#{code}")


_NEAREST = {
    "listing-broken": "not-s3",
    "answer-too-slow": "no-answer",
    "not-stored": "bytes-changed",
    **dict.fromkeys(("half-credentials", "no-profile", "credentials-malformed"), "credentials-broken"),
    **dict.fromkeys(("endpoint-invalid", "endpoint-unusable", "no-region"), "settings-invalid"),
    **dict.fromkeys(("no-object", "not-offered"), "not-s3"),
    "no-connection": "no-answer",
}

_BY_KIND = ((AccessDenied, "get-denied"), (CredentialsError, "credentials-refused"), (Unreachable, "unreachable"))


def code_of(error: S3ImgError) -> str:
    """Return the code of `CODES` that comes nearest to an error."""
    code = _NEAREST.get(error.reason, error.reason)
    if code in CODES:
        return code
    return next((name for kind, name in _BY_KIND if isinstance(error, kind)), "store-failed")


def finding(probe: str, error: S3ImgError) -> Finding:
    """Return an error as a finding, with its own message."""
    return fail(probe, code_of(error), error.message, error.fix or "See the message.")
