"""CORS rules for browser uploads, merged into what a bucket has; pure. Rules are in the words of S3's API."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Rule = dict[str, Any]

ID = "s3img"
METHODS = ("GET", "HEAD", "PUT", "POST")
HEADERS = ("content-type", "content-md5", "cache-control", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-s3img")
"""By name, because not every store accepts ``*`` (R2 once refused it)."""


def rule_for(origins: Iterable[str]) -> Rule:
    """Return the rule that lets pages of ``origins`` put pictures, and read what became of them."""
    return {
        "ID": ID,
        "AllowedOrigins": list(origins),
        "AllowedMethods": list(METHODS),
        "AllowedHeaders": list(HEADERS),
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    }


def merged(rules: Sequence[Rule], origins: Sequence[str]) -> list[Rule]:
    """Add what is missing for ``origins``: into the rule of ours, else as one rule at the end; all others stay."""
    missing = [origin for origin in origins if not any(_covers(rule, origin) for rule in rules)]
    if not missing:
        return list(rules)
    wanted = rule_for(missing)
    if not any(rule.get("ID") == ID for rule in rules):
        return [*rules, wanted]
    return [_union(rule, wanted) if rule.get("ID") == ID else rule for rule in rules]


def as_json(rules: Sequence[Rule]) -> str:
    """Return the document that consoles and ``aws s3api put-bucket-cors`` take."""
    return json.dumps({"CORSRules": list(rules)}, indent=2)


def _covers(rule: Rule, origin: str) -> bool:
    allowed = [str(name).lower() for name in rule.get("AllowedHeaders", ())]
    return (
        any(fnmatchcase(origin, pattern) for pattern in rule.get("AllowedOrigins", ()))
        and set(METHODS) <= set(rule.get("AllowedMethods", ()))
        and all(any(fnmatchcase(name, pattern) for pattern in allowed) for name in HEADERS)
    )


def _union(rule: Rule, wanted: Rule) -> Rule:
    lists = ("AllowedOrigins", "AllowedMethods", "AllowedHeaders", "ExposeHeaders")
    joined = {name: list(dict.fromkeys([*rule.get(name, ()), *wanted[name]])) for name in lists}
    return {**wanted, **rule, **joined}
