"""Small objects, sent with botocore's signer, hooks and connections but past the rest of its client: half the CPU time.

The first put is botocore's own. What it sent when the store took the object is how all later ones look, and each of
these is tried once. What becomes of a try that the store does not accept is handed to botocore as the outcome of its
own first attempt: the number of attempts, the pauses between them and the errors are always botocore's.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SMALL = 1 << 20
"""Bytes that are sent before the store has said whether it wants them."""

_NAMES = {
    "ContentType": "Content-Type",
    "CacheControl": "Cache-Control",
    "ContentMD5": "Content-MD5",
    "ChecksumSHA256": "x-amz-checksum-sha256",
}
"""The parameters that a put may have, beside place, body and metadata, and their headers."""

_ANEW = frozenset(
    {"authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "content-length", "user-agent"}
    | {"expect", "amz-sdk-invocation-id", "amz-sdk-request"}
)
"""Headers that each request gets anew or that only large ones have, and two that only tell AWS about retries."""

_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/,\s]+/\d+/([^/,\s]+)/([^/,\s]+)/aws4_request,")


@dataclass(frozen=True, slots=True)
class Example:
    """Say what the puts into a bucket have in common: the URL up to the key, what they are signed for, and by whom."""

    base: str
    region: str
    service: str
    user_agent: str

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str], params: Mapping[str, Any]) -> Example | None:
        """Read a put that botocore sent; None if one that is built here from ``params`` would be another."""
        sent = {name.lower(): value for name, value in headers.items()}
        built = {name.lower(): value for name, value in _headers(params).items()}
        scope = _SCOPE.match(sent.get("authorization", ""))
        path = _path(params)
        if not scope or not url.endswith(f"/{path}") or built != {k: sent[k] for k in sent.keys() - _ANEW}:
            return None
        return cls(url.removesuffix(path), scope[1], scope[2], sent.get("user-agent", ""))


class Answer(Protocol):
    """What a store answered, as botocore keeps it."""

    @property
    def status_code(self) -> int:
        """HTTP's."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in any case."""

    @property
    def content(self) -> bytes:
        """All of the body."""


class _Turn(threading.local):
    """What a thread remembers from one step of a put to the next."""

    outcome: Answer | Exception | None = None
    sent: tuple[str, dict[str, str]] = "", {}


class SmallPuts:
    """Do what a client's ``put_object`` does, the short way for up to `SMALL` bytes; for any number of threads.

    ``send`` signs and sends one request, and returns the answer or what the connection raised; it takes an `Example`,
    the path behind its base, headers, the body and its SHA-256 (hex). What it raises itself kept it from sending.
    """

    def __init__(
        self,
        put_object: Callable[..., Mapping[str, object]],
        send: Callable[[Example, str, dict[str, str], bytes, str], Answer | Exception],
    ) -> None:
        self._put_object = put_object
        self._send = send
        self._example: Example | None = None
        self._is_new = True
        self._turn = _Turn()

    def put(self, params: Mapping[str, Any], sha256: str) -> Mapping[str, object]:
        """Put one object with parameters of ``put_object``; ``sha256`` (hex) is that of the body."""
        if self._example and len(params["Body"]) <= SMALL:
            outcome = self._tried(self._example, params, sha256)
            if outcome and not isinstance(outcome, Exception) and _is_stored(outcome):
                return outcome.headers
            self._turn.outcome = outcome
        try:
            answer = self._put_object(**params)
        finally:
            self._turn.outcome = None
        if self._is_new:
            self._example, self._is_new = Example.of(*self._turn.sent, params), False
        return answer

    def before_send(self, url: str, headers: Iterable[tuple[str, str | bytes]]) -> Answer | None:
        """Give a first attempt the outcome of the try that was made in its place; otherwise note what is sent."""
        outcome, self._turn.outcome = self._turn.outcome, None
        if isinstance(outcome, Exception):
            raise outcome
        if self._is_new:
            self._turn.sent = url, {name: _text(value) for name, value in headers}
        return outcome

    def _tried(self, example: Example, params: Mapping[str, Any], sha256: str) -> Answer | Exception | None:
        headers = {**_headers(params), "User-Agent": example.user_agent}
        try:
            return self._send(example, _path(params), headers, params["Body"], sha256)
        except Exception:  # credentials that can't be had, or a botocore with other insides: its own way remains
            return None


def _is_stored(answer: Answer) -> bool:
    """Tell whether an answer is a success beyond doubt: S3 may put an error into the body of a 200."""
    return answer.status_code == 200 and bool(answer.headers.get("ETag")) and not answer.content


def _headers(params: Mapping[str, Any]) -> dict[str, str]:
    """Name parameters as https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html does."""
    named = {header: params[name] for name, header in _NAMES.items() if name in params}
    return named | {f"x-amz-meta-{name}": value for name, value in params["Metadata"].items()}


def _path(params: Mapping[str, Any]) -> str:
    return quote(params["Key"], safe="/~")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
