"""Policies to copy: the least that s3img needs, and public reading; pure.

Form: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3img.address import S3Address

_VERSION = "2012-10-17"
_OBJECT_ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]


def access_policy(address: S3Address, *, cors: bool = False) -> dict[str, Any]:
    """Return the IAM policy of the key that s3img uses; with ``cors`` it may run ``s3img cors --apply``."""
    bucket = f"arn:aws:s3:::{address.bucket}"
    listing: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": bucket}
    if address.prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": f"{address.prefix}/*"}}
    statements = [listing, {"Effect": "Allow", "Action": _OBJECT_ACTIONS, "Resource": _objects(address)}]
    if cors:
        statements.append({"Effect": "Allow", "Action": ["s3:GetBucketCORS", "s3:PutBucketCORS"], "Resource": bucket})
    return {"Version": _VERSION, "Statement": statements}


def public_policy(address: S3Address) -> dict[str, Any]:
    """Return the bucket policy that lets everyone read the pictures."""
    everyone = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": _objects(address)}
    return {"Version": _VERSION, "Statement": [everyone]}


def _objects(address: S3Address) -> str:
    return f"arn:aws:s3:::{address.bucket}/{f'{address.prefix}/' if address.prefix else ''}*"
