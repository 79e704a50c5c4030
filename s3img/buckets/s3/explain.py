"""What botocore raises, in our words: what happened, where, and what to do.

Classes are told apart by name, so that importing this module costs nothing; only the store's own ``Message`` is ever
quoted, without anything that looks like a key or a signature.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from s3img.buckets.s3 import causes
from s3img.buckets.s3.causes import of_client
from s3img.buckets.s3.response_checks import BrokenListingError
from s3img.errors import BucketError, ObjectNotFound, StoreBusy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_VERBS = {
    "put": "store",
    "get": "read",
    "head": "look up",
    "list": "list",
    "delete": "delete",
    "cors": "read or change the CORS rules",
}
PERMISSIONS = {
    "put": "s3:PutObject",
    "get": "s3:GetObject",
    "head": "s3:GetObject",
    "list": "s3:ListBucket",
    "delete": "s3:DeleteObject",
    "cors": "s3:GetBucketCORS and s3:PutBucketCORS",
}

# Compiled when they are used: most runs meet no error.
_SECRETS = (
    r"(?i)(?P<name>(?:X-Amz-(?:Credential|Signature|Security-Token)|AWSAccessKeyId|Credential|Signature)\s*[=:]\s*)"
    r"[^&,\s\"'<]+"
    r"|\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"
    r"|[0-9a-f]{64,}|\beyJ[\w-]+\.[\w.-]+"
)
_REGION = r"[a-z0-9][a-z0-9-]{0,62}"
_EXPECTED = r"expecting '([\w-]+)'"
_CODE = r"[\w.-]{1,64}"

_LONGEST_WAIT = 60
"""Seconds of a store's ``Retry-After`` that are passed on at most."""

_LONGEST = 400
"""Characters of a store's sentence that are quoted."""


class Call(NamedTuple):
    """One request: ``action`` of the protocol, the bucket's address and endpoint, the key or prefix below it.

    ``version`` is the one that was asked for, "" for the newest.
    """

    action: str
    bucket: str
    endpoint: str
    key: str = ""
    version: str = ""

    def __str__(self) -> str:
        what = f" {self.key!r}" if self.key else ""
        where = f" at {self.endpoint}" if self.endpoint else ""
        return f"{self.bucket}{where}: can't {_VERBS.get(self.action, self.action)}{what}"


def explain(error: Exception, call: Call, secrets: Iterable[str] = ()) -> BucketError:
    """Describe an exception of a request; ``secrets`` is what was sent with it and must not be quoted."""
    if operation := getattr(error, "operation_name", ""):
        return from_answer(getattr(error, "response", {}), call, operation=operation, secrets=secrets)
    names = [kind.__name__ for kind in type(error).__mro__]
    kwargs = getattr(error, "kwargs", {})
    inner = " ".join(f"{type(value).__name__} {value}" for value in (kwargs.get("error"), error) if value is not None)
    detail = str(error) if isinstance(error, BrokenListingError) else ""  # no other text is ours
    facts = {"profile": str(kwargs.get("profile", "")), "name": names[0], "detail": detail}
    return _failure(of_client(names, inner), call, code=names[0].removesuffix("Error"), facts=facts)


def scrub(text: str, *secrets: str) -> str:
    """Replace everything that looks like an access key, a token or a signature, and ``secrets`` in any spelling."""
    import html  # its table of entities takes 2 ms to load, and most runs have no failure

    for secret in filter(None, secrets):
        encoded = base64.b64encode(secret.encode(errors="replace")).decode()
        for form in (secret, quote(secret, safe=""), quote(secret), html.escape(secret), encoded, encoded.rstrip("=")):
            text = text.replace(form, "…")
    return re.sub(_SECRETS, lambda match: f"{match['name'] or ''}…", text)


def from_answer(
    response: Mapping[str, Any], call: Call, *, operation: str = "", secrets: Iterable[str] = ()
) -> BucketError:
    """Describe what the store answered; ``response`` as botocore parses it, often with an ``Error``."""
    refusal = response.get("Error", {})
    status = str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    code = scrub(str(refusal.get("Code") or status), *secrets)
    code = code if re.fullmatch(_CODE, code) else status
    said = scrub(str(refusal.get("Message") or ""), *secrets)[:_LONGEST].strip().rstrip(".")
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    expected = re.search(_EXPECTED, str(refusal.get("Message", "")))
    named = str(headers.get("x-amz-bucket-region") or refusal.get("Region") or (expected[1] if expected else ""))
    region = scrub(named if re.fullmatch(_REGION, named) else "", *secrets)
    is_role = operation.startswith("AssumeRole")
    cause = causes.ROLE if is_role else causes.of_store(code, status, said, is_elsewhere=bool(region))
    if cause in causes.OF_A_WRONG_NAME and call.version and status in {"400", "405", "501"}:
        cause = causes.NO_VERSION  # each store has its own answer to an id that no version can have
    elif cause is causes.REFUSED and status == "400" and causes.is_unusual(call.key):
        cause = causes.KEY
    facts = {
        "permission": PERMISSIONS.get(call.action, "s3"),
        "region": region or "the bucket's own",
        "said": said or "no reason",
    }
    error = _failure(cause, call, code=code, facts=facts, region=region if cause is causes.REGION else "")
    wait = str(headers.get("retry-after", ""))
    if isinstance(error, StoreBusy) and wait.isascii() and wait.isdecimal():  # a date is as good as no word
        error.retry_after = min(max(int(wait[:4]), 1), _LONGEST_WAIT)
    return error


def _failure(cause: causes.Cause, call: Call, *, code: str, facts: Mapping[str, str], region: str = "") -> BucketError:
    known = {"endpoint": call.endpoint or "AWS", "code": code, **facts}
    what, fix = (text.format_map(known) for text in (cause.what, cause.fix))
    action = "get" if call.action == "head" else call.action
    kind = ObjectNotFound if action == "get" and cause.reason in causes.KEY_REASONS else cause.kind
    return kind(
        f"{call}: {what} ({code}).",
        code=code,
        reason=cause.reason.format(action=action),
        action=call.action,
        bucket=call.bucket,
        key=call.key,
        region=region,
        fix=fix,
    )
