"""``s3img publish`` reads what a generator's own file has for the plugin: Zensical runs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3img.config.load import load
from s3img.config.mkdocs_yml import read_generator_file, with_theme_sizes
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MKDOCS = """\
site_name: T
site_url: https://example.com/docs/
theme:
  name: material
  custom_dir: overrides
plugins:
  - search
  - s3img:
      bucket: !ENV [S3IMG_TEST_BUCKET, "file:///srv/images"]
      public_url: https://img.example.com
      widths: [320, 640]
      require_upload: true
      config_file: conf/s3img.toml
markdown_extensions:
  - pymdownx.emoji:
      emoji_index: !!python/name:material.extensions.emoji.twemoji
"""

ZENSICAL = """\
[project]
site_name = "T"
site_url = "https://example.com/"

[project.plugins.s3img]
bucket = "file:///srv/images"
public_url = "https://img.example.com"
"""


def test_block_of_mkdocs_yml_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mkdocs.yml").write_text(MKDOCS)
    found = read_generator_file(tmp_path)
    assert found
    assert (found.require_upload, found.config_file, found.theme) == (True, tmp_path / "conf/s3img.toml", "material")
    config = load(host=found.source, folder=tmp_path)
    assert (config.bucket, config.widths, config.site_url) == (
        "file:///srv/images",
        (320, 640),
        "https://example.com/docs/",
    )
    monkeypatch.setenv("S3IMG_TEST_BUCKET", "file:///elsewhere")
    again = read_generator_file(tmp_path)
    assert again
    assert again.source.values["bucket"] == "file:///elsewhere"


def test_block_of_zensical_toml_counts(tmp_path: Path) -> None:
    (tmp_path / "zensical.toml").write_text(ZENSICAL)
    found = read_generator_file(tmp_path)
    assert found
    config = with_theme_sizes(load(host=found.source, folder=tmp_path), found.theme)
    assert (config.bucket, config.site_url) == ("file:///srv/images", "https://example.com/")
    assert "780px" in config.sizes


@pytest.mark.parametrize("text", ["plugins: [s3img]", "plugins: {s3img: {}}", "plugins:\n  - s3img\n"])
def test_name_alone_is_a_block_without_settings(tmp_path: Path, text: str) -> None:
    (tmp_path / "mkdocs.yml").write_text(f"site_url: https://example.com/\n{text}")
    found = read_generator_file(tmp_path)
    assert found
    assert dict(found.source.values) == {"site_url": "https://example.com/"}


@pytest.mark.parametrize(
    "text", ["plugins: [search]", "", "site_name: about s3img", "- a list", "plugins: search # s3img"]
)
def test_file_without_the_block_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "mkdocs.yml").write_text(text)
    assert read_generator_file(tmp_path) is None


def test_mistake_is_named_where_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "zensical.toml").write_text(ZENSICAL + "widht = 3\n")
    found = read_generator_file(tmp_path)
    assert found
    with pytest.raises(ConfigError, match=r"zensical\.toml \[project\.plugins\.s3img\] widht: unknown setting"):
        load(host=found.source, folder=tmp_path)


@pytest.mark.parametrize(("name", "text"), [("mkdocs.yml", "plugins: [s3img"), ("zensical.toml", "s3img = [")])
def test_file_that_is_damaged_is_named(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=name):
        read_generator_file(tmp_path)


def test_folder_without_a_generators_file_says_nothing(tmp_path: Path) -> None:
    assert read_generator_file(tmp_path) is None


@pytest.mark.parametrize("text", ["project = 1", "[project]\nplugins = 1", "[project]\nplugins = {s3img = false}"])
def test_a_file_of_another_form_has_no_settings(tmp_path: Path, text: str) -> None:
    (tmp_path / "zensical.toml").write_text(text)
    assert read_generator_file(tmp_path) is None


def test_plugins_of_zensical_may_be_a_list(tmp_path: Path) -> None:
    (tmp_path / "zensical.toml").write_text('[project]\nplugins = ["search", {s3img = {region = "here"}}]')
    found = read_generator_file(tmp_path)
    assert found is not None
    assert found.source.values["region"] == "here"
