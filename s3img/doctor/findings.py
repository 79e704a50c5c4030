"""The results of an examination: one finding for each probe, in their order. Plain values, also in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from s3img.errors import AccessDenied, CredentialsError, Unreachable

if TYPE_CHECKING:
    from s3img.errors import S3ImgError

SETTINGS, PERMISSION, STORE = 3, 4, 5


class Code(NamedTuple):
    """The exit code that a code of a finding leads to, and whether it is only a warning."""

    exit_code: int
    is_warning: bool = False


_WARNING = Code(1, is_warning=True)

CODES: dict[str, Code] = {
    "settings-invalid": Code(SETTINGS),
    "endpoint-has-bucket": Code(SETTINGS),
    "no-credentials": Code(PERMISSION),
    "credentials-broken": Code(PERMISSION),
    "host-unknown": Code(STORE),
    "port-closed": Code(STORE),
    "no-answer": Code(STORE),
    "proxy-failed": Code(STORE),
    "needs-https": Code(SETTINGS),
    "not-tls": Code(SETTINGS),
    "tls-self-signed": Code(STORE),
    "tls-untrusted": Code(STORE),
    "tls-expired": Code(STORE),
    "tls-not-yet-valid": Code(STORE),
    "tls-wrong-host": Code(STORE),
    "tls-failed": Code(STORE),
    "clock-skew": Code(STORE),
    "clock-drift": _WARNING,
    "unknown-key": Code(PERMISSION),
    "wrong-secret": Code(PERMISSION),
    "host-rewritten": Code(STORE),
    "expired-token": Code(PERMISSION),
    "credentials-refused": Code(PERMISSION),
    "no-bucket": Code(SETTINGS),
    "bucket-name": Code(SETTINGS),
    "wrong-region": Code(SETTINGS),
    "wrong-addressing": Code(SETTINGS),
    "not-s3": Code(SETTINGS),
    "list-denied": Code(PERMISSION),
    "put-denied": Code(PERMISSION),
    "get-denied": Code(PERMISSION),
    "delete-denied": Code(PERMISSION),
    "unreachable": Code(STORE),
    "store-failed": Code(STORE),
    "bytes-changed": Code(STORE),
    "key-changed": Code(STORE),
    "type-changed": _WARNING,
    "cache-control-changed": _WARNING,
    "conditional-ignored": _WARNING,
    "conditional-refused": _WARNING,
    "public-private": Code(PERMISSION),
    "public-url-wrong": Code(SETTINGS),
    "public-not-found": Code(SETTINGS),
    "public-other-content": Code(SETTINGS),
    "public-redirect": Code(SETTINGS),
    "public-unreachable": Code(STORE),
    "public-encoding": Code(STORE),
    "public-changed": _WARNING,
    "public-type": _WARNING,
    "cors-missing": Code(SETTINGS),
    "cors-unanswered": Code(STORE),
    "left-behind": _WARNING,
    "encoder-missing": _WARNING,
    "cache-unwritable": _WARNING,
    "lock-unreadable": Code(SETTINGS),
    "lock-unwritable": _WARNING,
}

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
        if self.first is None:
            return 0
        return CODES[self.first.code].exit_code if self.first.status == "fail" else 1

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
    status: FindingStatus = "warn" if CODES[code].is_warning else "fail"
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
