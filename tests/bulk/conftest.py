"""A bucket with pictures, and settings that lead to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from s3_servers import S3Server, new_bucket
from sites import photo

from s3img import Config, Images

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

WIDTHS = (80, 160)
PHOTO = photo(200, 150)


@pytest.fixture
def bucket(seaweedfs: S3Server) -> TestBucket:
    return new_bucket(seaweedfs)


@pytest.fixture
def environ(seaweedfs: S3Server) -> dict[str, str]:
    return {"S3IMG_ACCESS_KEY_ID": seaweedfs.access_key, "S3IMG_SECRET_ACCESS_KEY": seaweedfs.secret_key}


@pytest.fixture
def settings(bucket: TestBucket, tmp_path: Path) -> dict[str, Any]:
    return {
        "bucket": bucket.address,
        "endpoint_url": bucket.options.endpoint_url,
        "addressing_style": "path",
        "region": "us-east-1",
        "access": "open",
        "widths": WIDTHS,
        "formats": ("webp",),
        "variants": True,
        "cache_dir": str(tmp_path / "cache"),
    }


@pytest.fixture
def images(settings: dict[str, Any], environ: dict[str, str]) -> Images:
    return Images(Config(**settings), environ=environ)
