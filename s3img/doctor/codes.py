"""The stable codes of everything that ``s3img doctor`` can find wrong, with the exit code of each kind."""

from __future__ import annotations

from typing import NamedTuple

SETTINGS, PERMISSION, STORE = 3, 4, 5


class Code(NamedTuple):
    """Say what kind of trouble a code is."""

    exit_code: int
    is_warning: bool = False


_WARNING = Code(1, is_warning=True)

CODES: dict[str, Code] = {
    "settings-invalid": Code(SETTINGS),
    "endpoint-has-bucket": Code(SETTINGS),
    "no-credentials": Code(PERMISSION),
    "credentials-broken": Code(PERMISSION),
    "host-unknown": Code(STORE),
    "port-closed": Code(STORE),
    "no-answer": Code(STORE),
    "proxy-failed": Code(STORE),
    "needs-https": Code(SETTINGS),
    "not-tls": Code(SETTINGS),
    "tls-self-signed": Code(STORE),
    "tls-untrusted": Code(STORE),
    "tls-expired": Code(STORE),
    "tls-not-yet-valid": Code(STORE),
    "tls-wrong-host": Code(STORE),
    "tls-failed": Code(STORE),
    "clock-skew": Code(STORE),
    "clock-drift": _WARNING,
    "unknown-key": Code(PERMISSION),
    "wrong-secret": Code(PERMISSION),
    "host-rewritten": Code(STORE),
    "expired-token": Code(PERMISSION),
    "credentials-refused": Code(PERMISSION),
    "no-bucket": Code(SETTINGS),
    "bucket-name": Code(SETTINGS),
    "wrong-region": Code(SETTINGS),
    "wrong-addressing": Code(SETTINGS),
    "not-s3": Code(SETTINGS),
    "list-denied": Code(PERMISSION),
    "put-denied": Code(PERMISSION),
    "get-denied": Code(PERMISSION),
    "delete-denied": Code(PERMISSION),
    "unreachable": Code(STORE),
    "store-failed": Code(STORE),
    "bytes-changed": Code(STORE),
    "key-changed": Code(STORE),
    "type-changed": _WARNING,
    "cache-control-changed": _WARNING,
    "conditional-ignored": _WARNING,
    "conditional-refused": _WARNING,
    "public-private": Code(PERMISSION),
    "public-url-wrong": Code(SETTINGS),
    "public-not-found": Code(SETTINGS),
    "public-other-content": Code(SETTINGS),
    "public-redirect": Code(SETTINGS),
    "public-unreachable": Code(STORE),
    "public-encoding": Code(STORE),
    "public-changed": _WARNING,
    "public-type": _WARNING,
    "cors-missing": Code(SETTINGS),
    "cors-unanswered": Code(STORE),
    "left-behind": _WARNING,
    "encoder-missing": _WARNING,
    "cache-unwritable": _WARNING,
    "lock-unreadable": Code(SETTINGS),
    "lock-unwritable": _WARNING,
}
