"""The only module that imports botocore and s3transfer, the two halves of boto3: options in, a client out.

boto3 itself would add 65 ms to the start of every run, and nothing that is used here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.session import Session

from s3img.buckets.s3_options import addressing

if TYPE_CHECKING:
    from typing import IO, Any

    from mypy_boto3_s3 import S3Client

    from s3img.buckets.content import CheckedReader
    from s3img.buckets.s3_options import S3Options

PART = 16 << 20
"""Bytes of a part of a large object."""


def open_session(options: S3Options) -> Session:
    """Find where credentials come from; nothing is sent."""
    session = Session(profile=options.profile or None)
    if options.region:
        session.set_config_variable("region", options.region)
    if key := options.access_key:
        session.set_credentials(key.key_id, key.secret, key.session_token or None)
    return _assuming(session, options) if options.role_arn else session


class _Role:
    """Give botocore the credentials of an assumed role, fetched at the first request and renewed before they end."""

    def __init__(self, session: Session, region: str, options: S3Options) -> None:
        self._session = session
        self._region = region
        self._options = options

    def load_credentials(self) -> DeferredRefreshableCredentials | None:
        """Return them, or None where nothing could assume the role (botocore's name for this step)."""
        source = self._session.get_credentials()
        if source is None:
            return None
        external = {"ExternalId": self._options.external_id} if self._options.external_id else {}
        fetcher = AssumeRoleCredentialFetcher(
            partial(self._session.create_client, region_name=self._region),
            source,
            self._options.role_arn,
            extra_args={"RoleSessionName": "s3img", **external},
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def _assuming(session: Session, options: S3Options) -> Session:
    region = session.get_config_variable("region")
    assumed = Session(profile=options.profile or None)
    assumed.set_config_variable("region", region)
    assumed.register_component("credential_provider", _Role(session, region or "us-east-1", options))
    return assumed


def open_client(session: Session, options: S3Options, bucket: str) -> S3Client:
    """Make a client that any number of threads may share; takes about 0.1 s of CPU time."""
    default = "us-east-1" if options.endpoint_url else None
    client = session.create_client(
        "s3",
        region_name=session.get_config_variable("region") or default,
        endpoint_url=options.endpoint_url or None,
        config=_config(options, bucket),
    )
    return cast("S3Client", client)


def _config(options: S3Options, bucket: str) -> Config:
    """Set what every store understands: bodies signed and sent plain, never as chunks with a trailing checksum."""
    return Config(
        signature_version=UNSIGNED if options.anonymous else "s3v4",
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        max_pool_connections=options.connections,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": options.attempts},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": addressing(options.addressing_style, options.endpoint_url, bucket),
            "payload_signing_enabled": True,
        },
    )


def send_in_parts(client: S3Client, content: CheckedReader, place: dict[str, str], headers: dict[str, Any]) -> None:
    """Send a large object part after part in the calling thread; an error of reading it ends the upload."""
    from s3transfer.futures import NonThreadedExecutor
    from s3transfer.manager import TransferConfig, TransferManager

    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    with TransferManager(client, config, executor_cls=NonThreadedExecutor) as manager:
        manager.upload(cast("IO[bytes]", content), place["Bucket"], place["Key"], extra_args=headers).result()
