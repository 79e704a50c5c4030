"""``s3img doctor`` as it is typed, and its manual."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from set_ups import set_up

from s3img.cli import main
from s3img.cli.doctor import Shown
from s3img.doctor import CODES, Report
from s3img.doctor.examine import PROBES
from s3img.doctor.findings import fail, ok, skip

if TYPE_CHECKING:
    from s3_servers import TestBucket

MANUAL = Path(__file__).parents[2] / "docs/doctor.md"


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", *arguments])
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_command_prints_one_json_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, seaweedfs_bucket: TestBucket
) -> None:
    made = set_up(seaweedfs_bucket)
    for name, value in {**made.environ, "S3IMG_PUBLIC_URL": made.settings["public_url"]}.items():
        monkeypatch.setenv(name, value)
    where = ["--bucket", made.settings["bucket"], "--endpoint-url", made.settings["endpoint_url"]]
    code, out, err = doctor(capsys, *where, "--json")
    result = json.loads(out)
    assert (code, err, result["schema"], result["target"]) == (0, "", "s3img.doctor/1", made.settings["bucket"])
    assert [finding["probe"] for finding in result["findings"]] == [probe.name for probe in PROBES]


def test_report_and_json_hold_no_secret(
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    seaweedfs_bucket: TestBucket,
) -> None:
    secrets = {"S3IMG_SECRET_ACCESS_KEY": "wrong-secret-key", "S3IMG_SESSION_TOKEN": "session-token-of-a-test"}
    made = set_up(seaweedfs_bucket)
    for name, value in {**made.environ, **secrets}.items():
        monkeypatch.setenv(name, value)
    where = ["--bucket", made.settings["bucket"], "--endpoint-url", made.settings["endpoint_url"]]
    told = "".join("".join(map(str, doctor(capsys, *where, *more))) for more in ([], ["--json"])) + caplog.text
    hidden = [*secrets.values(), made.environ["S3IMG_ACCESS_KEY_ID"], "Signature=", "X-Amz-Signature"]
    assert not [secret for secret in hidden if secret in told]
    assert "S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY of the environment" in told


def test_settings_that_can_t_be_used_are_a_finding(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('bukcet = "s3://pics"\nworkers = 0\n')
    code, out, _ = doctor(capsys)
    assert (code, out.startswith("fail config       s3img.toml bukcet: unknown setting, did you mean bucket?")) == (
        3,
        True,
    )
    assert "Fix this first: settings-invalid (config)." in out
    assert json.loads(doctor(capsys, "--json")[1])["findings"][0]["code"] == "settings-invalid"


def test_damaged_lock_is_a_finding(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "s3img.lock").write_text("<<<<<<< HEAD\n")
    code, out, _ = doctor(capsys)
    assert (code, "fail lock" in out, "lock-unreadable" in out) == (3, True, True)


def test_cache_folder_that_can_t_be_written_is_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("S3IMG_CACHE_DIR", str(tmp_path / "file"))
    code, out, _ = doctor(capsys)
    assert (code, "warn cache" in out, "cache_dir" in out) == (1, True, True)


def test_format_that_can_t_be_written_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    with patch("s3img.imaging.encode.encoders", return_value=frozenset({"jpeg", "png", "webp"})):
        code, out, _ = doctor(capsys)
    assert (code, "this Pillow can't write avif" in out, "encoder-missing" in out) == (1, True, True)


def test_folder_of_the_lock_that_can_t_be_written_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    with patch("os.access", return_value=False):
        code, out, _ = doctor(capsys)
    assert (code, "lock-unwritable" in out, "cache-unwritable" in out) == (1, True, True)


def test_proxy_that_does_not_answer_is_named_without_its_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://me:hunter2@127.0.0.1:9")
    monkeypatch.setenv("S3IMG_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("S3IMG_SECRET_ACCESS_KEY", "secret")
    code, out, err = doctor(capsys, "--bucket", "s3://pics", "--endpoint-url", "http://s3.nowhere.invalid")
    assert (code, "proxy-failed" in out, "hunter2" in out + err) == (5, True, False)


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([ok("dns", "x")], 0),
        ([skip("dns", "x")], 0),
        ([fail("clock", "clock-drift", "x", "y")], 1),
        ([fail("clock", "clock-drift", "x", "y"), fail("list", "wrong-secret", "x", "y")], 4),
        ([fail("tcp", "port-closed", "x", "y"), fail("list", "wrong-secret", "x", "y")], 5),
        ([fail("public", "public-url-wrong", "x", "y")], 3),
    ],
)
def test_exit_code_is_that_of_the_first_failure(findings: list, code: int) -> None:
    assert Report(findings=tuple(findings)).exit_code == code


def test_terminal_gets_colours_and_one_line_for_what_was_skipped() -> None:
    from io import StringIO

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    shown = Shown(terminal)
    findings = [
        ok("dns", "known"),
        skip("put", "why"),
        skip("get", "why"),
        fail("public", "public-private", "no", "do"),
    ]
    for finding in findings:
        shown(finding)
    shown.sum_up(Report(findings=tuple(findings)))
    lines = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue()).splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["✓", "dns"], ["·", "put"], ["✗", "public"]]
    assert ("(also get)" in lines[1], lines[3].strip()) == (True, "Fix: do")


def _anchors() -> set[str]:
    return {heading.strip("`") for heading in re.findall(r"^#+ (.+)$", MANUAL.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("code", [*CODES, *(probe.name for probe in PROBES)])
def test_manual_has_a_paragraph_for_every_link(code: str) -> None:
    assert code in _anchors()


def test_manual_has_no_paragraph_for_a_code_that_does_not_exist() -> None:
    known = {*CODES, *(probe.name for probe in PROBES)}
    assert {anchor for anchor in _anchors() if re.fullmatch(r"[a-z0-9-]+", anchor)} <= known


def test_codes_and_probes_have_different_names() -> None:
    assert not set(CODES) & {probe.name for probe in PROBES}
