"""A failure on the command line: its message, its code, and the same for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from stub_store import Answer, stub_store

from s3img.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S3IMG_ACCESS_KEY_ID", "stubaccesskey")
    monkeypatch.setenv("S3IMG_SECRET_ACCESS_KEY", "stubsecretkey")
    return tmp_path


def test_a_stores_failure_ends_with_its_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with stub_store(Answer.error(403, "SignatureDoesNotMatch")) as store:
        (folder / "s3img.toml").write_text(f'bucket = "s3://pics"\nendpoint_url = "{store.endpoint_url}"\n')
        code, out, err = run(["ls"], capsys)
    assert (code, out) == (4, "")
    assert err.startswith("Error: s3://pics at http://127.0.0.1:")
    assert err.endswith(" [wrong-secret]\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["publsh", "site"], "Did you mean 'publish'?"),
        (["UPLOAD"], "Did you mean 'upload'?"),
        (["config", "shwo"], "Did you mean 'show'?"),
        (["qqqqqq"], "s3img --help lists them all."),
        (["x" * 5_000], "s3img --help lists them all."),
    ],
)
def test_a_command_that_is_none_names_the_nearest(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_failure_is_an_object_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with stub_store(Answer.error(403, "RequestTimeTooSkewed")) as store:
        (folder / "s3img.toml").write_text(f'bucket = "s3://pics"\nendpoint_url = "{store.endpoint_url}"\n')
        (folder / "cat.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')
        code, out, _ = run(["plan", ".", "--verify", "--json"], capsys)
    error = json.loads(out)["error"]
    assert (code, error["code"], error["exit_code"]) == (5, "clock-skew", 5)
    assert "clock" in error["message"]
    assert "NTP" in error["fix"]


def test_settings_that_are_wrong_are_an_object_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "s3img.toml").write_text('bucket = "s3://pics"\nprovider = "r2"\n')
    code, out, err = run(["publish", ".", "--json"], capsys)
    assert (code, json.loads(out)["error"]["code"]) == (3, "settings-invalid")
    assert "s3img.toml account: is needed" in err or "account: is needed" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["upload", "LONG"],
        ["sync", "LONG"],
        ["publish", "LONG"],
        ["used", "a", "LONG"],
        ["mv", "a", "b", "--update", "LONG"],
        ["url", "a.jpg", "--lock", "LONG"],
        ["init", "--bucket", "pics", "--no-test", "--config", "LONG"],
    ],
)
def test_a_path_that_no_file_can_have_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (folder / "s3img.toml").write_text(f'bucket = "{(folder / "bucket").as_uri()}"\n')
    name = "x" * 300
    code, _, err = run([argument.replace("LONG", name) for argument in arguments], capsys)
    assert (code, err.count("\n")) == (1, 1)
    assert f"{name}: File name too long. Check the name" in err


def test_a_path_that_no_file_can_have_is_an_object_for_programs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(["used", "a", "x" * 300, "--bucket", folder.as_uri(), "--json"], capsys)
    assert (code, json.loads(out)["error"]["code"]) == (1, "file-unusable")


def test_a_name_that_the_terminal_has_no_letters_for_is_shown_all_the_same(folder: Path) -> None:
    (folder / "bucket").mkdir()
    (folder / "bucket" / "\u65e5.jpg").write_bytes(b"x")
    command = [sys.executable, "-m", "s3img", "ls", "--bucket", (folder / "bucket").as_uri()]
    done = subprocess.run(command, capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "cp1252"})
    assert (done.returncode, done.stdout) == (0, b"           1 \\u65e5.jpg\n")
