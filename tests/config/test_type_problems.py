"""A setting of a wrong type is named in words of a settings file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3img import Config
from s3img.config.load import load
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('widths = ["a"]', "widths: entry 1: must be a whole number, and is a text in quotes"),
        ('widths = "a"', "widths: must be a list, and is a text in quotes"),
        ("bucket = 3", "bucket: must be a text in quotes, and is a whole number"),
        ('addressing_style = "x"', "addressing_style: 'x' is not a choice: write one of auto, virtual, path"),
        ("[origins.a]\nbucket = 3", "origins: bucket of an entry: must be a text in quotes, and is a whole number"),
        ('[origins.a]\nbuckt = "s3://x"', "origins: an entry: unknown setting buckt, did you mean bucket?"),
        ('[origins.a]\nregion = "r"', "origins: an entry: bucket is missing"),
        ("[limits]\ninput_pixel = 3", "limits: unknown setting input_pixel, did you mean input_pixels?"),
        ('[quality]\navif = "x"', "quality: avif: must be a whole number, and is a text in quotes"),
        ("[[rules]]\na = 1", "rules: entry 1: unknown setting a: known are "),
        ('[presets]\na = ["w-3"]', "presets: an entry: must be a text in quotes, and is a list"),
        ("signing_keys = 3", "signing_keys"),
    ],
)
def test_wrong_type_is_said_in_plain_words(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "s3img.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(environ={}, path=path)
    assert problem.replace(": ", " ", 1) in str(caught.value) or problem in str(caught.value)
    assert "`" not in str(caught.value)
    assert "$" not in str(caught.value)


def test_wrong_type_in_python_is_said_in_the_same_words() -> None:
    with pytest.raises(
        ConfigError, match=r"origins: bucket of an entry: must be a text in quotes, and is a whole number"
    ):
        Config(origins={"a": {"bucket": 3}})


def test_a_web_address_as_bucket_says_where_it_belongs() -> None:
    with pytest.raises(ConfigError, match="endpoint_url"):
        Config(bucket="https://pictures.s3.amazonaws.com")
