"""Check that the service may read each of its origins; it needs no other right there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from s3img.buckets import open_bucket
from s3img.buckets.origin_options import origin_options
from s3img.doctor import findings
from s3img.doctor.findings import fail, ok, skip
from s3img.errors import AccessDenied, BucketError, ConfigError, CredentialsError, ObjectNotFound

if TYPE_CHECKING:
    from s3img.buckets import Bucket
    from s3img.doctor.findings import Finding
    from s3img.doctor.probe_context import ProbeContext

_ABSENT = "s3img-doctor/no-such-object"


def read_origins(context: ProbeContext) -> Finding:
    """Read an object of every origin, or request a missing one; the first failure is the finding."""
    if not context.config.origins:
        return skip("origins", "no origins of a service are configured.")
    try:
        options = origin_options(context.config, context.environ)
    except ConfigError as error:
        return fail("origins", "settings-invalid", "; ".join(error.problems), "Correct these settings.")
    works = []
    for name, origin in context.config.origins.items():
        patient = dataclasses.replace(options[name], **context.patience) if name in options else None
        try:
            works.append(f"{name} ({_read(open_bucket(origin.bucket, patient))})")
        except BucketError as error:
            found = findings.finding("origins", error)
            return fail("origins", found.code, f"origin {name}: {found.message}", found.fix)
    return ok("origins", f"the service may read {', '.join(works)}.")


def _read(bucket: Bucket) -> str:
    """Return what could be read; raise BucketError where nothing can."""
    if not bucket.has_credentials():
        raise CredentialsError(f"No credentials for {bucket.name} were found.", reason="no-credentials")
    try:
        found = next((info for info in bucket.list() if info.size), None)
    except AccessDenied:
        # A service needs no right to list, so a missing object is requested.
        try:
            bucket.open(_ABSENT).close()
        except AccessDenied:  # AWS's answer for a missing object, too, where the bucket may not be listed
            return "missing objects look like forbidden ones: allow s3:ListBucket, so that the service can answer 404"
        except ObjectNotFound:
            pass
        return "objects can be read"
    if found is None:
        return "it is empty"
    with bucket.open(found.key, stop=1) as opened:
        opened.read()
    return "objects can be listed and read"
