"""Files that can't be written: exit code 5, a sentence with the system's reason, and nothing lost."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sites import photo

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files have no limit there")

_FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from s3img.cli import main
main(sys.argv[2:])
"""
"""No file may have more bytes: what the system says then is as on a full disk."""

PAGE = '<!doctype html><img src="a.jpg" alt="">'


@pytest.fixture
def project(tmp_path: Path, moto_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of a picture, a page and a text; it is the current folder."""
    key = moto_bucket.server
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret_key)
    root = tmp_path / "project"
    root.mkdir()
    settings = f'endpoint_url = "{key.endpoint_url}"\npublic_url = "{moto_bucket.public_url}"\nformats = []\n'
    settings += f'region = "us-east-1"\ncache_dir = "{tmp_path / "cache"}"\nwidths = [32]\n'
    (root / "s3img.toml").write_text(f'bucket = "{moto_bucket.address}"\n{settings}')
    (root / "a.jpg").write_bytes(photo(64, 48))
    (root / "index.html").write_text(PAGE)
    (root / "a.md").write_text("![a](a.jpg)\n")
    (root / "b.md").write_text("![a](a.jpg)\n")
    monkeypatch.chdir(root)
    return root


def run(*arguments: str, most: int = -1) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _FULL, str(most), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_lock_that_has_no_room_is_exit_code_5(project: Path) -> None:
    done = run("sync", most=0)
    assert done.returncode == 5
    assert "s3img.lock: can't be written: File too large. Free space" in done.stderr
    assert (run("sync").returncode, "a.jpg" in (project / "s3img.lock").read_text()) == (0, True)


def test_texts_that_have_no_room_stay_and_each_is_named(project: Path) -> None:
    done = run("markdown", "a.md", "b.md", most=0)
    assert (done.returncode, done.stderr.count("md: can't be written: File too large. Free space")) == (5, 2)
    assert [file.read_text() for file in sorted(project.glob("*.md"))] == 2 * ["![a](a.jpg)\n"]
    assert run("markdown", "a.md", "b.md").returncode == 0


def test_record_of_a_site_that_has_no_room_is_exit_code_5(project: Path) -> None:
    done = run("publish", ".", most=0)
    assert done.returncode == 5
    assert "keys.txt: can't be written: File too large. Free space" in done.stderr
    assert ((project / "index.html").read_text(), (project / "a.jpg").exists()) == (PAGE, True)
    assert (run("publish", ".").returncode, "a.jpg" in (project / "index.html").read_text()) == (0, False)


def test_pulled_picture_that_has_no_room_is_exit_code_5(project: Path) -> None:
    assert run("sync").returncode == 0
    before = sorted(project.iterdir())
    (project / "a.jpg").unlink()
    done = run("pull", most=0)
    assert (done.returncode, "a.jpg: can't be written: File too large." in done.stderr) == (5, True)
    assert run("pull").returncode == 0
    assert sorted(project.iterdir()) == before


def test_rendered_picture_without_a_place_is_exit_code_5(project: Path) -> None:
    done = run("transform", "a.jpg", "index.html/b.jpg", "--tr", "w-10")
    assert (done.returncode, "b.jpg: can't be written: Not a directory." in done.stderr) == (5, True)
    assert (project / "index.html").read_text() == PAGE
