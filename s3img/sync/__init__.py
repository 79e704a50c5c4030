"""Uploads: what has to be sent (`plan`, pure) and sending it (`run`, a bounded pool; failures are values).

Keys are expected to change with their content, so an object that is there with its planned size is not sent again.
"""

from __future__ import annotations

from s3img.sync.brake import SAME_FAILURES, Deadline
from s3img.sync.transfer import run, upload_one
from s3img.sync.uploads import HOME, MARKER, SyncPlan, SyncResult, Upload, home_of, plan

__all__ = [
    "HOME",
    "MARKER",
    "SAME_FAILURES",
    "Deadline",
    "SyncPlan",
    "SyncResult",
    "Upload",
    "home_of",
    "plan",
    "run",
    "upload_one",
]
