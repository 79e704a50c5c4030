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


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("buckets/test_s3_answers.py", "test_answer_of_a_byte_at_a_time_ends_in_an_error"),
        ("doctor/test_doctor_good.py", "test_good_bucket_is_called_good"),
    ],
    ids=["of its own", "of a fixture that a parameter names"],
)
def test_test_with_a_server_is_not_in_the_fast_subset(file: str, name: str) -> None:
    def collected(expression: str) -> str:
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", f"tests/{file}"]
        where = Path(__file__).parents[1]
        return subprocess.run(
            [*command, "-m", expression], cwd=where, capture_output=True, text=True, check=False
        ).stdout

    assert name in collected("s3 or process")
    assert name not in collected("not s3 and not browser and not process and not slow")
