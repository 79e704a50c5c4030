"""File names that are no UTF-8, as Linux allows them: nothing crashes on one, and every other file is served."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img import Config, Images
from s3img.cli import main
from s3img.lock import Lock, LockEntry, write_lock

if TYPE_CHECKING:
    from pathlib import Path

PAGE = '<!doctype html><title>x</title><img src="cat.jpg" alt="A cat">'


@pytest.mark.slow
def test_site_with_such_a_page_is_published_again_and_again(tmp_path: Path, cache_dir: str) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "cat.jpg").write_bytes(photo(480, 360))
    page = site / os.fsdecode(b"caf\xe9.html")
    page.write_text(PAGE)
    for changed in (1, 0, 0):
        time.sleep(0.06)  # what is younger is not remembered
        result = Images(Config(cache_dir=cache_dir), environ={}).publish(site)
        assert (result.exit_code, result.pages_changed) == (0, changed)
    assert "srcset" in page.read_text()


def test_json_escapes_such_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = os.fsdecode(b"caf\xe9.jpg")
    write_lock(tmp_path / "s3img.lock", Lock.of([LockEntry(path, "0" * 64, 7, 1, 1, "image/jpeg", "cafe.jpg")]))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["check", "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [(finding["path"], finding["code"]) for finding in findings] == [(path, "missing")]
