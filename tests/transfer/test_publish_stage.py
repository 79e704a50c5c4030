from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img import Config, Images
from s3img.limits import Limits
from s3img.transfer.render import render_group

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("transform", ["", "w-40:rt-90"])
def test_nothing_is_rendered_from_bytes_that_changed(tmp_path: Path, transform: str) -> None:
    planned = photo(80, 60)
    (tmp_path / "cat.jpg").write_bytes(photo(80, 60, seed=2))
    target = tmp_path / "cache" / "ab" / "cat.webp"
    variant = (transform, 40, 30, "webp", 80, "", (), str(target))
    outcome = render_group(str(tmp_path / "cat.jpg"), hashlib.sha256(planned).hexdigest(), (variant,), Limits())
    assert "was changed meanwhile" in outcome[0][1]
    assert not target.exists()


def test_a_file_that_is_gone_is_a_value(tmp_path: Path) -> None:
    variant = ("", 40, 30, "webp", 80, "", (), str(tmp_path / "cat.webp"))
    outcome = render_group(str(tmp_path / "gone.jpg"), "0" * 64, (variant, variant), Limits())
    assert [size for size, _ in outcome] == [0, 0]
    assert all("can't be read" in error for _, error in outcome)


def test_a_later_run_clears_what_a_killed_one_left_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "cat.jpg").write_bytes(photo(400, 300))
    (tmp_path / "site" / "index.html").write_text('<img src="cat.jpg" alt="">')
    variants = tmp_path / "cache" / "variants"
    killed, under_way = variants / ".rendering-a", variants / ".rendering-b"
    files = [killed / "1.webp", under_way / "1.webp", variants / "ab" / ".s3img-0.tmp", variants / "ab" / "cd.webp"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    for old in (killed, files[2], files[3]):
        os.utime(old, (1, 1))
    Images(Config(cache_dir=str(tmp_path / "cache"), widths=(200,), formats=("webp",))).publish(tmp_path / "site")
    assert [file.exists() for file in files] == [False, True, False, True]
    assert not killed.exists()
