"""The only module that imports boto3: options in, a client out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

from s3img.buckets.s3_options import addressing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from s3img.buckets.s3_options import S3Options


def open_session(options: S3Options) -> boto3.Session:
    """Find where credentials come from; nothing is sent."""
    key = options.access_key
    session = boto3.Session(
        aws_access_key_id=key.key_id if key else None,
        aws_secret_access_key=key.secret if key else None,
        aws_session_token=(key.session_token or None) if key else None,
        profile_name=options.profile or None,
        region_name=options.region or None,
    )
    return _assume(session, options) if options.role_arn else session


class _Role:
    """Give botocore the credentials of an assumed role, fetched at the first request and renewed before they end."""

    def __init__(self, session: boto3.Session, options: S3Options) -> None:
        self._session = session
        self._options = options

    def load_credentials(self) -> DeferredRefreshableCredentials | None:
        """Return them, or None where nothing could assume the role (botocore's name for this step)."""
        source = self._session.get_credentials()
        if source is None:
            return None
        external = {"ExternalId": self._options.external_id} if self._options.external_id else {}
        fetcher = AssumeRoleCredentialFetcher(
            partial(self._session.client, region_name=self._session.region_name or "us-east-1"),
            source,
            self._options.role_arn,
            extra_args={"RoleSessionName": "s3img", **external},
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def _assume(session: boto3.Session, options: S3Options) -> boto3.Session:
    assumed = botocore.session.Session(profile=options.profile or None)
    assumed.register_component("credential_provider", _Role(session, options))
    return boto3.Session(botocore_session=assumed, region_name=session.region_name)


def open_client(session: boto3.Session, options: S3Options, bucket: str) -> S3Client:
    """Make a client that any number of threads may share; takes about 0.3 s of CPU time."""
    default = "us-east-1" if options.endpoint_url else None
    return session.client(
        "s3",
        region_name=options.region or session.region_name or default,
        endpoint_url=options.endpoint_url or None,
        config=_config(options, bucket),
    )


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


def parts_of(size: int) -> TransferConfig:
    """Send a large object in parts of ``size`` bytes, one after the other in the calling thread."""
    return TransferConfig(multipart_threshold=size, multipart_chunksize=size, use_threads=False)
