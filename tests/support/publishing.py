"""Publish sites into buckets of test servers, and fetch what their pages point at."""

from __future__ import annotations

import re
import urllib.request
from typing import TYPE_CHECKING

from s3img import Config, Images

if TYPE_CHECKING:
    from s3_servers import TestBucket
    from sites import Site

    from s3img.buckets import Bucket
    from s3img.publish.result import PublishResult


class Publisher:
    """Publish a site into a bucket of a test server, below ``docs/``."""

    def __init__(self, bucket: TestBucket, cache_dir: str, **settings: object) -> None:
        self.bucket = bucket
        self.environ = {
            "S3IMG_ACCESS_KEY_ID": bucket.server.access_key,
            "S3IMG_SECRET_ACCESS_KEY": bucket.server.secret_key,
        }
        values: dict[str, object] = {
            "bucket": f"{bucket.address}/docs",
            "endpoint_url": bucket.server.endpoint_url,
            "public_url": f"{bucket.public_url}/docs",
            "region": "us-east-1",
            "widths": (160, 320),
            "formats": ("webp",),
            "cache_dir": cache_dir,
            "workers": 8,
        }
        self.config = Config(**{**values, **settings})  # type: ignore[arg-type]

    def __call__(self, site: Site, **options: object) -> PublishResult:
        return Images(self.config, environ=self.environ).publish(site.root, **options)  # type: ignore[arg-type]

    def open(self) -> Bucket:
        """Open what the settings name."""
        return Images(self.config, environ=self.environ).open_bucket()

    def urls(self, site: Site) -> set[str]:
        """Return every URL of the bucket in a site."""
        text = "".join(data.decode(errors="replace") for data in site.snapshot().values())
        return urls(text, self.config.base_url)


def urls(text: str, front: str) -> set[str]:
    """Return every URL of a text that begins with ``front``."""
    return {found.replace("&amp;", "&") for found in re.findall(re.escape(front) + r"[^\s\"',)]+", text)}


def fetch(url: str) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of what is at a URL."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}
