"""A real site of some size: the Python documentation as Debian ships it. Fixture ``python_docs``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGES = "usr/share/doc/python3.[0-9]*/html/index.html"
ADVICE = "no Python documentation: install it with `apt-get install python3-doc`"


@pytest.fixture(scope="session")
def python_docs(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the pages, to read only: what is installed, or what apt downloads once into pytest's cache."""
    if found := _pages_in(Path("/")):
        return found
    cache = request.config.cache
    folder = cache.mkdir("python_docs") if cache else Path(tempfile.gettempdir()) / "s3img_python_docs"
    unpacked = folder / "unpacked"
    if not unpacked.exists():
        _download(unpacked)
    return _pages_in(unpacked) or pytest.skip(f"{ADVICE} (none in {unpacked})")


def _pages_in(root: Path) -> Path | None:
    return next((page.parent for page in sorted(root.glob(PAGES))), None)


def _download(target: Path) -> None:
    """Unpack Debian's package beside the target and then name it, so that two test processes may do so at once."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            pytest.skip(f"{ADVICE} (there is no {tool} to download it with)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        work = Path(name)
        depends = re.search(r"python3\.\d+-doc", _run(work, "apt-cache", "depends", "--important", "python3-doc"))
        _run(work, "apt-get", "download", "-q", depends[0] if depends else "python3.11-doc")
        (archive,) = work.glob("*.deb")
        _run(work, "dpkg-deb", "-x", str(archive), "unpacked")
        if not target.exists():
            (work / "unpacked").rename(target)


def _run(folder: Path, *command: str) -> str:
    environ = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=180)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-300:]
        pytest.skip(f"{ADVICE} ({' '.join(command[:2])} failed: {said})")
    return done.stdout


FEW = ("howto/*", "tutorial/*", "hashlib.html", "pathlib.html", "turtle.html", "tkinter.messagebox.html", "index.html")
"""Patterns for some fifty pages that show all raster images of the documentation."""


def copy_pages(pages: Path, target: Path, only: Sequence[str] = ("*",)) -> Path:
    """Copy the files, and the pages whose names fit a pattern, with Debian's links followed.

    Links that lead into packages that are not there are left out.
    """

    def left_out(folder: str, names: list[str]) -> set[str]:
        files = {name: Path(folder, name) for name in names}
        return {
            name
            for name, file in files.items()
            if not file.exists() or (file.suffix == ".html" and not any(map(file.match, only)))
        }

    return Path(shutil.copytree(pages, target, ignore=left_out))
