"""``s3img gc`` as it is typed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from s3img.buckets import open_bucket
from s3img.cli import main
from s3img.gc.marks import read_marks
from s3img.gc.references import write_reference
from s3img.lock import Lock, LockEntry, write_lock

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

SITE = "https://docs.example.com/"


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["gc", *arguments])
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


def age(folder: Path, days: float) -> None:
    for file in folder.rglob("*"):
        past = file.stat().st_mtime - timedelta(days=days).total_seconds()
        os.utime(file, (past, past))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket in which old.png is in use by nothing, in a folder without a lock."""
    monkeypatch.chdir(tmp_path)
    bucket = open_bucket((tmp_path / "docs").as_uri())
    for key in ("a.png", "old.png"):
        bucket.put(key, key.encode(), media_type="image/png")
    write_reference(bucket, ["old.png"], site=SITE)
    age(tmp_path, 10)
    write_reference(bucket, ["a.png"], site=SITE)
    age(tmp_path, 31)
    return (tmp_path / "docs").as_uri()


def test_command_is_a_dry_run_by_default(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    code, out, err = command(capsys, "--bucket", folder)
    assert (code, err, out.splitlines()[0]) == (0, "", "mark   old.png")
    assert out.splitlines()[1].startswith("Nothing was changed. file://")
    assert read_marks(open_bucket(folder)) == {}


def test_command_prints_one_json_object(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    assert json.loads(command(capsys, "--bucket", folder, "--apply", "--json")[1])["marked"] == ["old.png"]
    result = json.loads(command(capsys, "--bucket", folder, "--apply", "--json", "--grace", "0h")[1])
    assert (result["schema"], result["deleted"], result["applied"]) == ("s3img.gc/1", ["old.png"], True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--grace", "soon"], 2, "'soon' is not a duration: write 7d, 12h or 30m."),
        (["--keep", "missing.lock"], 3, "missing.lock: does not exist."),
        (["--bucket", ""], 3, "bucket: is needed"),
    ],
)
def test_command_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], folder: str, arguments: list[str], code: int, words: str
) -> None:
    found, _, err = command(capsys, "--bucket", folder, *arguments)
    assert (found, words in err) == (code, True)


def test_command_keeps_what_a_lock_names(capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path) -> None:
    digest = "0" * 64
    text = f"# s3img.lock/1: path sha256 bytes px type key placeholder\nold.png {digest} 7 1x1 image/png old.png -\n"
    (tmp_path / "other.lock").write_text(text)
    code, out, _ = command(capsys, "--bucket", folder, "--keep", str(tmp_path / "other.lock"))
    assert (code, "mark" in out.splitlines()[0][:5]) == (0, False)


def test_command_refuses_without_references(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = command(capsys, "--bucket", (tmp_path / "empty").as_uri(), "--apply")
    assert (code, err.startswith("error: Refused: nothing refers to this bucket.")) == (1, True)


def test_command_counts_references_that_never_expire(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path
) -> None:
    write_reference(open_bucket(folder), ["a.png"])
    _, _, err = command(capsys, "--bucket", folder)
    assert err == (
        "note: 1 build published without site_url. What such a build shows stays for ever: set it and publish.\n"
    )


def test_command_shows_no_secret(
    capsys: pytest.CaptureFixture[str], seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = seaweedfs_bucket.server
    monkeypatch.setenv("S3IMG_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("S3IMG_SECRET_ACCESS_KEY", "a-mistyped-key-of-a-test")
    arguments = ["--bucket", seaweedfs_bucket.address, "--endpoint-url", server.endpoint_url]
    monkeypatch.setenv("S3IMG_PUBLIC_URL", "https://img.example.com")
    code, out, err = command(capsys, *arguments, "--json")
    assert code == 4
    assert not [word for word in ("a-mistyped-key", server.access_key, "Signature=") if word in out + err]


def test_lock_beside_the_settings_file_is_kept(capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path) -> None:
    entry = LockEntry("old.png", "0" * 64, 7, 1, 1, "image/png", "old.png")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/s3img.toml").write_text(f'bucket = "{folder}"\n')
    write_lock(tmp_path / "conf/s3img.lock", Lock.of([entry]))
    code, out, _ = command(capsys, "--config", str(tmp_path / "conf/s3img.toml"))
    assert code == 0
    assert out.startswith("Nothing was changed.")


def test_command_puts_back_from_the_trash(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    bucket = open_bucket(folder)
    bucket.put(".s3img/trash/img/lost.png", b"lost", media_type="image/png")
    code, out, _ = command(capsys, "--bucket", folder, "--restore", "img/*")
    assert (code, out.splitlines()[0], bucket.head("img/lost.png")) == (0, "restore img/lost.png", None)
    code, out, _ = command(capsys, "--bucket", folder, "--restore", "img/lost.png", "--apply", "--json")
    assert (code, json.loads(out)["done"], bucket.get("img/lost.png")) == (0, ["img/lost.png"], b"lost")
    code, out, err = command(capsys, "--bucket", folder, "--restore", "img/lost.png", "--apply")
    assert (code, err) == (1, "error: img/lost.png: nothing in the trash has this key.\n")


def test_command_accounts_for_each_object(capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path) -> None:
    bucket = open_bucket(folder)
    write_reference(bucket, ["new.png"], site="https://other.example")
    age(tmp_path, 10)
    write_reference(bucket, ["a.png"], site="https://other.example")
    age(tmp_path, 31)
    for key in ("new.png", "foreign.png"):
        bucket.put(key, b"x", media_type="image/png")
    _, out, _ = command(capsys, "--bucket", folder)
    until = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%d}"
    assert "4 objects: 1 in use; " in out
    assert f"; 1 not in use, but too new to be marked before {until}; 1 not in use, but not put by s3img" in out
    assert "; 1 not in use, would be marked for deletion; 0 would be deleted (0 bytes)." in out
    command(capsys, "--bucket", folder, "--apply")
    assert f"; 1 marked before, to be deleted from {until} on; " in command(capsys, "--bucket", folder)[1]


def test_command_refuses_where_a_site_names_nothing_any_more(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    write_reference(open_bucket(folder), [], site="https://empty.example")
    code, _, err = command(capsys, "--bucket", folder, "--apply")
    assert (code, "published without a single image" in err) == (1, True)
    assert command(capsys, "--bucket", folder, "--apply", "--force")[0] == 0
