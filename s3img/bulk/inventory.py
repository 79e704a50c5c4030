"""S3 Inventory as input: the daily or weekly list of a bucket's objects, in place of a listing.

The forms are those of https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html: a
``manifest.json`` that names data files and their columns, data files of CSV (gzip) or Parquet. Keys in CSV are
percent-encoded.
"""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

import msgspec

from s3img.bulk.shards import ShardItem
from s3img.config.address import S3Address
from s3img.errors import DECODE_ERRORS, AssetError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from s3img.config.address import Address

_COLUMNS: Final = {"bucket": "bucket", "key": "key", "size": "size", "etag": "etag"}
_COLUMNS_OF_VERSIONS: Final = {"islatest": "is_latest", "isdeletemarker": "is_delete_marker"}
_BATCH: Final = 10_000
"""Rows of a Parquet file that are in memory at a time."""


class _DataFile(msgspec.Struct):
    key: str


class _Manifest(msgspec.Struct, rename="camel"):
    files: tuple[_DataFile, ...]
    file_format: str = "CSV"
    file_schema: str = ""


def read_inventory(path: Path, place: Address) -> Iterator[ShardItem]:
    """Yield the objects below a bucket's address that an inventory lists, in its order and in flat memory.

    ``path`` is a ``manifest.json`` with its data files beside it, or one data file: CSV with a header, gzipped or not,
    or Parquet. Raise AssetError for a file that can't be read, ConfigError for one of another bucket or kind.
    """
    rows = 0
    is_own = False
    name = place.bucket if isinstance(place, S3Address) else ""
    prefix = f"{place.prefix}/" if place.prefix else ""
    for row in _rows(path):
        rows += 1
        if name and row.get("bucket", name) != name:
            continue
        is_own = True
        key = row["key"]
        is_latest, is_delete_marker = row.get("is_latest", "true"), row.get("is_delete_marker", "")
        if not key.startswith(prefix) or is_latest.lower() == "false" or is_delete_marker.lower() == "true":
            continue
        yield ShardItem(key.removeprefix(prefix), row.get("etag", "").strip('"'), _size(row, path))
    if rows and not is_own:
        raise ConfigError([f"--inventory: {path} lists another bucket than {name}: name that of your bucket"])


def _size(row: Mapping[str, str], path: Path) -> int:
    text = row.get("size", "")
    if not text.isascii() or not text.isdecimal():
        raise AssetError(f"{path}: {text[:40]!r} is not a size in bytes.", path=str(path), fix=_AGAIN)
    return int(text)


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    try:
        if path.suffix.lower() == ".json":
            yield from _manifest_rows(path)
        elif path.suffix.lower() in {".parquet", ".pq"}:
            yield from _parquet_rows(path)
        else:
            yield from _csv_rows(path, ())
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise AssetError(f"{path}: can't be read: {why}.", path=str(path), fix=_AGAIN) from error


def _manifest_rows(path: Path) -> Iterator[Mapping[str, str]]:
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except DECODE_ERRORS as error:
        raise AssetError(f"{path}: is not a manifest: {error}.", path=str(path), fix=_AGAIN) from error
    schema = [column.strip() for column in manifest.file_schema.split(",")]
    for one in manifest.files:
        # Only the name: a manifest must not lead out of its folder.
        file = path.parent / Path(one.key.replace("\\", "/")).name
        if not file.exists() and (below := path.parent / "data" / file.name).exists():
            file = below
        match manifest.file_format.upper():
            case "CSV":
                yield from _csv_rows(file, schema)
            case "PARQUET":
                yield from _parquet_rows(file)
            case other:
                raise ConfigError(
                    [f"--inventory: {path} is of {other}: choose CSV or Parquet as the inventory's format"]
                )


def _csv_rows(path: Path, schema: Sequence[str]) -> Iterator[Mapping[str, str]]:
    with path.open("rb") as raw:
        is_packed = raw.peek(2)[:2] == b"\x1f\x8b"
        file = io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if is_packed else raw, encoding="utf-8", newline="")
        lines = csv.reader(file)
        names = _named(schema or next(lines, []))
        if "key" not in names:
            what = "has no header that names Key and Size: name the inventory's manifest.json instead"
            raise ConfigError([f"--inventory: {path} {what}"])
        for line in lines:
            row = dict(zip(names, line, strict=False))
            if "key" in row:
                row["key"] = unquote_plus(row["key"])
                yield row


def _parquet_rows(path: Path) -> Iterator[Mapping[str, str]]:
    try:
        from pyarrow import ArrowInvalid, parquet  # an extra: most inventories are CSV
    except ImportError:
        raise ConfigError(["--inventory: Parquet needs pyarrow: install s3img[parquet], or choose CSV"]) from None
    try:
        file = parquet.ParquetFile(path)
    except ArrowInvalid as error:
        raise AssetError(f"{path}: is not Parquet: {error}.", path=str(path), fix=_AGAIN) from error
    with file:
        columns = {name: known for name in file.schema_arrow.names if (known := _named([name])[0])}
        if "key" not in columns.values():
            raise ConfigError([f"--inventory: {path} has no column key: it is not an inventory of S3"])
        for batch in file.iter_batches(_BATCH, columns=[*columns]):
            for row in batch.to_pylist():
                yield {columns[name]: str(value) for name, value in row.items() if value is not None}


def _named(columns: Iterable[str]) -> list[str]:
    """Return our names of columns ("" for those without use): ``ETag``, ``e_tag`` and ``etag`` are one."""
    known = _COLUMNS | _COLUMNS_OF_VERSIONS
    return [known.get(column.strip().replace("_", "").lower(), "") for column in columns]


_AGAIN: Final = "Download the inventory's files again."
