"""Buckets of three kinds, and keys that make trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3img.buckets import open_bucket

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.buckets import Bucket


@pytest.fixture(params=["directory", "moto", "seaweedfs"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    """An empty bucket with a prefix."""
    if request.param == "directory":
        return open_bucket((tmp_path / "bucket").as_uri())
    made = request.getfixturevalue(f"{request.param}_bucket")
    return open_bucket(f"{made.address}/docs", made.options)


@pytest.fixture
def folder_bucket(tmp_path: Path) -> Bucket:
    """An empty bucket that is a folder."""
    return open_bucket((tmp_path / "bucket").as_uri())
