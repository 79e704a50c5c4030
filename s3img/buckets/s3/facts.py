"""What ``doctor`` asks of an S3 bucket beside the protocol: where requests go, who signs them, what is honoured."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from s3img.errors import AccessDenied, BucketError, CredentialsError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef

    from s3img.buckets.s3.s3_bucket import S3Bucket

_SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/([^/]+)/")


@dataclass(frozen=True, slots=True)
class Connection:
    """Say how requests are made: the store's address without the bucket, the region that is signed, trusted roots.

    ``credentials`` is botocore's word for the link of its chain that answered (``env``, ``sso``, ``iam-role`` …),
    ``style`` tells where the bucket's name goes: ``path``, ``virtual``, or ``auto`` for botocore's own choice.
    """

    endpoint_url: str
    region: str
    style: str
    ca_file: str
    credentials: str
    profile: str


def connection(bucket: S3Bucket) -> Connection:
    """Describe the connection without asking the store; raise CredentialsError for a chain that is broken."""
    from s3img.buckets.s3.client import trusted_file

    with bucket.connection("connect") as (session, client):
        found = session.get_credentials()
        return Connection(
            endpoint_url=str(client.meta.endpoint_url),
            region=str(client.meta.region_name or ""),
            style=str((getattr(client.meta.config, "s3", None) or {}).get("addressing_style") or "auto"),
            ca_file=trusted_file(session),
            credentials=str(getattr(found, "method", "")) if found else "",
            profile=str(session.get_config_variable("profile") or ""),
        )


def regions_of(bucket: S3Bucket, name: str) -> tuple[str, str]:
    """Return the region that the store names for the bucket ``name``, and the one that requests end up in.

    Both botocore and `S3Bucket` follow a store that sends them elsewhere; what is unknown is empty.
    """
    signed = [""]

    def note(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's event
        found = _SIGNED_FOR.search(str(request.headers.get("Authorization", "")))
        signed.append(found[1] if found else "")

    named = ""
    with suppress(BucketError), _hooked(bucket, "head", "before-send.s3.HeadBucket", note) as client:
        headers = client.head_bucket(Bucket=name)["ResponseMetadata"].get("HTTPHeaders", {})
        named = str(headers.get("x-amz-bucket-region", ""))
    return named, signed[-1]


def is_bucket(bucket: S3Bucket, name: str, prefix: str) -> bool:
    """Tell whether a listing is that of the bucket ``name``, and not of all buckets; raise BucketError."""
    with bucket.connection("list") as (_, client):
        answer = client.list_objects_v2(Bucket=name, Prefix=prefix, MaxKeys=1)
    return bool(answer.get("Name") or answer.get("Contents"))


def may_upload(bucket: S3Bucket, name: str, key: str) -> bool:
    """Tell whether an upload in parts could begin, without making an object; raise BucketError where that is unknown.

    The right to give one up is asked first, of an upload that does not exist, so that none is left behind.
    """
    place: dict[str, Any] = {"Bucket": name, "Key": key}
    try:
        with _unknown_upload_is_fine(), bucket.connection("put", key) as (_, client):
            client.abort_multipart_upload(**place, UploadId="none")
        with bucket.connection("put", key) as (_, client):
            started = client.create_multipart_upload(**place)
            client.abort_multipart_upload(**place, UploadId=started["UploadId"])
    except AccessDenied:
        return False
    return True


@contextmanager
def _unknown_upload_is_fine() -> Iterator[None]:
    """Take the answer that there is no such upload for a permission to give one up."""
    try:
        yield
    except (CredentialsError, AccessDenied, Unreachable):
        raise
    except BucketError:
        return


def overwrites(bucket: S3Bucket, name: str, key: str, data: bytes) -> bool:
    """Put an object that exists under the condition that it does not; tell whether the store did it all the same."""
    try:
        with bucket.connection("put", key) as (_, client):
            client.put_object(Bucket=name, Key=key, Body=data, IfNoneMatch="*", ContentType="image/png")
    except BucketError as error:
        if error.code in {"PreconditionFailed", "412", "ConditionalRequestConflict"}:
            return False
        raise
    return True


def lists_as_host(bucket: S3Bucket, host: str) -> bool:
    """Tell whether a request is accepted when it is signed for ``host`` and not for the address it is sent to."""
    return _lists(bucket, "before-sign.s3.ListObjectsV2", "Host", host)


def lists_when_told(bucket: S3Bucket, host: str) -> bool:
    """Tell whether a request is accepted when ``X-Forwarded-Host`` says what the ``Host`` header was.

    SeaweedFS believes it, so this proves a proxy that replaced it by an unknown name; other stores don't look.
    """
    return _lists(bucket, "before-send.s3.ListObjectsV2", "X-Forwarded-Host", host)


def _lists(bucket: S3Bucket, event: str, name: str, value: str) -> bool:
    def set_header(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's event
        request.headers[name] = value

    with suppress(BucketError), _hooked(bucket, "list", event, set_header):
        next(iter(bucket.list()), None)
        return True
    return False


@contextmanager
def _hooked(bucket: S3Bucket, action: str, event: str, handler: Callable[..., None]) -> Iterator[S3Client]:
    """Lend the client while ``handler`` takes part in what it does."""
    with bucket.connection(action) as (_, client):
        client.meta.events.register(event, handler)
        try:
            yield client
        finally:
            client.meta.events.unregister(event, handler)


StoredCorsRule = dict[str, Any]
"""One rule in the words of the API: ``AllowedOrigins``, ``AllowedMethods``, ``AllowedHeaders`` …"""

_NONE = frozenset({"NoSuchCORSConfiguration", "NoSuchCORSConfigurationError"})


def read_rules(bucket: S3Bucket, name: str) -> list[StoredCorsRule]:
    """Return the rules of the bucket ``name``, none where it has none; raise BucketError."""
    try:
        with bucket.connection("cors") as (_, client):
            return [dict(rule) for rule in client.get_bucket_cors(Bucket=name).get("CORSRules", ())]
    except BucketError as error:
        if error.code in _NONE:
            return []
        raise


def write_rules(bucket: S3Bucket, name: str, rules: Sequence[StoredCorsRule]) -> None:
    """Replace the rules of the bucket ``name``; raise BucketError."""
    with bucket.connection("cors") as (_, client):
        client.put_bucket_cors(
            Bucket=name, CORSConfiguration={"CORSRules": cast("Sequence[CORSRuleTypeDef]", list(rules))}
        )
