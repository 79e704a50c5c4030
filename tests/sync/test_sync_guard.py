"""Two processes never write a project's lock at once, and none waits for ever or fails for want of a guard."""

from __future__ import annotations

import subprocess
import sys
import time
from threading import Timer
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from s3img.sync.state import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HOLD = """
import sys
from pathlib import Path
from s3img.sync.state import guarded
with guarded(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the guard until it is sent a line."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "sub" / "guard")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_guard_waits_until_another_process_lets_go(other: subprocess.Popen[str], tmp_path: Path) -> None:
    assert other.stdin
    started = time.monotonic()
    Timer(0.3, other.stdin.close).start()
    with guarded(tmp_path / "sub" / "guard"):
        assert time.monotonic() - started >= 0.3
    assert other.wait(5) == 0


def test_guard_goes_on_after_its_time(other: subprocess.Popen[str], tmp_path: Path) -> None:
    started = time.monotonic()
    with guarded(tmp_path / "sub" / "guard", seconds=0.2):
        assert time.monotonic() - started >= 0.2
    assert other.poll() is None


def test_guard_is_free_after_a_kill(other: subprocess.Popen[str], tmp_path: Path) -> None:
    other.kill()
    other.wait()
    with FileLock(tmp_path / "sub" / "guard", timeout=1):
        pass


def test_guard_excludes_filelock(other: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(TimeoutError), FileLock(tmp_path / "sub" / "guard", timeout=0.05):
        pass
    assert other.poll() is None


@pytest.mark.parametrize("hindrance", ["file", "link", "folder"])
def test_guard_goes_on_where_it_cant_be_had(hindrance: str, tmp_path: Path) -> None:
    path = tmp_path / "sub" / "guard"
    if hindrance == "file":
        path.parent.write_bytes(b"")
    elif hindrance == "link":
        path.parent.mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir(parents=True)
    with guarded(path):
        reached = True
    assert reached
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_guarded_may_fail(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="own"), guarded(tmp_path / "guard"):
        raise OSError("own")
    with FileLock(tmp_path / "guard", timeout=0):
        pass
