"""Small objects of an S3 bucket through obstore (Rust), at about half of boto3's CPU time.

obstore tries each request once. Whatever it can't do or prove goes to boto3, which does all the rest: its retries and
its errors are the only ones, so a caller can't tell which of the two did the work. Listings of a bucket are boto3's:
obstore does not tell a whole one from half of one (it looks neither at the root element nor at ``IsTruncated``). It
lists a folder where only something that is found leads to a conclusion, and never that something is missing.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from s3img.buckets.s3_options import AccessKey, addressing, is_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3img.buckets.obstore.store import SingleStore
    from s3img.buckets.protocol import ObjectInfo, RequestCounter
    from s3img.buckets.s3_options import S3Options

_Answer = TypeVar("_Answer")

LARGEST = 1 << 20
"""Bytes up to which an object is put through obstore, whose one time-out covers all of a request."""

GIVE_UP = 8
"""Requests in a row that obstore could not do, after which boto3 does everything."""

_PAUSE = 0.1
"""Seconds, at most, until boto3 repeats a request: a busy store gets a moment."""

_PROCESS = os.getpid()
"""obstore's threads don't survive a fork: in a child of the process that imported this, boto3 does everything."""

_ELSEWHERE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION")
"""Variables that leave it to botocore to find out what holds."""

_MISREAD = ("AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_", "AWS_CHECKSUM_ALGORITHM", "AWS_REQUEST_PAYER", "AWS_PROXY_")
"""Starts of variables that obstore obeys, boto3 does not, and no argument overrules."""


class StorePlace(msgspec.Struct, frozen=True):
    """A bucket's own URL (no final slash), the region to sign for, and a file of certificates to trust.

    ``key`` signs for ever; None leaves credentials to botocore, or there are none (``anonymous``).
    """

    url: str
    region: str
    ca_file: str = ""
    key: AccessKey | None = None


def is_usable(options: S3Options, environment: Mapping[str, str]) -> bool:
    """Tell whether obstore would do exactly what boto3 would.

    With one attempt it would not: boto3 repeats what obstore could not do.
    """
    is_misread = any(environment[name] for name in environment if name.startswith(_MISREAD))
    return options.use_obstore and options.attempts > 1 and not is_misread


def known_place(options: S3Options, bucket: str, environment: Mapping[str, str]) -> StorePlace | None:
    """Return the place if it follows from the settings and the environment alone, without AWS's own files."""
    is_elsewhere = options.profile or options.role_arn or any(environment.get(name) for name in _ELSEWHERE)
    config = os.path.expanduser(environment.get("AWS_CONFIG_FILE") or "~/.aws/config")  # noqa: PTH111 - see below
    if not options.endpoint_url or is_aws(options.endpoint_url) or is_elsewhere:
        return None
    # As botocore looks: a Path would fail without a home, and in one that belongs to somebody else.
    if os.path.exists(config):  # noqa: PTH110
        return None
    key_id, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    token = environment.get("AWS_SECURITY_TOKEN") or environment.get("AWS_SESSION_TOKEN") or ""
    key = options.access_key or (AccessKey(key_id, secret, token) if key_id and secret else None)
    if key is None and not options.anonymous:
        return None
    parts = urlsplit(options.endpoint_url.rstrip("/"))
    style = addressing(options.addressing_style, options.endpoint_url, bucket)
    if style == "virtual":
        url = urlunsplit(parts._replace(netloc=f"{bucket}.{parts.netloc}"))
    elif style == "path":
        url = urlunsplit(parts._replace(path=f"{parts.path}/{bucket}"))
    else:  # botocore decides
        return None
    region = options.region or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    return StorePlace(url, region, environment.get("AWS_CA_BUNDLE", ""), None if options.anonymous else key)


class SmallObjects:
    """Puts and gets of one bucket, each tried once; safe to share between threads.

    ``find_place`` asks botocore where it would go, and returns None where obstore can't follow; ``find_key`` asks it
    for the key to sign with now. Both are asked at the first request, and not where `known_place` is enough.
    """

    def __init__(
        self,
        options: S3Options,
        bucket: str,
        counter: RequestCounter,
        *,
        find_place: Callable[[], StorePlace | None],
        find_key: Callable[[], AccessKey],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._options = options
        self._bucket = bucket
        self._counter = counter
        self._find_place = find_place
        self._find_key = find_key
        self._known = known_place(options, bucket, environment)
        self._store: SingleStore | None = None
        self._opening = threading.Lock()
        self._failed = 0 if is_usable(options, environment) else GIVE_UP

    @property
    def has_credentials(self) -> bool:
        """Whether settings and environment alone say how to sign."""
        return self._known is not None

    def put(self, key: str, data: bytes, headers: Mapping[str, str]) -> bool:
        """Store an object; return False where boto3 has to do it."""
        named = {name: value for name, value in headers.items() if value}
        return len(data) <= LARGEST and bool(self._try("put", key, lambda store: store.put(key, data, named)))

    def get(self, key: str) -> bytes | None:
        """Read an object; return None where boto3 has to do it, also to find out what it is that is missing."""
        return self._try("get", key, lambda store: store.get(key))

    def list_few(self, prefix: str) -> list[ObjectInfo] | None:
        """List a folder of few objects, a slash at its end; return None where boto3 has to do it."""
        return self._try("list", prefix.rstrip("/"), lambda store: store.list_few(prefix))

    def _try(self, action: str, key: str, request: Callable[[SingleStore], _Answer]) -> _Answer | None:
        # obstore drops empty and relative segments of a key and slashes at its ends.
        is_plain = all(segment not in {"", ".", ".."} for segment in key.split("/")) and key.isprintable()
        if not is_plain or self._failed >= GIVE_UP or os.getpid() != _PROCESS:
            return None
        try:
            if store := self._open():
                self._counter.add(action)
            answer = request(store) if store else None
        except FileNotFoundError:  # an answer, too
            return None
        except Exception:  # boto3 asks again, and explains what is wrong
            self._failed += 1
            time.sleep(_PAUSE * os.urandom(1)[0] / 255)  # jitter; the module random takes 6 ms to load
            return None
        self._failed = 0 if store else GIVE_UP
        return answer

    def _open(self) -> SingleStore | None:
        from s3img.buckets.obstore.store import open_store  # a run that has nothing to send must not pay for it

        with self._opening:
            if self._store is None:
                place = self._known or self._find_place()
                if place is None:
                    return None
                key = place.key
                self._store = open_store(
                    place, self._options, self._bucket, self._find_key if key is None else lambda: key
                )
            return self._store
