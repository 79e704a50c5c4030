"""S3 Inventory in place of a listing: CSV and Parquet, with and without a manifest."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from s3img.bulk.bulk_run import BulkRequest, BulkRun
from s3img.bulk.inventory import read_inventory
from s3img.bulk.shards import ShardItem
from s3img.config import Config
from s3img.config.address import parse
from s3img.errors import AssetError, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

PLACE = parse("s3://photos/site")
SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"
ROWS = [
    '"photos","site/a+b%C3%A9.jpg","v2","true","false","12","2026-01-01T00:00:00.000Z","aa11"',
    '"photos","site/a+b%C3%A9.jpg","v1","false","false","11","2025-01-01T00:00:00.000Z","aa00"',
    '"photos","site/gone.jpg","v3","true","true","","2026-01-01T00:00:00.000Z",""',
    '"photos","elsewhere/c.jpg","","true","false","13","2026-01-01T00:00:00.000Z","cc33"',
    '"photos","site/d.jpg","","true","false","14","2026-01-01T00:00:00.000Z","dd44-2"',
]
FOUND = [ShardItem("a bé.jpg", "aa11", 12), ShardItem("d.jpg", "dd44-2", 14)]


def manifest(folder: Path, **changes: object) -> Path:
    (folder / "data").mkdir()
    (folder / "data" / "0.csv.gz").write_bytes(gzip.compress("\n".join(ROWS).encode()))
    text = {"files": [{"key": "inventory/photos/data/0.csv.gz"}], "fileFormat": "CSV", "fileSchema": SCHEMA, **changes}
    (folder / "manifest.json").write_text(json.dumps(text))
    return folder / "manifest.json"


def test_manifest_names_files_and_columns(tmp_path: Path) -> None:
    assert [*read_inventory(manifest(tmp_path), PLACE)] == FOUND


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_csv_with_a_header_needs_no_manifest(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(pack("\n".join([SCHEMA.replace(" ", ""), *ROWS]).encode()))
    assert [*read_inventory(path, PLACE)] == FOUND


def test_parquet_is_read_too(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = {
        "bucket": ["photos"] * 2,
        "key": ["site/a bé.jpg", "site/d.jpg"],
        "size": [12, 14],
        "e_tag": ["aa11", "dd44-2"],
    }
    parquet.write_table(pyarrow.table(rows), tmp_path / "0.parquet")
    assert [*read_inventory(tmp_path / "0.parquet", PLACE)] == FOUND


def test_keys_of_a_bucket_without_a_prefix_stay_whole(tmp_path: Path) -> None:
    keys = [item.key for item in read_inventory(manifest(tmp_path), parse("s3://photos"))]
    assert keys == ["site/a bé.jpg", "elsewhere/c.jpg", "site/d.jpg"]


def test_another_buckets_inventory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another bucket than films"):
        [*read_inventory(manifest(tmp_path), parse("s3://films"))]


def test_csv_without_a_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(ROWS))
    with pytest.raises(ConfigError, match=r"name the inventory's manifest\.json"):
        [*read_inventory(tmp_path / "a.csv", PLACE)]


def test_orc_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="of ORC: choose CSV or Parquet"):
        [*read_inventory(manifest(tmp_path, fileFormat="ORC"), PLACE)]


def test_manifest_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.csv").write_text(ROWS[0])
    with pytest.raises(AssetError, match="can't be read"):
        [*read_inventory(manifest(inner, files=[{"key": "../secret.csv"}]), PLACE)]


@pytest.mark.parametrize("damage", [b"\x1f\x8bnothing", b"Key,Size\nsite/a.jpg,many\n", b"Key,Size\n\xff\xfe,1\n"])
def test_damaged_file_is_an_error_that_names_it(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(damage)
    with pytest.raises(AssetError, match=r"a\.csv"):
        [*read_inventory(tmp_path / "a.csv", PLACE)]


def test_damaged_manifest_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(AssetError, match="is not a manifest"):
        [*read_inventory(tmp_path / "manifest.json", PLACE)]


def test_objects_without_bytes_are_no_pictures_in_an_inventory_either(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("Key,Size\nwhole.jpg,9\ncut-off.jpg,0\n")
    config = Config(bucket=(tmp_path / "bucket").as_uri())
    request = BulkRequest(variants=True, inventory=tmp_path / "all.csv", lock=tmp_path / "s3img.lock")
    assert [item.key for shard in BulkRun(request, config).shards() for item in shard.items] == ["whole.jpg"]
