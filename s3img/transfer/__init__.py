"""Uploads: what has to be sent (`plan_uploads`, pure), sending it (`run_uploads`), and all that a front end needs.

Failures are values. Keys are expected to change with their content, so an object that is there with its planned size is
not sent again. `s3img.transfer.delivery.Delivery` is the whole way of objects into a bucket.
"""

from __future__ import annotations

from s3img.transfer.plan import Upload, UploadPlan, UploadResult, plan_uploads
from s3img.transfer.run import SAME_FAILURES, Deadline, run_uploads, upload_one

__all__ = [
    "SAME_FAILURES",
    "Deadline",
    "Upload",
    "UploadPlan",
    "UploadResult",
    "plan_uploads",
    "run_uploads",
    "upload_one",
]
