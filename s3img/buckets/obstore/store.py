"""The only module that imports obstore: a place and its credentials in, a store out, and the requests to it."""

from __future__ import annotations

import hashlib
import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec
from obstore.store import S3Store

from s3img.buckets.s3.options import AccessKey, addressing, is_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from obstore import ObjectMeta
    from obstore.store import ClientConfig, S3Config, S3Credential

    from s3img.buckets.s3.options import S3Options

PAGE = 1000
"""Keys of one answer to ListObjectsV2."""

KEPT_SECONDS = 60
"""How long obstore keeps a key; botocore renews one ten minutes before its end."""


class UnprovenError(Exception):
    """The answer leaves open whether it is right; boto3 has to ask again."""


def open_store(place: StorePlace, options: S3Options, bucket: str, key: Callable[[], AccessKey]) -> S3Store:
    """Make a store that any number of threads may share; ``key`` returns the one to sign with now."""
    config: S3Config = {
        "endpoint": place.url,
        "aws_endpoint_url_s3": place.url,  # else AWS_ENDPOINT_URL_S3 would count
        "region": place.region,
        "virtual_hosted_style_request": True,  # the URL is the bucket's own, in either style
        "skip_signature": options.anonymous,
        "unsigned_payload": False,
        "s3_express": False,
    }
    if is_aws(place.url):
        config["checksum_algorithm"] = "SHA256"
    return S3Store(
        bucket,
        config=config,
        client_options=_client_options(place, options),
        retry_config={"max_retries": 0},
        credential_provider=None if options.anonymous else _provider(key),
    )


def _client_options(place: StorePlace, options: S3Options) -> ClientConfig:
    found: ClientConfig = {
        "allow_http": place.url.startswith("http://"),
        "connect_timeout": timedelta(seconds=options.connect_timeout),
        "read_timeout": timedelta(seconds=options.read_timeout),
        "timeout": timedelta(seconds=options.connect_timeout + 10 * options.read_timeout),
    }
    if place.ca_file:
        found["root_certificate"] = Path(place.ca_file).read_bytes()
    return found


def _provider(key: Callable[[], AccessKey]) -> Callable[[], S3Credential]:
    def provide() -> S3Credential:
        now = key()
        return {
            "access_key_id": now.key_id,
            "secret_access_key": now.secret,
            "token": now.session_token or None,
            "expires_at": datetime.now(UTC) + timedelta(seconds=KEPT_SECONDS),
        }

    return provide


def put(store: S3Store, key: str, data: bytes, headers: Mapping[str, str]) -> None:
    """Send an object in one request.

    AWS checks the SHA-256 that is sent along; elsewhere the ETag has to be the MD5, as it is of any object that is not
    encrypted: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html.
    """
    answer = store.put(key, data, attributes=dict(headers), use_multipart=False)
    etag = (answer["e_tag"] or "").strip('"')
    if "checksum_algorithm" not in store.config and etag != hashlib.md5(data, usedforsecurity=False).hexdigest():
        raise UnprovenError


def get(store: S3Store, key: str) -> bytes:
    """Read an object."""
    return store.get(key).bytes().to_bytes()


def pages(store: S3Store, prefix: str) -> Iterator[list[ObjectMeta]]:
    """Yield what lies below a prefix that is empty or ends with a slash, as many objects at a time as one answer has.

    Of an empty object obstore does not tell whether its key ends with a slash.
    """
    for page in store.list(prefix or None, chunk_size=PAGE):
        if not all(meta["size"] for meta in page):
            raise UnprovenError
        yield cast("list[ObjectMeta]", page)


_ELSEWHERE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION")
"""Variables that leave it to botocore to find out what holds."""

_MISREAD = ("AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_", "AWS_CHECKSUM_ALGORITHM", "AWS_REQUEST_PAYER", "AWS_PROXY_")
"""Starts of variables that obstore obeys, boto3 does not, and no argument overrules."""


class StorePlace(msgspec.Struct, frozen=True):
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


def direct(options: S3Options, bucket: str, environment: Mapping[str, str]) -> StorePlace | None:
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
    return StorePlace(url, region, environment.get("AWS_CA_BUNDLE", ""), None if options.anonymous else key)


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
