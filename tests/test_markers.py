"""Which tests a command line chooses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FILE = "tests/publish/test_real_site.py"
ALL = f"{FILE}::test_other_files_stay[all]"
FEW = f"{FILE}::test_other_files_stay[few]"


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [([FILE, "-m", "s3"], {FEW}), ([FILE, "-m", "nightly"], {ALL})],
    ids=["another marker", "nightly"],
)
def test_nightly_tests_run_when_asked_for(arguments: list[str], chosen: set[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "other_files",
        *arguments,
    ]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    assert {line for line in done.stdout.splitlines() if "::" in line} == chosen
