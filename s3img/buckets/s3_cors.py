"""The CORS rules of a bucket: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from s3img.errors import BucketError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_s3.type_defs import CORSRuleTypeDef

    from s3img.buckets.s3 import S3Bucket

Rule = dict[str, Any]
"""One rule in the words of the API: ``AllowedOrigins``, ``AllowedMethods``, ``AllowedHeaders`` …"""

_NONE = frozenset({"NoSuchCORSConfiguration", "NoSuchCORSConfigurationError"})


def read_rules(bucket: S3Bucket, name: str) -> list[Rule]:
    """Return the rules of the bucket ``name``, none where it has none; raise BucketError."""
    try:
        with bucket.connection("cors") as (_, client):
            return [dict(rule) for rule in client.get_bucket_cors(Bucket=name).get("CORSRules", ())]
    except BucketError as error:
        if error.code in _NONE:
            return []
        raise


def write_rules(bucket: S3Bucket, name: str, rules: Sequence[Rule]) -> None:
    """Replace the rules of the bucket ``name``; raise BucketError."""
    with bucket.connection("cors") as (_, client):
        client.put_bucket_cors(
            Bucket=name, CORSConfiguration={"CORSRules": cast("Sequence[CORSRuleTypeDef]", list(rules))}
        )
