"""Find out whether a set-up works, and if not, why and how to fix it."""

from __future__ import annotations

from s3img.doctor.examine import examine, unusable
from s3img.doctor.findings import CODES, Finding, Report

__all__ = ["CODES", "Finding", "Report", "examine", "unusable"]
