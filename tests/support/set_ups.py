"""A set-up as doctor gets it: settings, and an environment with an access key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s3img.buckets import AccessKey, open_bucket
from s3img.config import Config
from s3img.doctor import examine

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

    from s3img.doctor import Report


@dataclass(frozen=True)
class SetUp:
    settings: dict[str, Any]
    environ: dict[str, str]

    def examine(self, tmp_path: Path, **options: Any) -> Report:
        config = Config(cache_dir=str(tmp_path / "cache"), **self.settings)
        return examine(config, environ=self.environ, lock=tmp_path / "s3img.lock", **options)


def key_variables(key: AccessKey) -> dict[str, str]:
    token = {"S3IMG_SESSION_TOKEN": key.session_token} if key.session_token else {}
    return {"S3IMG_ACCESS_KEY_ID": key.key_id, "S3IMG_SECRET_ACCESS_KEY": key.secret, **token}


def set_up(made: TestBucket, *, prefix: str = "", key: AccessKey | None = None, **changes: Any) -> SetUp:
    """Describe a test's bucket the right way, but for ``changes``."""
    server = made.server
    tail = f"/{prefix}" if prefix else ""
    settings = {
        "bucket": made.address + tail,
        "endpoint_url": server.endpoint_url,
        "region": "us-east-1",
        "public_url": made.public_url + tail,
    }
    return SetUp({**settings, **changes}, key_variables(key or AccessKey(server.access_key, server.secret_key)))


def keys_in(made: TestBucket) -> list[str]:
    return sorted(info.key for info in open_bucket(made.address, made.options).list())


def verdict(report: Report) -> tuple[str, str]:
    """Return (status, code) of what is to be fixed first; ("ok", "") when nothing is."""
    return (report.first.status, report.first.code) if report.first else ("ok", "")


def cause(report: Report, code: str, exit_code: int, *words: str) -> None:
    """Check what is named first, where its manual is, and that it says these words."""
    assert report.first is not None
    told = f"{report.first.message} {report.first.fix}"
    assert (report.first.code, report.exit_code) == (code, exit_code), told
    assert report.first.link.endswith(f"#{code}")
    assert all(word in told for word in words), told
