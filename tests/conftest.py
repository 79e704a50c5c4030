"""Fixtures of all tests; servers and browsers live in ``tests/support``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

settings.register_profile("s3img", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("s3img")

pytest_plugins = ["chromium", "python_docs", "s3_servers", "sites", "static_server"]


SECRETS = ("s3img-test-secret-key", "stubsecretkey")
"""The secret keys of ``s3_servers`` and ``stub_store``."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose captured output or log records hold a test server's secret key."""
    report = yield
    leaks = [title for title, text in report.sections if any(secret in text for secret in SECRETS)]
    if leaks and report.passed and report.when == "teardown":  # which has the sections of the whole test
        report.outcome, report.longrepr = "failed", f"{item.nodeid}: a secret key is in: {', '.join(leaks)}"
    return report


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the developer's own settings, credentials and cache out of every test."""
    for name in list(os.environ):
        if name == "CI" or name.startswith(("AWS_", "S3IMG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
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
