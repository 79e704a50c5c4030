"""A real site of some size: the Python documentation as Debian ships it. Fixture ``python_docs``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

PACKAGE = "python3.11-doc"
PAGES = Path("usr/share/doc/python3.11/html")


@pytest.fixture(scope="session")
def python_docs(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the pages, to read only: what is installed, or what apt downloads once into pytest's cache."""
    installed = Path("/") / PAGES
    if (installed / "index.html").is_file():
        return installed
    cache = request.config.cache
    folder = cache.mkdir("python_docs") if cache else Path(tempfile.gettempdir()) / "s3img_python_docs"
    unpacked = folder / PACKAGE
    if not (unpacked / PAGES / "index.html").is_file():
        _download(unpacked)
    return unpacked / PAGES


def _download(target: Path) -> None:
    """Unpack Debian's package beside the target, then name it: two test processes may do so at once."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            pytest.skip(f"{PACKAGE} is not installed, and there is no {tool} to download it with")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        _run(["apt-get", "download", "-q", PACKAGE], Path(work))
        (archive,) = Path(work).glob("*.deb")
        _run(["dpkg-deb", "-x", str(archive), "unpacked"], Path(work))
        if not target.exists():
            Path(work, "unpacked").rename(target)


def _run(command: list[str], folder: Path) -> None:
    environ = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=180)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-300:]
        pytest.skip(f"`apt-get install {PACKAGE}` first: {' '.join(command[:2])} failed: {said}")


def copy_pages(pages: Path, target: Path) -> Path:
    """Copy the pages with Debian's links followed; those that lead into packages that are not there are left out."""
    return Path(shutil.copytree(pages, target, ignore=_dangling))


def _dangling(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if not Path(folder, name).exists()}
