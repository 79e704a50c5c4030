"""`s3img sync` is killed several times, at night more often, wherever it happens to be: what is named is there and whole, and the next one ends."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from s3img.lock import LOCK_NAME, read_lock

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

_CHILD = """
import sys, time
from pathlib import Path
from s3img import Config, Images
from s3img.buckets.s3.s3_bucket import S3Bucket

folder, bucket, endpoint = sys.argv[1:]

def told(what, function):
    def tell(*arguments, **options):
        print(what, flush=True)
        return function(*arguments, **options)
    return tell

import s3img.atomic, s3img.sync.folder_sync as run
S3Bucket.put, S3Bucket.list = told("put", S3Bucket.put), told("list", S3Bucket.list)
run.write_lock = told("lock", run.write_lock)
config = Config(bucket=bucket, endpoint_url=endpoint, cache_dir=folder + "/cache",
                public_url="https://img.example.com", workers=2)
print("start", flush=True)
Images(config).sync(folder + "/img", lock=folder + "/s3img.lock", progress=lambda *_: print("sent", flush=True))
print("end", flush=True)
"""
IMAGES = 30
STEPS = 3 + 2 * IMAGES
"""Lines that a first run prints: where it is when it is killed."""


class Site:
    """A folder of images, the bucket that they go to, and a sync that can be killed."""

    def __init__(self, folder: Path, store: TestBucket) -> None:
        self.folder = folder
        self.store = store
        server = store.server
        self.command = [sys.executable, "-c", _CHILD, str(folder), store.address, server.endpoint_url]
        self.environment = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        (folder / "img").mkdir(parents=True)
        for number in range(IMAGES):
            Image.effect_noise((16 + number, 16), number + 1).save(folder / "img" / f"{number:02}.png")

    def run(self, *, steps: int, delay: float) -> bool:
        """Start a sync and kill it so many steps and seconds later; tell whether it was still running."""
        with subprocess.Popen(self.command, stdout=subprocess.PIPE, env=self.environment) as process:
            assert process.stdout
            for _ in range(steps):
                process.stdout.readline()
            time.sleep(delay)
            is_running = process.poll() is None
            process.kill()
        return is_running

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of each object; every one must be an image of the folder, all of it."""
        files = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.folder / "img").iterdir()}
        bucket = self.store.bucket
        found = {info.key: hashlib.sha256(bucket.get(info.key)).hexdigest() for info in bucket.list()}
        assert set(found.values()) <= files
        return found

    def named(self) -> dict[str, str]:
        return {entry.key: entry.sha256 for entry in read_lock(self.folder / LOCK_NAME, missing_ok=True)}


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.nightly)])
def test_a_killed_sync_loses_nothing_and_the_next_one_ends(
    seaweedfs_bucket: TestBucket, tmp_path: Path, kills: int
) -> None:
    chance = random.Random(7)
    site = Site(tmp_path / "site", seaweedfs_bucket)
    killed, before = 0, dict[str, str]()
    while killed < kills:  # those that were too fast to be killed do not count
        killed += site.run(steps=chance.randrange(1, STEPS), delay=chance.random() * 0.005)
        stored = site.stored()
        assert before.items() <= stored.items()
        assert site.named().items() <= stored.items()
        before = stored
        if len(stored) == IMAGES or killed % 5 == 0:
            complete(site)
            begin_again(site)
            before = {}


def complete(site: Site) -> None:
    """Let a sync run to its end: bucket, lock and folder then say the same."""
    subprocess.run(site.command, env=site.environment, stdout=subprocess.PIPE, check=True, timeout=60)
    assert site.stored() == site.named()
    assert len(site.named()) == IMAGES


def begin_again(site: Site) -> None:
    site.store.bucket.delete([*site.stored()])
    (site.folder / LOCK_NAME).unlink()
    for state in (site.folder / "cache").rglob("*.json"):
        state.unlink()
