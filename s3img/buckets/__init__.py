"""Places that hold objects: a folder, or a bucket of any S3-compatible store."""

from __future__ import annotations

import os

from s3img.address import S3Address, parse
from s3img.buckets.bucket import IMMUTABLE, Bucket, ObjectInfo, OpenObject
from s3img.buckets.directory import DirectoryBucket
from s3img.buckets.obstore_place import why_not
from s3img.buckets.s3 import S3Bucket
from s3img.buckets.s3_options import AccessKey, AddressingStyle, S3Options
from s3img.errors import ConfigError

__all__ = [
    "IMMUTABLE",
    "AccessKey",
    "AddressingStyle",
    "Bucket",
    "ObjectInfo",
    "OpenObject",
    "S3Options",
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
        from s3img.buckets.obstore_bucket import ObstoreBucket

        return ObstoreBucket(address, options)
    if options.transport == "obstore":
        raise ConfigError([f'transport: obstore can\'t be used: {reason}, or leave transport = "auto".'])
    return S3Bucket(address, options)
