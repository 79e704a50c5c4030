"""``s3img init``: asked or told, tested, written once, and never with a secret."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from set_ups import keys_in, set_up

from s3img.cli import group
from s3img.config.load import load
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket


def init(*arguments: str, answers: list[str] | None = None) -> Result:
    text = "".join(f"{answer}\n" for answer in answers or [])
    return CliRunner().invoke(group, ["init", *arguments], input=text, standalone_mode=False)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_options_are_tested_and_written(
    seaweedfs_bucket: TestBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = set_up(seaweedfs_bucket, prefix="docs")
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in made.settings.items()]
    done = init(*options, "--json")
    result = json.loads(done.stdout)
    assert (done.return_value, result["schema"], result["file"]) == (0, "s3img.init/1", "s3img.toml")
    assert load(path=tmp_path / "s3img.toml", environ={}).bucket == made.settings["bucket"]
    assert result["policy"]["Statement"][1]["Resource"] == f"arn:aws:s3:::{seaweedfs_bucket.name}/docs/*"
    assert {finding["status"] for finding in result["report"]["findings"]} <= {"ok", "skip"}
    assert keys_in(seaweedfs_bucket) == []
    assert not [
        value for value in made.environ.values() if value in done.stdout + (tmp_path / "s3img.toml").read_text()
    ]


def test_what_fails_is_not_written(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    settings = set_up(seaweedfs_bucket).settings
    done = init("--bucket", settings["bucket"], "--endpoint-url", settings["endpoint_url"])
    assert (done.return_value, (tmp_path / "s3img.toml").exists()) == (4, False)
    assert "no-credentials" in done.stderr
    assert "s3img.toml was not written: fix what failed above, or give --no-test." in done.stderr
    assert done.stdout == ""  # policies would hide what has failed


def test_questions_lead_to_the_file(tmp_path: Path) -> None:
    answers = ["r2", "my-images/docs", "0123abcd", "https://img.example.com/docs"]
    done = init("--no-test", answers=answers)
    assert done.return_value == 0
    assert "--policy` prints what the key and visitors have to be allowed" in done.stderr
    assert tomllib.loads((tmp_path / "s3img.toml").read_text()) == {
        "bucket": "s3://my-images/docs",
        "provider": "r2",
        "account": "0123abcd",
        "public_url": "https://img.example.com/docs",
    }


def test_questions_offer_the_usual_public_address(tmp_path: Path) -> None:
    done = init("--no-test", answers=["scaleway", "my-images", "nl-ams", ""])
    assert "https://my-images.s3.nl-ams.scw.cloud" in done.stderr
    assert load(path=tmp_path / "s3img.toml", environ={}).base_url == "https://my-images.s3.nl-ams.scw.cloud"


def test_folder_is_asked_for_little(tmp_path: Path) -> None:
    folder = (tmp_path / "store").as_uri()
    done = init(answers=["", folder, ""])
    assert done.return_value == 0
    assert load(path=tmp_path / "s3img.toml", environ={}).bucket == folder


@pytest.mark.parametrize(("answer", "is_written"), [("y", True), ("n", False)])
def test_failing_answers_are_written_only_on_demand(
    seaweedfs_bucket: TestBucket, tmp_path: Path, answer: str, *, is_written: bool
) -> None:
    made = set_up(seaweedfs_bucket).settings
    init(answers=["seaweedfs", made["bucket"], made["endpoint_url"], made["public_url"], answer])
    assert (tmp_path / "s3img.toml").exists() == is_written


def test_file_is_never_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text("# mine\n")
    arguments = ["--bucket", "file:///tmp/x", "--no-test"]
    assert isinstance(init(*arguments).exception, ConfigError)
    assert isinstance(init("--no-test", answers=["n"]).exception, ConfigError)
    assert (tmp_path / "s3img.toml").read_text() == "# mine\n"
    assert init(*arguments, "--force").return_value == 0
    assert init("--no-test", answers=["y", "", "file:///tmp/y", ""]).return_value == 0
    assert load(path=tmp_path / "s3img.toml", environ={}).bucket == "file:///tmp/y"


def test_policy_alone_writes_and_asks_nothing(tmp_path: Path) -> None:
    done = init("--bucket", "my-images", "--policy", "--json", "--upload-origin", "https://app.example.com")
    result = json.loads(done.stdout)
    assert result["policy"]["Statement"][0] == {
        "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads"],
        "Resource": "arn:aws:s3:::my-images",
    }
    assert result["policy"]["Statement"][2]["Action"] == ["s3:GetBucketCORS", "s3:PutBucketCORS"]
    assert result["cors"]["CORSRules"][0]["AllowedOrigins"] == ["https://app.example.com"]
    assert list(tmp_path.iterdir()) == []


def test_policies_of_a_folder_are_none(tmp_path: Path) -> None:
    done = init("--bucket", tmp_path.as_uri(), "--policy")
    assert (done.stdout, done.stderr) == ("", "A folder needs no policies.\n")


def test_policy_is_left_out_where_the_service_has_none() -> None:
    arguments = [
        "--bucket",
        "my-images",
        "--provider",
        "r2",
        "--account",
        "abc",
        "--public-url",
        "https://i.example.com",
    ]
    done = init(*arguments, "--policy")
    assert "a domain of your own" in done.stderr
    assert '"Principal"' not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--json"], "--json asks nothing"),
        (["--bucket", "x"], "name (3 to 63"),
        (["--bucket", "pics", "--provider", "scalway"], "did you mean 'scaleway'?"),
        (["--bucket", "pics", "--provider", "r2"], "account"),
    ],
)
def test_bad_options_are_refused_before_anything_is_asked(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = init(*arguments)
    assert words in str(getattr(done.exception, "message", "")) + str(done.exception)
    assert list(tmp_path.iterdir()) == []
