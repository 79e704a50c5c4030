"""A bucket of any S3-compatible store, through boto3's botocore (imported at the first use: it takes 0.2 s)."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from s3img.buckets.bucket import IMMUTABLE, ObjectInfo, RequestCounter
from s3img.buckets.content import CheckedReader, unreadable
from s3img.buckets.s3_errors import Call, explain, from_answer
from s3img.buckets.s3_options import S3Options, is_aws
from s3img.errors import AccessDenied, BucketError, CredentialsError, ObjectNotFound, S3ImgError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.session import Session
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteTypeDef

    from s3img.address import S3Address

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

_SIGNED_BY = re.compile(r"Credential=([^/,\s]+)")


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
        self._key_id = ""

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

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with ``prefix``, a page of 1000 at a time."""
        with self._request("list", prefix):
            pages = self._connected().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._address.bucket, Prefix=self._base + prefix):
                for item in page.get("Contents", ()):
                    key = item["Key"].removeprefix(self._base)
                    yield ObjectInfo(key, item["Size"], item["ETag"].strip('"'), item["LastModified"])

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
        place: dict[str, Any] = {"Bucket": self._address.bucket, "Key": self._base + key}
        with CheckedReader(source, sha256) as content, self._request("put", key):
            client = self._connected()
            if _size(source) > _SINGLE:
                _botocore().send_in_parts(client, content, place, headers)
            else:
                data = content.read()
                answer = client.put_object(**place, Body=data, **headers, **_checksum(data, client))
                _require_etag(answer)

    def get(self, key: str) -> bytes:
        """Return the object's bytes."""
        with self._request("get", key):
            answer = self._connected().get_object(Bucket=self._address.bucket, Key=self._base + key)
            with answer["Body"] as body:
                return body.read()

    def head(self, key: str) -> ObjectInfo | None:
        """Describe the object; None without one, or without the bucket: an answer to HEAD can't tell which."""
        try:
            with self._request("head", key):
                found = self._connected().head_object(Bucket=self._address.bucket, Key=self._base + key)
        except ObjectNotFound:
            return None
        metadata = {name.lower(): value for name, value in found["Metadata"].items()}
        return ObjectInfo(key, found["ContentLength"], found["ETag"].strip('"'), found["LastModified"], metadata)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects by the thousand, or one by one where the store has no such request."""
        remaining = iter(keys)
        while batch := list(itertools.islice(remaining, _BATCH)):
            try:
                self._delete_batch(batch)
            except (CredentialsError, AccessDenied, Unreachable):
                raise
            except BucketError:
                self._delete_each(batch)

    def _delete_batch(self, keys: Iterable[str]) -> None:
        with self._request("delete"):
            names: DeleteTypeDef = {"Objects": [{"Key": self._base + key} for key in keys], "Quiet": True}
            answer = self._connected().delete_objects(Bucket=self._address.bucket, Delete=names)
        for error in answer.get("Errors", ()):
            key = error.get("Key", "").removeprefix(self._base)
            raise from_answer({"Error": error}, self._call("delete", key), key_id=self._key_id)

    def _delete_each(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._request("delete", key):
                self._connected().delete_object(Bucket=self._address.bucket, Key=self._base + key)

    @contextmanager
    def _request(self, action: str, key: str = "") -> Iterator[None]:
        """Turn whatever a request raises into a `BucketError`; the original, and what it may hold, is not shown."""
        try:
            yield
        except S3ImgError:
            raise
        except Exception as error:  # botocore, urllib3, http.client and OpenSSL share no base class
            raise explain(error, self._call(action, key), self._key_id) from None

    def _call(self, action: str, key: str) -> Call:
        return Call(action, self.name, self._options.endpoint_url, key)

    def _connected(self) -> S3Client:
        with self._lock:
            if self._client is None:
                self._client = _botocore().open_client(self._connected_session(), self._options, self._address.bucket)
                self._client.meta.events.register_first("before-send.s3", self._sent)
            return self._client

    def _connected_session(self) -> Session:
        with self._lock:
            if self._session is None:
                self._session = _botocore().open_session(self._options)
            return self._session

    def _sent(self, request: AWSPreparedRequest, event_name: str, **_: object) -> None:
        """Count each HTTP request, and learn which access key its errors must not repeat."""
        operation = event_name.rpartition(".")[2]
        self._counter.add(_OPERATIONS.get(operation, operation))
        signed_by = _SIGNED_BY.search(str(request.headers.get("Authorization", "")))
        self._key_id = signed_by[1] if signed_by else self._key_id


def _botocore() -> ModuleType:
    """Import botocore late: a run that has nothing to send must not pay for it."""
    from s3img.buckets import s3_client

    return s3_client


def _checksum(data: bytes, client: S3Client) -> dict[str, Any]:
    """Send one checksum beside the signed SHA-256, of the kind that is understood: R2 refuses two."""
    if is_aws(client.meta.endpoint_url):
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(data).digest()).decode()}
    return {"ContentMD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()}


class NoETagError(Exception):
    """A PUT was answered without an ETag; explained like botocore's own errors."""


def _require_etag(answer: Mapping[str, Any]) -> None:
    """Tell a store from a web server that answers 200 to anything: every store names the object's ETag."""
    if not answer.get("ETag"):
        raise NoETagError


def _size(source: Path | bytes) -> int:
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size
    except OSError as error:
        raise unreadable(str(source), error) from error
