from __future__ import annotations

from typing import TYPE_CHECKING

from s3img.config import Config
from s3img.doctor import examine
from s3img.lock import Lock, LockedVariants, LockEntry, recipe, write_lock

if TYPE_CHECKING:
    from pathlib import Path


def test_lock_counts_images_not_their_renderings(tmp_path: Path) -> None:
    config = Config(cache_dir=str(tmp_path / "cache"))
    variants = LockedVariants(recipe(config), (("webp", (320, 640)),))
    entry = LockEntry("cat.jpg", "0" * 64, 9, 800, 600, "image/jpeg", "cat.jpg", variants=variants)
    write_lock(tmp_path / "s3img.lock", Lock.of([entry]))
    report = examine(config, environ={}, lock=tmp_path / "s3img.lock")
    said = {finding.probe: finding.message for finding in report.findings}
    assert said["lock"].endswith("names 1 images.")
