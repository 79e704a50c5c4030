"""Pictures of kinds that s3img does not read are named once, and a sync succeeds all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    return int(ended.value.code or 0)


def test_sync_names_what_it_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(photo(60, 40))
    (folder / "b.mpo").write_bytes(photo(60, 40, format="MPO"))
    for name in ("c.heic", "d.JXL", "e.jxl", "f.svgz", "g.heif", "h.heic", ".hidden.heic"):
        (folder / name).write_bytes(b"x")
    target = ["--bucket", (tmp_path / "bucket").as_uri()]
    assert run("sync", "static", *target) == 0
    said = capsys.readouterr()
    assert "2 images" in said.out
    assert said.err.count("note: ") == 1
    assert "static/c.heic, static/d.JXL, static/e.jxl, static/f.svgz, static/g.heif and 1 more" in said.err
    (folder / "c.heic").unlink()
    assert run("sync", "static", *target) == 0


def test_sync_tells_of_a_jpeg_without_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "whole.jpg").write_bytes(photo(60, 40))
    (tmp_path / "static" / "cut.jpg").write_bytes(photo(60, 40)[:-2])
    assert run("sync", "static", "--bucket", (tmp_path / "bucket").as_uri()) == 0
    said = capsys.readouterr()
    assert "2 images" in said.out
    assert said.err.count("note: ") == 1
    assert "note: static/cut.jpg: lacks its end marker" in said.err
