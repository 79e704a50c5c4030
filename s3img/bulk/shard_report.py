"""What became of pictures, as values that add up; and the checkpoints that keep them in the bucket."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from s3img.errors import DECODE_ERRORS, BucketError, ConfigError, ObjectNotFound
from s3img.keys import OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from s3img.buckets import Bucket, ObjectInfo
    from s3img.bulk.shards import Shard

FOLDER: Final = f"{OWN_FOLDER}/bulk/"
"""Where checkpoints are; a clean-up never looks below `OWN_FOLDER`."""

MARKER: Final = {"s3img": "bulk"}

SHOWN: Final = 100
"""Pictures that are named in a report of any size; the others are counted by cause."""

_READERS: Final = 16


class PictureError(msgspec.Struct, frozen=True, order=True):
    """Name a picture that could not be rendered, the stable code of the cause, and what to do."""

    key: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class ShardReport(msgspec.Struct, frozen=True, kw_only=True):
    """Count what became of the pictures of one shard or of many; reports add up in any order to the same sum.

    ``pictures`` were looked at, ``rendered`` objects put and ``present`` ones found; ``failed`` pictures are counted by
    the code of their cause in ``causes``, and the first of them (by key) are named in ``errors``. ``cpu_seconds`` is
    the time of the thread that rendered, ``waited`` the seconds for which a busy store was left alone.
    ``is_final`` is false where the store failed, so that the same shard may go better later; ``is_saved`` says that its
    checkpoint is written.
    """

    shards: int = 1
    pictures: int = 0
    rendered: int = 0
    present: int = 0
    failed: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
    requests: dict[str, int] = {}
    causes: dict[str, int] = {}
    errors: tuple[PictureError, ...] = ()
    is_final: bool = True
    is_saved: bool = False

    def __add__(self, other: ShardReport) -> ShardReport:
        numbers = {name: getattr(self, name) + getattr(other, name) for name in _NUMBERS}
        return ShardReport(
            **numbers,
            requests=_added(self.requests, other.requests),
            causes=_added(self.causes, other.causes),
            errors=tuple(sorted({*self.errors, *other.errors})[:SHOWN]),
            is_final=self.is_final and other.is_final,
            is_saved=self.is_saved and other.is_saved,
        )


NOTHING: Final = ShardReport(shards=0, is_saved=True)
"""The report of no shard: added to another one, it changes nothing."""

_NUMBERS: Final = tuple(
    field.name for field in msgspec.structs.fields(ShardReport) if field.type in {int, float, "int", "float"}
)


class RenderReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did, or what its checkpoints tell; ``skipped`` shards were finished by earlier runs.

    ``is_late`` where ``deadline`` ended the run before the last shard was begun.
    """

    schema: Literal["s3img.render/1"] = "s3img.render/1"
    run: str
    target: str
    done: ShardReport = NOTHING
    skipped: int = 0
    is_late: bool = False
    seconds: float = 0.0
    exit_code: int = 0

    def __str__(self) -> str:
        done = self.done
        parts = [
            f"{done.pictures:,} pictures in {done.shards:,} shards",
            f"{done.rendered:,} rendered ({done.bytes_written:,} bytes)",
            f"{done.present:,} there already",
            *([f"{self.skipped:,} shards finished before"] if self.skipped else []),
            *(["the time for this run is over: start it again to go on"] if self.is_late else []),
            *([f"{done.failed:,} failed"] if done.failed else []),
            *([f"{done.waited:.0f} s waited for a busy store"] if done.waited else []),
        ]
        told = f" (--status {self.run} tells of all shards)" if self.skipped else ""
        return f"{self.target}: {', '.join(parts)}. Run {self.run}{told}."


class Checkpoints:
    """The finished shards of one run, an object each in the bucket that results go to."""

    def __init__(self, bucket: Bucket, run: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", run):
            raise ConfigError([f"--run: {run!r} can't be a name: use at most 64 letters, digits, '.', '_' and '-'"])
        self._bucket = bucket
        self._prefix = f"{FOLDER}{run}/"

    def finished(self) -> frozenset[str]:
        """Return the ids of the shards that are finished; one listing."""
        return frozenset(info.key.removeprefix(self._prefix).removesuffix(".json") for info in self._listed())

    def write(self, shard: Shard, report: ShardReport) -> None:
        """Note that a shard is finished; do it last, when all its results are there."""
        self._bucket.put(
            f"{self._prefix}{shard.id}.json",
            msgspec.json.encode(report),
            media_type="application/json",
            cache_control="no-store",
            metadata=MARKER,
        )

    def total(self) -> ShardReport:
        """Add up what all finished shards report; one request each. Raise BucketError."""
        total = NOTHING
        with ThreadPoolExecutor(_READERS, thread_name_prefix="s3img-status") as pool:
            for report in pool.map(self._read, [info.key for info in self._listed()]):
                total += report
        return total

    def _listed(self) -> Iterator[ObjectInfo]:
        return self._bucket.list(self._prefix)

    def _read(self, key: str) -> ShardReport:
        try:
            return msgspec.json.decode(self._bucket.get(key), type=ShardReport)
        except ObjectNotFound:  # deleted since it was listed
            return NOTHING
        except DECODE_ERRORS as error:
            fix = "Delete it: the shard is then done again, and finds what is there."
            message = f"{self._bucket.name}: {key!r} is not a checkpoint."
            raise BucketError(message, action="get", bucket=self._bucket.name, key=key, fix=fix) from error


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}
