"""Reports that add up, and the checkpoints that keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.buckets.directory import DirectoryBucket
from s3img.bulk.shard_report import NOTHING, SHOWN, Checkpoints, PictureError, RenderReport, ShardReport
from s3img.bulk.shards import BulkJob, Shard, ShardItem
from s3img.errors import BucketError, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = st.integers(0, 10**9)
CODES = st.dictionaries(st.sampled_from(["put", "get", "list"]), st.integers(1, 99))
SECONDS = st.integers(0, 10**6).map(lambda number: number / 8)  # which add up exactly, in any order
REPORTS = st.builds(
    ShardReport,
    shards=COUNTS,
    pictures=COUNTS,
    rendered=COUNTS,
    failed=COUNTS,
    seconds=SECONDS,
    cpu_seconds=SECONDS,
    requests=CODES,
    causes=CODES,
    errors=st.lists(st.builds(PictureError, st.text(max_size=3), st.just("c"), st.just("m")), max_size=4).map(
        lambda errors: tuple(sorted({*errors}))
    ),
    is_final=st.booleans(),
    is_saved=st.booleans(),
)


@given(REPORTS, REPORTS, REPORTS)
def test_reports_add_up_in_any_order(one: ShardReport, other: ShardReport, third: ShardReport) -> None:
    assert (one + other) + third == one + (other + third)
    assert one + other == other + one
    assert one + NOTHING == one


def test_sum_names_a_bounded_number_of_pictures() -> None:
    reports = [ShardReport(errors=(PictureError(f"{number:04}.jpg", "c", "m"),), failed=1) for number in range(300)]
    total = sum(reversed(reports), start=NOTHING)
    assert total.failed == 300
    assert [error.key for error in total.errors] == [f"{number:04}.jpg" for number in range(SHOWN)]


def shard(name: str) -> Shard:
    return Shard(BulkJob("r", "bucket", b"{}", "e"), (ShardItem(name, "e", 1),))


def test_checkpoints_are_found_again_and_add_up(tmp_path: Path) -> None:
    bucket = DirectoryBucket(tmp_path)
    checkpoints = Checkpoints(bucket, "r")
    for name in ("a.jpg", "b.jpg"):
        checkpoints.write(shard(name), ShardReport(pictures=2, rendered=3, is_saved=True))
    assert checkpoints.finished() == {shard("a.jpg").id, shard("b.jpg").id}
    assert checkpoints.total() == ShardReport(shards=2, pictures=4, rendered=6, is_saved=True)
    assert Checkpoints(bucket, "other").finished() == frozenset()


def test_damaged_checkpoint_is_an_error_that_names_it(tmp_path: Path) -> None:
    checkpoints = Checkpoints(DirectoryBucket(tmp_path), "r")
    checkpoints.write(shard("a.jpg"), ShardReport())
    (file,) = tmp_path.rglob("*.json")
    file.write_text("{}}")
    with pytest.raises(BucketError, match="is not a checkpoint"):
        checkpoints.total()


@pytest.mark.parametrize("run", ["", "../x", "a/b", ".hidden", "x" * 65, "ä"])
def test_name_of_a_run_is_checked(tmp_path: Path, run: str) -> None:
    with pytest.raises(ConfigError, match="can't be a name"):
        Checkpoints(DirectoryBucket(tmp_path), run)


def test_report_says_what_was_done() -> None:
    report = RenderReport(run="abc", target="s3://b", done=ShardReport(pictures=3, rendered=2, failed=1), skipped=4)
    assert str(report) == (
        "s3://b: 3 pictures in 1 shards, 2 rendered (0 bytes), 0 there already, 4 shards finished before, 1 failed. Run abc "
        "(--status abc tells of all shards)."
    )
