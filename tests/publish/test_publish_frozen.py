"""A publish that is stopped for as long as it takes (SIGSTOP), while clean-ups mark and delete, and then goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sites import Site, photo

from s3img import Config, Images
from s3img.buckets import open_bucket
from s3img.gc.clean_up import collect
from s3img.gc.marks import OWN
from s3img.gc.rules import Rules

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC = "https://img.example.com"

_FREEZING = """
import os, signal, sys
from pathlib import Path
from s3img import Config, Images
from s3img.buckets.directory import DirectoryBucket
root, where = Path(sys.argv[1]), sys.argv[2]
frozen = []

def freeze_at(text):
    if where in text and not frozen:
        frozen.append(text)
        os.kill(os.getpid(), signal.SIGSTOP)

def put(bucket, key, *arguments, original=DirectoryBucket.put, **options):
    freeze_at(f"put {key}")
    return original(bucket, key, *arguments, **options)

def replace(source, target, original=os.replace):
    freeze_at(f"rename {target}")
    return original(source, target)

DirectoryBucket.put, os.replace = put, replace
settings = {"site_url": "https://site.example/", "formats": ("webp",), "widths": (32,), "check_public": False}
config = Config(bucket=(root / "bucket").as_uri(), public_url="https://img.example.com", workers=1,
                cache_dir=str(root / sys.argv[3]), **settings)
result = Images(config).publish(root / "site")
assert frozen and result.exit_code == 0, (frozen, result)
"""


def build(root: Path, name: str, *numbers: int) -> Site:
    site = Site(root / name)
    site.root.mkdir()
    for number in numbers:
        site.add(f"{number}.jpg", photo(64, 48, seed=number))
    site.page("index.html", "".join(f'<img src="{number}.jpg" alt="">' for number in numbers))
    return site


def clean_up(root: Path, *days: int) -> None:
    bucket, rules = open_bucket((root / "bucket").as_uri()), Rules(grace=timedelta(0), history=timedelta(0), force=True)
    for day in days:
        assert not collect(bucket, apply=True, rules=rules, now=datetime.now(UTC) + timedelta(days=day)).failed


@pytest.mark.parametrize("where", ["put .s3img/refs", "put 1.", "rename /", ".webp", "index.html", "keys.txt"])
def test_frozen_publish_shows_nothing_that_clean_ups_deleted_meanwhile(where: str, tmp_path: Path) -> None:
    settings = {"site_url": "https://site.example/", "formats": ("webp",), "widths": (32,), "check_public": False}
    config = Config(
        bucket=(tmp_path / "bucket").as_uri(),
        public_url=PUBLIC,
        cache_dir=str(tmp_path / "cache"),
        **settings,  # type: ignore[arg-type]
    )
    for name, numbers in (("before", (1, 2)), ("between", (2,))):  # what only the first one shows is there and unused
        site = build(tmp_path, name, *numbers)
        Images(config).publish(site.root)
        for file in (tmp_path / "bucket").rglob("*.*"):
            os.utime(file, (file.stat().st_mtime - 86_400 * 3,) * 2)
    clean_up(tmp_path, 0)
    site = build(tmp_path, "site", 1, 3)
    process = subprocess.Popen([sys.executable, "-c", _FREEZING, str(tmp_path), where, "another cache"])
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it ended before it came to this"
        clean_up(tmp_path, 1, 2, 3)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
    clean_up(tmp_path, 4, 5)
    shown = set(re.findall(rf"{re.escape(PUBLIC)}/([^\s\",]+)", site.text("index.html")))
    stored = {info.key for info in open_bucket((tmp_path / "bucket").as_uri()).list() if not info.key.startswith(OWN)}
    assert shown
    assert shown <= stored
