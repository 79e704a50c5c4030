"""Records that something else has written over: whoever reads one says so, or begins anew; found by fuzzing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from s3img.buckets import open_bucket
from s3img.bulk.inventory import read_inventory
from s3img.bulk.shard_report import FOLDER, Checkpoints
from s3img.cache import Cache, SiteState
from s3img.cli import main
from s3img.config.address import parse
from s3img.config.load import load
from s3img.config.mkdocs_yml import read_generator_file
from s3img.errors import S3ImgError
from s3img.gc.marks import TRASH, read_marks
from s3img.gc.references import FOLDER as REFERENCES
from s3img.gc.references import ReferenceReader
from s3img.sync.state import StateFile, SyncState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAMAGED = {
    "not UTF-8 in a string": b'{"marks":{"\xed\xa0\x80":1},"keys":["\xff"],"shards":"\xff","files":[{"key":"\xff"}]}',
    "nested without end": b"[" * 5000,
    "half of it": b'{"schema":"s3img',
    "another program's": b"<html>",
    "nothing": b"",
}
EVERY = pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in DAMAGED.items()])


def from_bucket(folder: Path, key: str, data: bytes, read: Callable[[Any], object]) -> object:
    bucket = open_bucket(folder.as_uri())
    bucket.put(key, data, media_type="application/json")
    return read(bucket)


@EVERY
@pytest.mark.parametrize(
    ("key", "read"),
    [
        pytest.param(TRASH, read_marks, id="marks"),
        pytest.param(f"{REFERENCES}a/0123-1.json", lambda bucket: ReferenceReader(bucket).read(), id="references"),
        pytest.param(f"{FOLDER}run/1.json", lambda bucket: Checkpoints(bucket, "run").total(), id="checkpoints"),
    ],
)
def test_damaged_record_of_a_bucket_is_an_error_that_names_it(
    tmp_path: Path, key: str, read: Callable[[Any], object], data: bytes
) -> None:
    with pytest.raises(S3ImgError, match=key.rpartition("/")[2]):
        from_bucket(tmp_path, key, data, read)


@EVERY
def test_damaged_cache_counts_as_empty(tmp_path: Path, data: bytes) -> None:
    cache = Cache(tmp_path / "cache")
    state_file = StateFile(cache, tmp_path, "target")
    for path in (cache.state_path(tmp_path), state_file.path):
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    assert (cache.load_state(tmp_path), state_file.load()) == (SiteState(), SyncState())


@EVERY
@pytest.mark.parametrize(
    ("name", "front", "read"),
    [
        ("manifest.json", b"", lambda path: [*read_inventory(path, parse("s3://pictures"))]),
        ("s3img.toml", b"widths = ", lambda path: load(path=path, environ={})),
    ],
)
def test_damaged_file_is_an_error_that_names_it(
    tmp_path: Path, name: str, front: bytes, read: Callable[[Path], object], data: bytes
) -> None:
    (tmp_path / name).write_bytes(front + data)
    with pytest.raises(S3ImgError, match=name):
        read(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("value", ["[" * 5000, "{a: \x07}", "2026-99-99", '{"schema":"half', "&a [*b]"])
def test_damaged_file_of_a_generator_is_an_error_that_names_it(tmp_path: Path, value: str) -> None:
    (tmp_path / "mkdocs.yml").write_text(f"plugins:\n- s3img:\n    widths: {value}\n")
    with pytest.raises(S3ImgError, match=r"mkdocs\.yml"):
        read_generator_file(tmp_path)


@EVERY
def test_damaged_plan_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.json").write_bytes(data)
    with pytest.raises(SystemExit) as ended:
        main(["apply", "plan.json", "--bucket", (tmp_path / "bucket").as_uri()])
    assert (ended.value.code, "plan.json: is not a plan" in capsys.readouterr().err) == (1, True)


def test_setting_that_is_nested_without_end_is_an_error() -> None:
    with pytest.raises(S3ImgError, match="S3IMG_PRESETS"):
        load(environ={"S3IMG_PRESETS": '{"a":' * 5000})
