"""Several set-ups in one settings file: each is a table, named on the command line or by a variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from s3img.cli import main
from s3img.config.load import SettingsSource, load, profile_names
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
bucket = "s3://docs"
widths = [100]

[profiles.blog]
bucket = "s3://blog"

[profiles.shop]
bucket = "s3://shop"
widths = [200]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3img.toml").write_text(FILE)
    return tmp_path


@pytest.mark.parametrize(
    ("profile", "bucket", "widths"),
    [("", "s3://docs", (100,)), ("blog", "s3://blog", (100,)), ("shop", "s3://shop", (200,))],
)
def test_profile_comes_before_the_rest_of_the_file(
    folder: Path, profile: str, bucket: str, widths: tuple[int, ...]
) -> None:
    for config in (
        load(options={"profile": profile or None}, folder=folder, environ={}),
        load(folder=folder, environ={"S3IMG_PROFILE": profile}),
    ):
        assert (config.bucket, config.widths) == (bucket, widths)


def test_profile_that_was_named_comes_before_the_host(folder: Path) -> None:
    host = SettingsSource({"bucket": "s3://host", "markup": "img"}, str)
    config = load(options={"profile": "shop"}, host=host, folder=folder, environ={})
    assert (config.bucket, config.markup) == (
        load(options={"profile": "shop"}, folder=folder, environ={}).bucket,
        "img",
    )
    assert load(host=host, folder=folder, environ={}).bucket == "s3://host"


def test_option_comes_before_a_profile(folder: Path) -> None:
    config = load(options={"profile": "shop", "bucket": "s3://mine"}, folder=folder, environ={})
    assert (config.bucket, config.widths) == ("s3://mine", (200,))


def test_names_are_those_of_the_file(folder: Path) -> None:
    assert profile_names(folder=folder, environ={}) == ["blog", "shop"]
    assert profile_names(folder=folder / "none", environ={}) == []


@pytest.mark.parametrize(
    ("text", "options", "problem"),
    [
        (FILE, {"profile": "blgo"}, "the settings file has no table [profiles.blgo]: it has blog, shop"),
        ("profiles = 3", {}, "s3img.toml profiles: write a table for each"),
        ("[profiles]\nx = 3", {}, "s3img.toml profiles: write a table for each"),
        ('[profiles."a/b"]', {}, "'a/b' is not a name"),
        ("[profiles.x]\nbuket = 's3://x'", {"profile": "x"}, "s3img.toml profiles.x.buket: unknown setting"),
        (
            "[profiles.x]\nsigning_keys = 'k:s'",
            {"profile": "x"},
            "profiles.x.signing_keys: keys don't belong in a file",
        ),
    ],
)
def test_bad_profile_is_told(folder: Path, text: str, options: dict[str, Any], problem: str) -> None:
    (folder / "s3img.toml").write_text(text)
    with pytest.raises(ConfigError) as told:
        load(options=options, folder=folder, environ={})
    assert problem in str(told.value)


def test_commands_take_a_profile(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["config", "show", "--profile", "shop"])
    assert 'bucket = "s3://shop"' in capsys.readouterr().out
