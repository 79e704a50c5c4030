"""What an examination finds: one finding a probe, in the order of the probes; plain values, also in JSON."""

from __future__ import annotations

from typing import Literal

import msgspec

from s3img.doctor.codes import CODES

Status = Literal["ok", "warn", "fail", "skip"]
DOCUMENT = "docs/doctor.md"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Say what one probe found.

    ``code`` is a code of `CODES` where something is wrong, else the probe's own name; ``message`` tells what was found
    and why, ``fix`` what to do; ``link`` leads to the paragraph of the manual.
    """

    probe: str
    status: Status
    code: str
    message: str
    fix: str = ""
    link: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what was found about the set-up for ``target`` (the bucket's address; empty for none)."""

    schema: str = "s3img.doctor/1"
    target: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def first(self) -> Finding | None:
        """The cause to mend first: the first failure, else the first warning."""
        by_status = {finding.status: finding for finding in reversed(self.findings)}
        return by_status.get("fail") or by_status.get("warn")

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.first is None

    @property
    def exit_code(self) -> int:
        """0 when all is well, 1 for warnings, else by the first failure: 3 settings, 4 permission, 5 store."""
        if self.first is None:
            return 0
        return CODES[self.first.code].exit_code if self.first.status == "fail" else 1

    def __str__(self) -> str:
        counts = [f"{n} {word}" for word in ("ok", "warn", "fail", "skip") if (n := self._count(word))]
        return f"{self.target or 'No bucket'}: {', '.join(counts)}."

    def _count(self, status: str) -> int:
        return sum(finding.status == status for finding in self.findings)


def ok(probe: str, message: str) -> Finding:
    """Report a probe that found nothing wrong."""
    return Finding(probe=probe, status="ok", code=probe, message=message, link=f"{DOCUMENT}#{probe}")


def skip(probe: str, why: str) -> Finding:
    """Report a probe that would have said nothing."""
    return Finding(probe=probe, status="skip", code=probe, message=why, link=f"{DOCUMENT}#{probe}")


def fail(probe: str, code: str, message: str, fix: str) -> Finding:
    """Report what is wrong, as a warning where the code says so."""
    status: Status = "warn" if CODES[code].is_warning else "fail"
    return Finding(probe=probe, status=status, code=code, message=message, fix=fix, link=f"{DOCUMENT}#{code}")
