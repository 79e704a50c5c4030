"""CORS rules for uploads from browsers, as S3's API writes them, merged into those that a bucket has. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from s3img.doctor.fetch import fetch, reason
from s3img.doctor.findings import fail, ok, skip
from s3img.doctor.probe_context import ProbeContext
from s3img.errors import S3ImgError
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from s3img.config import Config
    from s3img.doctor.fetch import FetchedPage
    from s3img.doctor.findings import Finding

CorsRule = dict[str, Any]

ID = "s3img"

METHODS = ("GET", "HEAD", "PUT", "POST")

HEADERS = ("content-type", "content-md5", "cache-control", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-s3img")
"""By name, because not every store accepts ``*`` (R2 once refused it)."""


def rule_for(origins: Iterable[str]) -> CorsRule:
    """Return the rule that lets pages of ``origins`` put pictures and read the answers."""
    return {
        "ID": ID,
        "AllowedOrigins": list(origins),
        "AllowedMethods": list(METHODS),
        "AllowedHeaders": list(HEADERS),
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    }


def merged(rules: Sequence[CorsRule], origins: Sequence[str]) -> list[CorsRule]:
    """Add what is missing for ``origins``, to the rule with our ID or as a new one; all other rules stay."""
    missing = [origin for origin in origins if not any(covers(rule, origin) for rule in rules)]
    if not missing:
        return list(rules)
    wanted = rule_for(missing)
    if not any(rule.get("ID") == ID for rule in rules):
        return [*rules, wanted]
    lists = ("AllowedOrigins", "AllowedMethods", "AllowedHeaders", "ExposeHeaders")
    found = []
    for rule in rules:
        # dict.fromkeys joins two lists without repetition and keeps their order: stores show rules as they were sent.
        joined = {name: list(dict.fromkeys([*rule.get(name, ()), *wanted[name]])) for name in lists}
        found.append({**wanted, **rule, **joined} if rule.get("ID") == ID else rule)
    return found


def as_json(rules: Sequence[CorsRule]) -> str:
    """Return the document that consoles and ``aws s3api put-bucket-cors`` take."""
    return json.dumps({"CORSRules": list(rules)}, indent=2)


def covers(rule: CorsRule, origin: str) -> bool:
    """Tell whether one rule allows all that uploads from an origin need; ``*`` stands for any characters."""
    names = [str(name).lower() for name in rule.get("AllowedHeaders", ())]
    return (
        _fits(origin, rule.get("AllowedOrigins", ()))
        and set(METHODS) <= set(rule.get("AllowedMethods", ()))
        and all(_fits(name, names) for name in HEADERS)
    )


def _fits(text: str, patterns: Iterable[str]) -> bool:
    return any(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) for pattern in patterns)


def check_cors(context: ProbeContext) -> Finding:
    """Send a preflight for each of ``upload_origins``."""
    origins = context.config.upload_origins
    if not origins or not context.is_s3:
        return skip("cors", "no browser uploads are configured (upload_origins).")
    for origin in origins:
        try:
            answer = preflight(context, origin, "PUT")
        except OSError as error:
            message = f"the store does not answer a preflight request: {reason(error)}."
            return fail("cors", "cors-unanswered", message, "Check the proxy in front of the store.")
        if not allows_upload(answer, origin):
            message = f"pages of {origin} may not put objects: the bucket's CORS rules don't allow it."
            return fail("cors", "cors-missing", message, "Run `s3img cors` to see the missing rule, then --apply it.")
    return ok("cors", f"pages of {', '.join(origins)} may put objects.")


def takes_files_from(config: Config, origin: str, method: str) -> bool:
    """Tell whether the bucket lets pages of an origin send it files (POST or PUT); False where it can't say."""
    context = ProbeContext(config)
    try:
        return context.is_s3 and allows_upload(preflight(context, origin, method), origin, method)
    except (OSError, S3ImgError):
        return False
    finally:
        context.close()


def preflight(context: ProbeContext, origin: str, method: str) -> FetchedPage:
    """Ask the store as a browser does before a page of ``origin`` sends it an object; raise OSError."""
    url = object_url(context.bucket_url, context.full_key(context.sample.plain_key) if method == "PUT" else "")
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type",
    }
    return fetch(url, ca_file=context.ca_file, method="OPTIONS", headers=headers, limit=4096, follow=False)


def allows_upload(answer: FetchedPage, origin: str, method: str = "PUT") -> bool:
    """Tell whether browsers take the answer to a preflight as permission (Fetch standard, CORS-preflight fetch)."""
    methods = answer.headers.get("access-control-allow-methods", "").upper().replace(" ", "").split(",")
    names = answer.headers.get("access-control-allow-headers", "").lower()
    return (
        answer.status in {200, 204}
        and answer.headers.get("access-control-allow-origin") in {origin, "*"}
        and method in methods
        and ("content-type" in names or names.strip() == "*")
    )
