"""Places that hold objects: a folder, or a bucket of any S3-compatible store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.buckets.copying import copy_object
from s3img.buckets.directory import DirectoryBucket
from s3img.buckets.protocol import HOME, IMMUTABLE, MARKER, BrowserUpload, Bucket, ObjectInfo, OpenObject, home_of
from s3img.buckets.s3.s3_bucket import S3Bucket
from s3img.buckets.s3_options import AccessKey, AddressingStyle, S3Options
from s3img.config.address import S3Address, parse
from s3img.errors import ConfigError, CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.config import Config

__all__ = [
    "HOME",
    "IMMUTABLE",
    "MARKER",
    "AccessKey",
    "AddressingStyle",
    "BrowserUpload",
    "Bucket",
    "ObjectInfo",
    "OpenObject",
    "S3Options",
    "copy_object",
    "home_of",
    "open_bucket",
    "open_configured",
    "require_credentials",
]


def open_bucket(address: str, options: S3Options | None = None) -> Bucket:
    """Open ``s3://name/prefix`` or ``file:///folder`` without a request; raise `ConfigError` for any other text."""
    place = parse(address)
    if isinstance(place, S3Address):
        return S3Bucket(place, options or S3Options())
    return DirectoryBucket(place.path)


def open_configured(config: Config, environ: Mapping[str, str] | None = None) -> Bucket:
    """Open the bucket that the settings name, without a request; raise `ConfigError` where they name none."""
    if not config.bucket:
        raise ConfigError(["bucket: is needed: write s3://NAME/PREFIX or file:///FOLDER"])
    return open_bucket(config.bucket, S3Options.from_config(config, environ))


def require_credentials(bucket: Bucket) -> Bucket:
    """Return the bucket; raise `CredentialsError` where its requests could not be signed."""
    if not bucket.has_credentials():
        raise CredentialsError(
            f"No credentials for {bucket.name} were found.",
            reason="no-credentials",
            bucket=bucket.name,
            fix="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or S3IMG_…), or name an aws_profile.",
        )
    return bucket
