"""What ``doctor`` asks of an S3 bucket beside the protocol: where requests go, who signs them, what is honoured."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s3img.errors import AccessDenied, BucketError, CredentialsError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from s3img.buckets.s3.s3_bucket import S3Bucket

_SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/([^/]+)/")


@dataclass(frozen=True, slots=True)
class Connection:
    """How requests are made: the store's address without the bucket, the region that is signed, trusted roots.

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

    with bucket.explained("connect"):
        session, client = bucket.session(), bucket.client()
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
    with suppress(BucketError), _hooked(bucket, "before-send.s3.HeadBucket", note):
        answer = bucket.send("head", "", lambda client: client.head_bucket(Bucket=name))
        named = str(answer["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region", ""))
    return named, signed[-1]


def may_upload(bucket: S3Bucket, name: str, key: str) -> bool:
    """Tell whether an upload in parts could begin, without making an object; raise BucketError where that is unknown.

    The right to give one up is asked first, of an upload that does not exist, so that none is left behind.
    """
    place: dict[str, Any] = {"Bucket": name, "Key": key}
    try:
        try:
            bucket.send("put", key, lambda client: client.abort_multipart_upload(**place, UploadId="none"))
        except (CredentialsError, AccessDenied, Unreachable):
            raise
        except BucketError:
            pass  # there is no such upload, and the store would have given one up
        started = bucket.send("put", key, lambda client: client.create_multipart_upload(**place))
        place["UploadId"] = started["UploadId"]
        bucket.send("put", key, lambda client: client.abort_multipart_upload(**place))
    except AccessDenied:
        return False
    return True


def overwrites(bucket: S3Bucket, name: str, key: str, data: bytes) -> bool:
    """Put an object that exists under the condition that it does not; tell whether the store did it all the same."""
    place: dict[str, Any] = {"Bucket": name, "Key": key, "Body": data, "ContentType": "image/png"}
    try:
        bucket.send("put", key, lambda client: client.put_object(**place, IfNoneMatch="*"))
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

    with suppress(BucketError), _hooked(bucket, event, set_header):
        next(iter(bucket.list()), None)
        return True
    return False


@contextmanager
def _hooked(bucket: S3Bucket, event: str, handler: Callable[..., None]) -> Iterator[None]:
    """Let ``handler`` take part in what the client does."""
    with bucket.explained("connect"):
        events = bucket.client().meta.events
    events.register(event, handler)
    try:
        yield
    finally:
        events.unregister(event, handler)


StoredCorsRule = dict[str, Any]
"""One rule as the API writes it: ``AllowedOrigins``, ``AllowedMethods``, ``AllowedHeaders`` …"""

_NONE = frozenset({"NoSuchCORSConfiguration", "NoSuchCORSConfigurationError"})


def read_rules(bucket: S3Bucket, name: str) -> list[StoredCorsRule]:
    """Return the rules of the bucket ``name``, none where it has none; raise BucketError."""
    try:
        answer = bucket.send("cors", "", lambda client: client.get_bucket_cors(Bucket=name))
    except BucketError as error:
        if error.code in _NONE:
            return []
        raise
    return [dict(rule) for rule in answer.get("CORSRules", ())]


def write_rules(bucket: S3Bucket, name: str, rules: Sequence[StoredCorsRule]) -> None:
    """Replace the rules of the bucket ``name``; raise BucketError."""
    wanted: Any = {"CORSRules": [*rules]}
    bucket.send("cors", "", lambda client: client.put_bucket_cors(Bucket=name, CORSConfiguration=wanted))
