"""Fixtures of all tests; servers and browsers live in ``tests/support``."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["s3_servers", "sites"]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the developer's own settings, credentials and cache out of every test."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "S3IMG_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    empty = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(empty))
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty / "cache"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(empty / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(empty / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def cache_dir(tmp_path: Path) -> str:
    """Return a cache folder that starts empty."""
    return str(tmp_path / "cache")
