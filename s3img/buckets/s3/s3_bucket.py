"""A bucket of any S3-compatible store, through boto3's botocore (imported at the first use: it takes 0.2 s)."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import logging
import re
import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from s3img.buckets.protocol import (
    IMMUTABLE,
    CheckedReader,
    ObjectInfo,
    OpenObject,
    RequestCounter,
    byte_range,
    reopened,
    unreadable,
)
from s3img.buckets.s3.explain import Call, explain, from_answer
from s3img.config import providers
from s3img.errors import AccessDenied, BucketError, CredentialsError, ObjectNotFound, S3ImgError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.session import Session
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteTypeDef, ListObjectsV2OutputTypeDef

    from s3img.buckets.s3.options import S3Options
    from s3img.buckets.s3.small_puts import Answer, SmallPuts
    from s3img.config.address import S3Address

_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class NoETagError(Exception):
    """An answer came without an ETag; explained like botocore's own errors."""


def require_etag(answer: Mapping[str, Any]) -> None:
    """Tell a store from a web server that answers 200 to anything: every store names the object's ETag."""
    if not answer.get("ETag"):
        raise NoETagError


def checksum(data: bytes, sha256: str, endpoint_url: str) -> dict[str, str]:
    """Send one checksum beside the signed SHA-256 (hex), of the kind that is understood: R2 refuses two."""
    if providers.of_endpoint(endpoint_url).checksum == "sha256":
        return {"ChecksumSHA256": base64.b64encode(bytes.fromhex(sha256)).decode()}
    return {"ContentMD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()}


def listed(item: Mapping[str, Any], base: str) -> ObjectInfo:
    """Describe an object of a listing; its key is relative to ``base``."""
    return ObjectInfo(item["Key"].removeprefix(base), item["Size"], item["ETag"].strip('"'), item["LastModified"])


def described(key: str, answer: Mapping[str, Any], size: int) -> ObjectInfo:
    """Describe an object by the headers of an answer to GET or HEAD."""
    require_etag(answer)
    return ObjectInfo(
        key,
        size,
        answer["ETag"].strip('"'),
        answer.get("LastModified", _UNKNOWN_TIME),
        {name.lower(): value for name, value in answer["Metadata"].items()},
        media_type=answer.get("ContentType", ""),
        cache_control=answer.get("CacheControl", ""),
    )


def received(key: str, answer: Mapping[str, Any]) -> tuple[ObjectInfo, int, int]:
    """Describe the object and the bytes of it that an answer brings, which are all where a store ignores ``Range``."""
    length = answer["ContentLength"]
    part = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
    start, size = (int(part[1]), int(part[2])) if part else (0, length)
    return described(key, answer, size), start, start + length


_SINGLE = 16 << 20
"""Bytes up to which an object is one PUT, held in memory; above, it is sent in parts, one after the other."""

_BATCH = 1000
"""Keys of one DeleteObjects request (the protocol's limit)."""

_OPERATIONS = {
    **dict.fromkeys(
        ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"), "put"
    ),
    **dict.fromkeys(("DeleteObject", "DeleteObjects"), "delete"),
    "ListObjectsV2": "list",
    "GetObject": "get",
    "HeadObject": "head",
}

_PASSING = frozenset({"store-busy", "store-failed"})
"""Reasons for which a request that failed once may be sent again later."""

_SIGNED_BY = re.compile(r"Credential=([^/,\s]+)")

_log = logging.getLogger("s3img.buckets")

_Answer = TypeVar("_Answer")


class S3Bucket:
    """Hold objects below the prefix of an ``s3://`` address; one client, made at the first use, serves all threads."""

    def __init__(self, address: S3Address, options: S3Options) -> None:
        self._address = address
        self._options = options
        self._base = f"{address.prefix}/" if address.prefix else ""
        self._counter = RequestCounter()
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._client: S3Client | None = None
        self._puts: SmallPuts  # made with the client
        self._secrets: tuple[str, ...] = ()
        self._is_moved = False
        self._deletes_many = providers.of_endpoint(options.endpoint_url).deletes_many

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return reopened, (type(self), self._address, self._options)

    @property
    def name(self) -> str:
        """The ``s3://`` address."""
        return str(self._address)

    @property
    def requests(self) -> Mapping[str, int]:
        """HTTP requests so far, retries and parts included."""
        return self._counter.totals()

    def has_credentials(self) -> bool:
        """Ask botocore's chain, which may ask the machine's own metadata address (169.254.169.254) but no other."""
        if self._options.anonymous or self._options.access_key:
            return True
        with self._request("connect"):
            return self._connected_session().get_credentials() is not None

    @contextmanager
    def connection(self, action: str, key: str = "") -> Iterator[tuple[Session, S3Client]]:
        """Lend what the protocol has no words for; what a request of ``action`` raises becomes a `BucketError`."""
        with self._request(action, key):
            yield self._connected_session(), self._connected()

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with ``prefix``, a page of 1000 at a time."""
        page = self._page(prefix, {})
        while True:
            for item in page.get("Contents", ()):
                yield listed(item, self._base)
            if not page.get("NextContinuationToken"):
                break
            page = self._page(prefix, {"ContinuationToken": page["NextContinuationToken"]})

    def _page(self, prefix: str, following: dict[str, Any]) -> ListObjectsV2OutputTypeDef:
        wanted = {**self._bucket, "Prefix": self._base + prefix, **following}
        return self._send("list", prefix, lambda client: client.list_objects_v2(**wanted))

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        media_type: str,
        cache_control: str = IMMUTABLE,
        metadata: Mapping[str, str] | None = None,
        sha256: str = "",
    ) -> None:
        """Send the object; the store shows it when all of it has arrived."""
        headers: dict[str, Any] = {"ContentType": media_type, "Metadata": dict(metadata or {})}
        headers |= {"CacheControl": cache_control} if cache_control else {}
        place = self._place_of(key)

        def send(client: S3Client) -> None:
            with CheckedReader(source, sha256) as content:
                if _size(source) > _SINGLE:
                    _botocore().send_in_parts(client, content, place, headers)
                else:
                    data = content.read()
                    digest = sha256 or hashlib.sha256(data).hexdigest()
                    sums: dict[str, Any] = checksum(data, digest, client.meta.endpoint_url)
                    require_etag(self._puts.put({**place, "Body": data, **headers, **sums}, digest))

        self._send("put", key, send)

    def get(self, key: str) -> bytes:
        """Return the object's bytes."""
        with self.open(key) as found:
            return found.read()

    def open(self, key: str, *, version: str = "", start: int = 0, stop: int | None = None) -> OpenObject:
        """Read the object while it arrives; without s3:ListBucket AWS denies access to a missing one (403, not 404)."""
        start, stop = byte_range((self.name, key), None, start, stop)
        wanted: dict[str, Any] = {"VersionId": version} if version else {}
        wanted |= {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop is not None else {}

        def ask(client: S3Client) -> OpenObject:
            with ExitStack() as stack:
                answer = client.get_object(**self._place_of(key), **wanted)
                stack.callback(answer["Body"].close)
                info, first, end = received(key, answer)
                stack.pop_all()
            number = answer.get("VersionId", version)
            return OpenObject(info, answer["Body"], guard, start=first, stop=end, version=number)

        guard = partial(self._request, "get", key)
        return self._send("get", key, ask)

    def head(self, key: str) -> ObjectInfo | None:
        """Describe the object; None without one, or without the bucket: an answer to HEAD can't tell which."""

        def ask(client: S3Client) -> ObjectInfo:
            found = client.head_object(**self._place_of(key))
            return described(key, found, found["ContentLength"])

        try:
            return self._send("head", key, ask)
        except ObjectNotFound:
            return None

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects by the thousand, or one by one where the store has no such request."""
        remaining = iter(keys)
        while batch := list(itertools.islice(remaining, _BATCH)):
            if not self._delete_batch(batch):
                for key in batch:
                    self._delete_one(key)

    def _delete_one(self, key: str) -> None:
        place = self._place_of(key)
        self._send("delete", key, lambda client: client.delete_object(**place))

    def _delete_batch(self, keys: Iterable[str]) -> bool:
        """Remove at most a thousand objects; return False where the store has to be asked for each."""
        if not self._deletes_many:
            return False
        names: DeleteTypeDef = {"Objects": [{"Key": self._base + key} for key in keys], "Quiet": True}
        try:
            answer = self._send("delete", "", lambda client: client.delete_objects(**self._bucket, Delete=names))
        except (CredentialsError, AccessDenied, Unreachable):
            raise
        except BucketError as error:
            self._deletes_many = error.reason in _PASSING
            return False
        for refused in answer.get("Errors", ()):
            key = refused.get("Key", "").removeprefix(self._base)
            raise from_answer({"Error": refused}, self._call("delete", key), secrets=self._secrets)
        return True

    @property
    def _bucket(self) -> dict[str, Any]:
        return {"Bucket": self._address.bucket}

    def _place_of(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._address.bucket, "Key": self._base + key}

    def _send(self, action: str, key: str, request: Callable[[S3Client], _Answer]) -> _Answer:
        """Do a request; where the store names the bucket's region and it is another one, go there once and stay."""
        with self._request(action, key):
            client = self._connected()
        try:
            with self._request(action, key):
                return request(client)
        except BucketError as error:
            if not self._is_elsewhere(client, error.region):
                raise
        with self._request(action, key):
            return request(self._connected())

    def _is_elsewhere(self, client: S3Client, region: str) -> bool:
        """Turn to another region of the same service; tell whether ``client`` is the one of a region that was left."""
        with self._lock:
            if client is self._client and region and not self._is_moved:
                url = self._options.endpoint_url
                self._options = dataclasses.replace(
                    self._options, region=region, endpoint_url=providers.of_endpoint(url).moved(url, region)
                )
                self._client = None
                self._is_moved = True
                _log.warning('%s is in region %s: set region = "%s" to save requests.', self.name, region, region)
            return client is not self._client

    @contextmanager
    def _request(self, action: str, key: str = "") -> Iterator[None]:
        """Turn whatever a request raises into a `BucketError`; the original, and what it may hold, is let go."""
        try:
            try:
                yield
            except S3ImgError:
                raise
            except Exception as error:  # botocore, urllib3, http.client and OpenSSL share no base class
                raise explain(error, self._call(action, key), self._secrets) from None
        except BucketError as error:
            error.__context__ = None  # `from None` only hides it
            raise

    def _call(self, action: str, key: str) -> Call:
        return Call(action, self.name, self._options.endpoint_url, key)

    def _connected(self) -> S3Client:
        with self._lock:
            if self._client is None:
                self._client = _botocore().open_client(self._connected_session(), self._options, self._address.bucket)
                sent: Any = self._sent  # the stubs forget that handlers may answer
                self._client.meta.events.register_first("before-send.s3", sent)
                self._puts = _botocore().open_small_puts(self._connected_session(), self._client)
            return self._client

    def _connected_session(self) -> Session:
        with self._lock:
            if self._session is None:
                self._session = _botocore().open_session(self._options)
            return self._session

    def _sent(self, request: AWSPreparedRequest, event_name: str, **_: object) -> Answer | None:
        """Count each HTTP request, and learn which access key and token its errors must not repeat."""
        if outcome := self._puts.before_send(request.url, request.headers.items()):
            return outcome  # of a request that was counted when it was sent
        if action := _OPERATIONS.get(event_name.rpartition(".")[2]):
            self._counter.add(action)
        sent = {name: request.headers.get(name, "") for name in ("Authorization", "X-Amz-Security-Token")}
        signature, token = (value.decode() if isinstance(value, bytes) else value for value in sent.values())
        if signed_by := _SIGNED_BY.search(signature):
            self._secrets = (signed_by[1], token)
        return None


def _botocore() -> ModuleType:
    """Import botocore late: a run that has nothing to send must not pay for it."""
    from s3img.buckets.s3 import client

    return client


def _size(source: Path | bytes) -> int:
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size
    except OSError as error:
        raise unreadable(str(source), error) from error
