"""Places that hold objects: a folder, or a bucket of any S3-compatible store."""

from __future__ import annotations

import os

from s3img.buckets.directory import DirectoryBucket
from s3img.buckets.obstore.store import why_not
from s3img.buckets.protocol import HOME, IMMUTABLE, MARKER, Bucket, ObjectInfo, OpenObject, home_of
from s3img.buckets.s3.options import AccessKey, AddressingStyle, S3Options
from s3img.buckets.s3.s3_bucket import S3Bucket
from s3img.config.address import S3Address, parse
from s3img.errors import ConfigError

__all__ = [
    "HOME",
    "IMMUTABLE",
    "MARKER",
    "AccessKey",
    "AddressingStyle",
    "Bucket",
    "ObjectInfo",
    "OpenObject",
    "S3Options",
    "home_of",
    "open_bucket",
]


def open_bucket(address: str, options: S3Options | None = None) -> Bucket:
    """Open ``s3://name/prefix`` or ``file:///folder`` without a request; raise `ConfigError` for any other text."""
    place = parse(address)
    if isinstance(place, S3Address):
        return _open_s3(place, options or S3Options())
    return DirectoryBucket(place.path)


def _open_s3(address: S3Address, options: S3Options) -> Bucket:
    """Choose the transport: obstore where it is installed and does what boto3 would do."""
    reason = why_not(options, os.environ) if options.transport != "boto3" else "it is not wanted"
    if not reason:
        from s3img.buckets.obstore.obstore_bucket import ObstoreBucket

        return ObstoreBucket(address, options)
    if options.transport == "obstore":
        raise ConfigError([f'transport: obstore can\'t be used: {reason}, or leave transport = "auto".'])
    return S3Bucket(address, options)
