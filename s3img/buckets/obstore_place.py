"""Where obstore has to send what boto3 would send, worked out without boto3 where the settings alone decide it.

boto3 takes 0.3 s to start; a run that sends a few objects is over by then.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import msgspec

from s3img.buckets.s3_options import AccessKey, addressing, is_aws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3img.buckets.s3_options import S3Options

_ELSEWHERE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION")
"""Variables that leave it to botocore to find out what holds."""

_MISREAD = ("AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_", "AWS_CHECKSUM_ALGORITHM", "AWS_REQUEST_PAYER", "AWS_PROXY_")
"""Starts of variables that obstore obeys, boto3 does not, and no argument overrules."""


class Place(msgspec.Struct, frozen=True):
    """Name a bucket's own URL (no final slash), the region to sign for, and a file of certificates to trust.

    ``key`` signs for ever; None leaves credentials to botocore, or there are none (``anonymous``).
    """

    url: str
    region: str
    ca_file: str = ""
    key: AccessKey | None = None


def why_not(options: S3Options, environment: Mapping[str, str]) -> str:
    """Say what keeps obstore from doing exactly what boto3 would do; "" if nothing does."""
    if importlib.util.find_spec("obstore") is None:
        return 'obstore is not installed: pip install "s3img[fast]"'
    proxies = [name for name in environment if name.lower().endswith("_proxy") and name.lower() != "no_proxy"]
    misread = [name for name in environment if name.startswith(_MISREAD)]
    if found := sorted(name for name in proxies + misread if environment[name]):
        return f"{found[0]} is set: boto3 and obstore read it differently"
    return "attempts is 1, and obstore would be a second one" if options.attempts < 2 else ""


def direct(options: S3Options, bucket: str, environment: Mapping[str, str]) -> Place | None:
    """Return the place if it follows from the settings and the environment alone, without AWS's own files."""
    is_elsewhere = options.profile or options.role_arn or any(environment.get(name) for name in _ELSEWHERE)
    config = Path(environment.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    if not options.endpoint_url or is_aws(options.endpoint_url) or is_elsewhere or config.exists():
        return None
    key = options.access_key or _from_environment(environment)
    url = _url(options, bucket)
    if not url or (key is None and not options.anonymous):
        return None
    region = options.region or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    return Place(url, region, environment.get("AWS_CA_BUNDLE", ""), None if options.anonymous else key)


def _from_environment(environment: Mapping[str, str]) -> AccessKey | None:
    """Read the variables that come first in botocore's chain."""
    key_id, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    token = environment.get("AWS_SECURITY_TOKEN") or environment.get("AWS_SESSION_TOKEN") or ""
    return AccessKey(key_id, secret, token) if key_id and secret else None


def _url(options: S3Options, bucket: str) -> str:
    """Put the bucket's name where it goes; "" where that is botocore's decision."""
    parts = urlsplit(options.endpoint_url.rstrip("/"))
    style = addressing(options.addressing_style, options.endpoint_url, bucket)
    if style == "virtual":
        return urlunsplit(parts._replace(netloc=f"{bucket}.{parts.netloc}"))
    return urlunsplit(parts._replace(path=f"{parts.path}/{bucket}")) if style == "path" else ""
