"""What botocore raises, in our words: what happened, where, and what to do.

Classes are told apart by name, so that importing this module costs nothing; only the store's own ``Message`` is ever
quoted, without anything that looks like a key or a signature.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from s3img.buckets import s3_causes as causes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from s3img.errors import BucketError

_VERBS = {"put": "store", "get": "read", "head": "look up", "list": "list", "delete": "delete"}
_PERMISSIONS = {
    "put": "s3:PutObject",
    "get": "s3:GetObject",
    "head": "s3:GetObject",
    "list": "s3:ListBucket",
    "delete": "s3:DeleteObject",
}

_SECRETS = re.compile(
    r"(?P<name>(?:X-Amz-(?:Credential|Signature|Security-Token)|AWSAccessKeyId|Credential|Signature)\s*[=:]\s*)[^&,\s\"'<]+"
    r"|\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b",
    re.IGNORECASE,
)


_CODE = re.compile(r"[\w.-]{1,64}")


class Call(NamedTuple):
    """One request: ``action`` of the protocol, the bucket's address and endpoint, the key or prefix below it."""

    action: str
    bucket: str
    endpoint: str
    key: str = ""

    def __str__(self) -> str:
        what = f" {self.key!r}" if self.key else ""
        where = f" at {self.endpoint}" if self.endpoint else ""
        return f"{self.bucket}{where}: can't {_VERBS.get(self.action, self.action)}{what}"


def explain(error: Exception, call: Call, key_id: str = "") -> BucketError:
    """Describe an exception of a request; ``key_id`` is the access key that must not be quoted."""
    if operation := getattr(error, "operation_name", ""):
        return from_answer(getattr(error, "response", {}), call, operation=operation, key_id=key_id)
    return _from_client(error, call)


def scrub(text: str, key_id: str = "") -> str:
    """Replace everything that looks like an access key, a token or a signature."""
    known = text.replace(key_id, "…") if key_id else text
    return _SECRETS.sub(lambda match: f"{match['name'] or ''}…", known)


def from_answer(response: Mapping[str, Any], call: Call, *, operation: str = "", key_id: str = "") -> BucketError:
    """Describe what the store answered; ``response`` as botocore parses it, often with an ``Error``."""
    refusal = response.get("Error", {})
    status = str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    code = str(refusal.get("Code") or status)
    code = code if _CODE.fullmatch(code) else status
    said = scrub(str(refusal.get("Message") or ""), key_id).strip().rstrip(".")
    cause = causes.ROLE if operation == "AssumeRole" else causes.of_store(code, status)
    facts = {
        "permission": _PERMISSIONS.get(call.action, "s3"),
        "region": _region(response, refusal),
        "said": said or "no reason",
    }
    return _failure(cause, call, code=code, facts=facts)


def _from_client(error: Exception, call: Call) -> BucketError:
    names = [kind.__name__ for kind in type(error).__mro__]
    kwargs = getattr(error, "kwargs", {})
    inner = " ".join(f"{type(value).__name__} {value}" for value in (kwargs.get("error"), error) if value is not None)
    cause = causes.of_client(names, inner)
    facts = {"profile": str(kwargs.get("profile", "")), "name": names[0]}
    return _failure(cause, call, code=causes.code_of(names[0]), facts=facts)


def _failure(cause: causes.Cause, call: Call, *, code: str, facts: Mapping[str, str]) -> BucketError:
    what, fix = (text.format_map({"endpoint": call.endpoint or "AWS", "code": code, **facts}) for text in cause[1:])
    message = f"{call}: {what} ({code})."
    return cause.kind(message, code=code, action=call.action, bucket=call.bucket, key=call.key, fix=fix)


def _region(response: Mapping[str, Any], refusal: Mapping[str, Any]) -> str:
    """Find the region that a store asks for: a header, a field of the error, or its sentence."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    expected = re.search(r"expecting '([\w-]+)'", str(refusal.get("Message", "")))
    return str(headers.get("x-amz-bucket-region") or refusal.get("Region") or (expected or [0, "the bucket's own"])[1])
