"""``ls``, ``rm``, ``mv``, ``restore`` and ``used`` as they are typed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from s3img.buckets import open_bucket
from s3img.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.buckets import Bucket

NOW = datetime.now(UTC)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket in use by one Markdown file; each object is a day older than the one before."""
    monkeypatch.chdir(tmp_path)
    found = open_bucket((tmp_path / "bucket").as_uri())
    for age, key in enumerate(["i/cat.jpg", "i/Dog.png", "i/n/cat 2.webp", "notes.txt"]):
        found.put(key, b"x" * (age + 1), media_type="image/png")
        past = (NOW - timedelta(days=age, hours=1)).timestamp()
        os.utime(tmp_path / "bucket" / key, (past, past))
    (tmp_path / "s3img.toml").write_text(f'bucket = "{found.name}"\npublic_url = "https://img.example.com"\n')
    (tmp_path / "a.md").write_text("![cat](https://img.example.com/i/cat.jpg)\n")
    return found


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([*arguments])
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    return [found["key"] for found in json.loads(run(capsys, "ls", "--json", *arguments)[1])["objects"]]


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["--search", "CAT"], ["i/cat.jpg", "i/n/cat 2.webp"]),
        (["--search", "cat webp"], ["i/n/cat 2.webp"]),
        (["--type", "jpeg", "--type", "png"], ["i/Dog.png", "i/cat.jpg"]),
        (["--type", "image", "--sort", "size", "--reverse"], ["i/n/cat 2.webp", "i/Dog.png", "i/cat.jpg"]),
        (["--min-size", "2", "--max-size", "3B"], ["i/Dog.png", "i/n/cat 2.webp"]),
        (["--min-size", "1K"], []),
        (["--since", "36h"], ["i/Dog.png", "i/cat.jpg"]),
        (["--until", "36h", "--sort", "date"], ["notes.txt", "i/n/cat 2.webp"]),
        (["--sort", "date", "--reverse", "--limit", "1"], ["i/cat.jpg"]),
        (["--since", "2001-01-01", "i/n/"], ["i/n/cat 2.webp"]),
        (["--until", "2001-01-01T10:00"], []),
    ],
)
def test_ls_filters_and_sorts(
    capsys: pytest.CaptureFixture[str], bucket: Bucket, arguments: list[str], keys: list[str]
) -> None:
    assert listed(capsys, *arguments) == keys


def test_ls_shows_what_s3img_keeps_only_by_its_name(capsys: pytest.CaptureFixture[str], bucket: Bucket) -> None:
    run(capsys, "rm", "i/cat.jpg")
    assert listed(capsys, "--search", "cat") == ["i/n/cat 2.webp"]
    assert listed(capsys, ".s3img/trash/") == [".s3img/trash/i/cat.jpg"]
    assert listed(capsys, "--trash", "i/") == ["i/cat.jpg"]


def test_ls_long_has_date_and_address(capsys: pytest.CaptureFixture[str], bucket: Bucket) -> None:
    out = run(capsys, "ls", "--long", "i/n/")[1]
    day = f"{NOW - timedelta(days=2, hours=1):%Y-%m-%d %H:%M}"
    assert out == f"{3:>12} {day} i/n/cat 2.webp  https://img.example.com/i/n/cat%202.webp\n"


@pytest.mark.parametrize(
    "arguments", [["--since", "yesterday"], ["--sort", "colour"], ["--limit", "0"], ["--min-size", "big"]]
)
def test_ls_refuses_what_it_does_not_know(
    capsys: pytest.CaptureFixture[str], bucket: Bucket, arguments: list[str]
) -> None:
    assert run(capsys, "ls", *arguments)[0] == 2


def test_rm_restore_and_the_trash(capsys: pytest.CaptureFixture[str], bucket: Bucket) -> None:
    code, out, err = run(capsys, "rm", "i/cat.jpg")
    assert (code, out.splitlines()[0], err) == (0, "remove i/cat.jpg", "")
    assert listed(capsys, "--trash") == ["i/cat.jpg"]
    assert run(capsys, "restore", "i/cat.jpg", "--dry-run")[1].startswith("restore i/cat.jpg\nNothing was changed.")
    assert json.loads(run(capsys, "restore", "*", "--json")[1])["done"] == ["i/cat.jpg"]
    assert bucket.get("i/cat.jpg") == b"x"


def test_rm_by_prefix_takes_all_keys_that_begin_so(capsys: pytest.CaptureFixture[str], bucket: Bucket) -> None:
    code, _, err = run(capsys, "rm", "--prefix", "i/")
    assert (code, "--force" in err) == (1, True)
    assert json.loads(run(capsys, "rm", "--prefix", "i/c", "--json", "--dry-run")[1])["done"] == ["i/cat.jpg"]
    assert run(capsys, "rm", "--prefix", "i/", "--force")[0] == 0
    assert [info.key for info in bucket.list("i/")] == []


def test_rm_of_nothing_is_an_error(capsys: pytest.CaptureFixture[str], bucket: Bucket) -> None:
    assert run(capsys, "rm")[0] == 2
    code, _, err = run(capsys, "rm", "nope.png")
    assert (code, err) == (1, "error: nope.png: no such object.\n")


def test_mv_rewrites_what_refers_to_the_object(
    capsys: pytest.CaptureFixture[str], bucket: Bucket, tmp_path: Path
) -> None:
    arguments = ["mv", "i/cat.jpg", "i/kitten.jpg", "--update", "."]
    assert "Nothing was changed" in run(capsys, *arguments, "--dry-run")[1]
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == ["move i/cat.jpg -> i/kitten.jpg", "rewrite a.md"]
    assert (tmp_path / "a.md").read_text() == "![cat](https://img.example.com/i/kitten.jpg)\n"
    assert bucket.get("i/kitten.jpg") == b"x"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["mv", "nope", "x"], 1, "no such object"),
        (["mv", "i/cat.jpg", "i/Dog.png"], 1, "another object has the key"),
        (["mv", "i/cat.jpg", "../x"], 1, "a key may have no"),
        (["mv", "i/", "j"], 3, "write j/"),
        (["mv", "i/", "j/"], 1, "--force"),
        (["mv", "i/cat.jpg", "x.jpg", "--update", "nowhere"], 3, "nowhere does not exist"),
    ],
)
def test_mv_says_what_is_wrong_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], bucket: Bucket, arguments: list[str], code: int, text: str
) -> None:
    before = sorted(info.key for info in bucket.list())
    found, out, err = run(capsys, *arguments)
    assert (found, text in err) == (code, True)
    assert sorted(info.key for info in bucket.list()) == before
    assert "Traceback" not in out + err


def test_used_names_the_places(capsys: pytest.CaptureFixture[str], bucket: Bucket) -> None:
    assert run(capsys, "used", "i/cat.jpg")[1] == "source a.md:1:8  https://img.example.com/i/cat.jpg\n"
    found: Any = json.loads(run(capsys, "used", "i/cat.jpg", "--json")[1])
    assert found["uses"] == [{"kind": "source", "place": "a.md:1:8", "url": "https://img.example.com/i/cat.jpg"}]
    assert run(capsys, "used", "i/Dog.png")[:2] == (0, "")
