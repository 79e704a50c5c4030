"""The only module that imports obstore: a place and its credentials in, a store out, and the requests to it."""

from __future__ import annotations

import hashlib
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.store import S3Store

from s3img.buckets.protocol import ObjectInfo
from s3img.buckets.s3_options import is_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import ClientConfig, S3Config, S3Credential

    from s3img.buckets.obstore.small_objects import StorePlace
    from s3img.buckets.s3_options import AccessKey, S3Options

KEPT_SECONDS = 60
"""How long obstore keeps a key; botocore renews one ten minutes before its end."""


PAGE = 1000
"""Objects of a page of a listing: only one that is full can leave something out, and obstore does not tell."""


class UnprovenError(Exception):
    """The answer leaves open whether it is right; boto3 has to ask again."""


def open_store(place: StorePlace, options: S3Options, bucket: str, key: Callable[[], AccessKey]) -> SingleStore:
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

    def credential() -> S3Credential:
        now = key()
        return {
            "access_key_id": now.key_id,
            "secret_access_key": now.secret,
            "token": now.session_token or None,
            "expires_at": datetime.now(UTC) + timedelta(seconds=KEPT_SECONDS),
        }

    store = S3Store(
        bucket,
        config=config,
        client_options=client_options(place, options),
        retry_config={"max_retries": 0},  # boto3 is the second attempt, with its pauses and its errors
        credential_provider=None if options.anonymous else credential,
    )
    return SingleStore(store)


def client_options(place: StorePlace, options: S3Options) -> ClientConfig:
    """Set time-outs, trusted authorities and the proxy as boto3 would have them."""
    found: ClientConfig = {
        "allow_http": place.url.startswith("http://"),
        "connect_timeout": timedelta(seconds=options.connect_timeout),
        "read_timeout": timedelta(seconds=options.read_timeout),
        # What takes longer than a small request may is either large, and boto3 has more time for it, or too slow.
        "timeout": timedelta(seconds=options.short_seconds),
    }
    if place.ca_file:
        found["root_certificate"] = Path(place.ca_file).read_bytes()
    if sys.platform in {"darwin", "win32"} or any(name.lower().endswith("_proxy") for name in os.environ):
        found |= _proxy_options(place.url)
    return found


def _proxy_options(url: str) -> ClientConfig:
    """Go through the proxy that botocore takes, which asks Python; obstore has rules of its own, and ALL_PROXY."""
    from urllib.request import getproxies, proxy_bypass  # takes 30 ms, and most machines have no proxy

    parts = urlsplit(url)
    proxy = "" if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme, "")
    if proxy:
        return {"proxy_url": proxy if "://" in proxy else f"http://{proxy}"}
    # A proxy that is named, and excludes the only host there is, keeps obstore from looking for another.
    return {"proxy_url": url, "proxy_excludes": parts.hostname or ""}


class SingleStore:
    """The requests to one bucket, each of them tried once."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    def put(self, key: str, data: bytes, headers: Mapping[str, str]) -> bool:
        """Send an object in one request; return True.

        AWS checks the SHA-256 that is sent along; elsewhere the ETag has to be the MD5, as it is of any object that is
        not encrypted: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html.
        """
        answer = self._store.put(key, data, attributes=dict(headers), use_multipart=False)
        if "checksum_algorithm" in self._store.config:
            return True
        if (answer["e_tag"] or "").strip('"') != hashlib.md5(data, usedforsecurity=False).hexdigest():
            raise UnprovenError
        return True

    def get(self, key: str) -> bytes:
        """Read an object."""
        return self._store.get(key).bytes().to_bytes()

    def list_few(self, prefix: str) -> list[ObjectInfo]:
        """List the objects below a folder, a slash at its end, in one request; keys are those of the whole bucket."""
        found = [item for items in self._store.list(prefix, chunk_size=PAGE) for item in items]
        if len(found) >= PAGE or not all(item["path"].startswith(prefix) for item in found):
            raise UnprovenError
        return [
            ObjectInfo(item["path"], item["size"], (item["e_tag"] or "").strip('"'), item["last_modified"])
            for item in found
        ]
