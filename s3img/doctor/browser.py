"""Whether pages of the configured origins may put objects: the question that a browser asks first (CORS preflight)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.doctor.fetch import fetch, reason
from s3img.doctor.model import fail, ok, skip
from s3img.urls import object_url

if TYPE_CHECKING:
    from s3img.doctor.case import Case
    from s3img.doctor.fetch import Answer
    from s3img.doctor.model import Finding


def look(case: Case) -> Finding:
    """Send a preflight for each of ``upload_origins``."""
    origins = case.config.upload_origins
    if not origins or not case.is_s3:
        return skip("cors", "no browser uploads are configured (upload_origins).")
    url = object_url(case.bucket_url, case.full_key(case.sample.plain_key))
    for origin in origins:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type",
        }
        try:
            answer = fetch(url, ca_file=case.ca_file, method="OPTIONS", headers=asked, limit=4096, follow=False)
        except OSError as error:
            message = f"the store does not answer the question of a browser: {reason(error)}."
            return fail("cors", "cors-unanswered", message, "Look at the proxy before the store.")
        if not _allows(answer, origin):
            message = f"pages of {origin} may not put objects: the bucket's CORS rules don't allow it."
            return fail("cors", "cors-missing", message, "Run `s3img cors` to see the missing rule, then --apply it.")
    return ok("cors", f"pages of {', '.join(origins)} may put objects.")


def _allows(answer: Answer, origin: str) -> bool:
    methods = answer.headers.get("access-control-allow-methods", "").upper().replace(" ", "").split(",")
    names = answer.headers.get("access-control-allow-headers", "").lower()
    return (
        answer.status in {200, 204}
        and answer.headers.get("access-control-allow-origin") in {origin, "*"}
        and "PUT" in methods
        and ("content-type" in names or names.strip() == "*")
    )
