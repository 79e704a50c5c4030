"""What a dry run says: counts from the listing, time and bytes from a sample, money from the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from s3img import Config, Images
from s3img.bulk import BulkRequest
from s3img.bulk.estimate import PRICES, SAMPLE
from s3img.cli import group
from s3img.errors import ConfigError

from .conftest import PHOTO

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of 40 pictures and a text."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(40):
        (pictures / f"{number:02}.jpg").write_bytes(PHOTO)
    (pictures / "read.me").write_text("no picture")
    return pictures


def images_of(folder: Path) -> Images:
    return Images(Config(bucket=folder.as_uri(), widths=(80, 160), formats=("webp",)))


def test_dry_run_counts_and_puts_nothing(folder: Path) -> None:
    before = {*folder.rglob("*")}
    found = images_of(folder).estimate_render(BulkRequest(variants=True))
    assert (found.pictures, found.bytes, found.sample, found.unusable) == (40, 40 * len(PHOTO), SAMPLE, 0)
    assert (found.results, found.present) == (160, 0)
    assert found.requests == {"put": 160 + found.shards, "get": 40, "list": 41}
    assert found.cpu_seconds > 0
    assert {*folder.rglob("*")} == before


def test_cost_follows_the_tables(folder: Path) -> None:
    found = images_of(folder).estimate_render(BulkRequest(variants=True))
    assert [line.store for line in found.costs] == ["s3", "r2", "b2"]
    s3 = PRICES["s3"]
    wanted = (found.requests["put"] * s3.put + found.requests["get"] * s3.get + found.requests["list"] * s3.list) / 1e6
    assert found.costs[0].requests == pytest.approx(wanted)
    assert found.lever in {"WEBP", "JPEG", "the width 80", "the width 160"}
    assert found.lever_saves >= 80 * s3.put / 1e6


@pytest.mark.slow
def test_what_is_there_is_not_counted_again(folder: Path) -> None:
    images = images_of(folder)
    request = BulkRequest(variants=True)
    images.render_many(request, workers=1)
    found = images.estimate_render(request)
    assert (found.results, found.present) == (0, 160)


def test_picture_that_can_not_be_rendered_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PHOTO[:500])
    assert images_of(tmp_path).estimate_render(BulkRequest(variants=True)).unusable == 1


def test_empty_bucket_costs_nothing(tmp_path: Path) -> None:
    found = images_of(tmp_path).estimate_render(BulkRequest(variants=True))
    assert (found.pictures, found.costs[0].total, found.lever) == (0, 0.0, "")


def test_run_above_the_highest_cost_is_not_begun(folder: Path) -> None:
    before = {*folder.rglob("*")}
    with pytest.raises(ConfigError, match=r"--max-cost: the run may cost .+ and 0\.00 are allowed"):
        images_of(folder).render_many(BulkRequest(variants=True, max_cost=0.0))
    assert {*folder.rglob("*")} == before


@pytest.mark.slow
def test_command_shows_the_estimate_then_the_report_then_the_status(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("S3IMG_WIDTHS", "80")
    options = ["--variants", "--bucket", folder.as_uri(), "--processes", "1"]
    shown = CliRunner().invoke(group, ["render", "0", *options, "--dry-run"])
    assert "10 pictures" in shown.stdout
    assert "what would save most: leave out" in shown.stdout
    done = CliRunner().invoke(group, ["render", "0", *options, "--run", "mine"])
    assert "10 pictures in 1 shards" in done.stdout
    status = CliRunner().invoke(group, ["render", "--status", "mine", "--variants", "--bucket", folder.as_uri()])
    assert "10 pictures in 1 shards" in status.stdout
