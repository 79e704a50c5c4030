"""Places that hold objects: a folder, or a bucket of any S3-compatible store."""

from __future__ import annotations

from s3img.address import S3Address, parse
from s3img.buckets.bucket import IMMUTABLE, Bucket, ObjectInfo
from s3img.buckets.directory import DirectoryBucket
from s3img.buckets.s3 import S3Bucket
from s3img.buckets.s3_options import AccessKey, AddressingStyle, S3Options

__all__ = [
    "IMMUTABLE",
    "AccessKey",
    "AddressingStyle",
    "Bucket",
    "ObjectInfo",
    "S3Options",
    "open_bucket",
]


def open_bucket(address: str, options: S3Options | None = None) -> Bucket:
    """Open ``s3://name/prefix`` or ``file:///folder`` without a request; raise `ConfigError` for any other text."""
    place = parse(address)
    if isinstance(place, S3Address):
        return S3Bucket(place, options or S3Options())
    return DirectoryBucket(place.path)
