"""A bulk run from its request to its report: list, cut, skip what is finished, render, add up."""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img.buckets.s3.s3_bucket import S3Bucket
from s3img.bulk.estimate import RenderEstimate, check_cost, estimate
from s3img.bulk.inventory import read_inventory
from s3img.bulk.picture_work import ACCEPTS
from s3img.bulk.result_places import (
    engine_name,
    open_origin,
    open_target,
    origin_names,
    read_settings,
    settings_for_workers,
)
from s3img.bulk.shard_report import NOTHING, Checkpoints, PictureError, RenderReport, ShardReport
from s3img.bulk.shard_worker import RunPlaces, run_shard
from s3img.bulk.shards import BulkJob, Shard, ShardItem, ShardPart, cut, is_picture, with_lines
from s3img.config.address import parse
from s3img.errors import BucketError, ConfigError
from s3img.imaging.detectors import Detectors
from s3img.keys import OWN_FOLDER
from s3img.lock import LOCK_NAME, read_lock
from s3img.pictures.result_names import OWN_BUCKET
from s3img.transfer.executors import DEATHS, TaskRunner, open_executor
from s3img.transfer.workers import submit
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from s3img.buckets import Bucket, ObjectInfo
    from s3img.config import Config
    from s3img.transfer.executors import OpenExecutor

WORKER_DIED: Final = "worker-died"
"""Code of a picture that ends whatever process renders it."""


class ShardScheduler:
    """Run shards on an executor; ``run_shard`` is the task, a function of a module that takes a shard."""

    def __init__(self, pool: OpenExecutor, run_shard: Callable[[Shard], ShardReport]) -> None:
        self._runner: TaskRunner[Shard, ShardReport] = TaskRunner(
            pool, lambda shard: submit(pool.executor, run_shard, shard)
        )

    def run(self, shards: Iterable[Shard]) -> Generator[tuple[Shard, ShardReport], None, None]:
        """Yield each shard with its report as it ends. Raise what a task raises; errors of pictures are values."""
        return self._runner.run(shards, self._run_alone)

    def _run_alone(self, shard: Shard, deaths: int) -> ShardReport:
        """Run a shard while nothing else runs; cut it where it costs too many workers."""
        report = self._runner.alone(shard, deaths, most=1 if shard.is_piece else DEATHS)
        if report is not None:
            return report
        if len(shard.items) == 1:
            return _culprit(shard)
        total = NOTHING
        for piece in shard.halves():
            total += self._run_alone(piece, 0)
        return msgspec.structs.replace(total, shards=1)


def _culprit(shard: Shard) -> ShardReport:
    (item,) = shard.items
    message = "Every worker that rendered it died: most often the system ran out of memory. Lower limits.input_pixels."
    error = PictureError(item.key, WORKER_DIED, message)
    return ShardReport(pictures=1, failed=1, causes={WORKER_DIED: 1}, errors=(error,))


ReportProgress: TypeAlias = Callable[[ShardReport], None]
"""Called with the sum so far, after each shard."""

_LISTINGS: Final = 8
"""Prefixes that are listed at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """What to render: the pictures below ``prefixes`` (all, without any) of the bucket or of an origin of the service.

    ``transforms`` are rendered for the service, for every class of browsers in ``accepts`` (`ACCEPTS`) where one
    leaves the format open; ``variants`` are those of published pages. ``inventory`` stands in for the listing, ``part``
    is this machine's share, and ``run`` names the checkpoints: by default a digest of the request, so that the same
    request goes on where it ended. With ``again`` they are not respected. A run that may
    cost more than ``max_cost`` USD is not begun. ``lock`` tells which pictures a project has.
    """

    prefixes: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()
    variants: bool = False
    origin: str = ""
    accepts: tuple[str, ...] = tuple(ACCEPTS)
    inventory: Path | None = None
    part: ShardPart = field(default_factory=ShardPart)
    run: str = ""
    again: bool = False
    max_cost: float | None = None
    lock: Path = Path(LOCK_NAME)

    def job(self, config: Config) -> BulkJob:
        """Return the work of each shard; raise ConfigError or TransformError for what can't be done."""
        if bool(self.transforms) == self.variants:
            raise ConfigError(["render: name transforms (--tr n-NAME), or --variants"])
        origin = self.origin or origin_names(config)[0]
        if not self.origin and len(origin_names(config)) > 1:
            raise ConfigError([f"--origin: name one of the origins: {', '.join(origin_names(config))}"])
        if self.variants and self.origin:
            raise ConfigError(["--origin: variants are made of the bucket's own pictures: leave it out, or use --tr"])
        if self.variants:
            origin = OWN_BUCKET
        if unknown := [name for name in self.accepts if name not in ACCEPTS]:
            raise ConfigError([f"--accept: {unknown[0]!r} is unknown: write {', '.join(ACCEPTS)}"])
        detectors = Detectors.of(config.focus_detectors)
        parsed = [
            # As the service does before a result gets its name.
            detectors.settled(Transform.parse(text, presets=config.presets, limits=config.limits)).with_fonts(
                config.fonts
            )
            for text in self.transforms
        ]
        if whole := [text for text, one in zip(self.transforms, parsed, strict=True) if one.output.original]:
            raise ConfigError([f"--tr: {whole[0]!r} asks for the picture as it is, which is there: leave it out"])
        job = BulkJob(
            "",
            origin,
            settings_for_workers(config, origin),
            engine_name(),
            tuple(dict.fromkeys(map(str, parsed))),
            tuple(ACCEPTS[name] for name in self.accepts),
        )
        name = hashlib.sha256(msgspec.msgpack.encode((job, sorted(self.prefixes)))).hexdigest()[:12]
        return msgspec.structs.replace(job, run=self.run or name)


class BulkRun:
    """One run of a request under a configuration; ``environ`` is where credentials are read from."""

    def __init__(self, request: BulkRequest, config: Config, environ: Mapping[str, str] | None = None) -> None:
        self._request = request
        self._environ = environ
        self._deadline = config.deadline
        self.job = request.job(config)
        # What the workers have is what this process works with: no setting can differ between them.
        self.config = read_settings(self.job)
        self.source = open_origin(self.config, self.job.origin, environ)
        self.target = open_target(self.config, is_results=bool(self.job.transforms), environ=environ)

    def shards(self) -> Iterator[Shard]:
        """Yield the shards of this machine's part while the bucket is listed."""
        lines = {}
        if self.job.origin == OWN_BUCKET:
            lines = {entry.key: str(entry) for entry in read_lock(self._request.lock, missing_ok=True)}
        listings = [cut(with_lines(items, lines), self.job) for items in self._listings()]
        shards = merged(listings) if len(listings) > 1 else chain.from_iterable(listings)
        return (shard for shard in shards if self._request.part.has(shard))

    def run(
        self, executor: str = "threads", *, workers: int = 0, progress: ReportProgress | None = None
    ) -> RenderReport:
        """Render what is missing; errors of pictures are part of the report.

        Raise BucketError where a bucket can't be used, WorkerRefused, ConfigError and Unreachable for an executor.
        """
        started = time.monotonic()
        if self._request.max_cost is not None:
            check_cost(self.estimate(), self._request.max_cost)
        checkpoints = Checkpoints(self.target, self.job.run)
        finished = frozenset() if self._request.again else checkpoints.finished()
        skipped = 0
        is_late = False

        def unfinished() -> Iterator[Shard]:
            nonlocal skipped, is_late
            for shard in self.shards():
                is_late = bool(self._deadline) and time.monotonic() - started >= self._deadline
                if is_late:
                    return
                if shard.id in finished:
                    skipped += 1
                else:
                    yield shard

        total = NOTHING
        # Only threads can be given another environment than the process's own.
        task = partial(run_shard, environ=self._environ) if executor == "threads" and self._is_other else run_shard
        with (
            open_executor(executor, workers=workers, environ=self._environ if self._is_other else None) as pool,
            closing(ShardScheduler(pool, task).run(unfinished())) as ended,
        ):
            for shard, report in ended:
                if report.is_final and not report.is_saved:  # of a shard that was cut up, no worker has all
                    checkpoints.write(shard, report)
                total += report
                if progress:
                    progress(total)
        code = BucketError.exit_code if is_late or not total.is_final else int(bool(total.failed))
        return RenderReport(
            run=self.job.run,
            target=self.target.name,
            done=total,
            skipped=skipped,
            is_late=is_late,
            seconds=time.monotonic() - started,
            exit_code=code,
        )

    def estimate(self) -> RenderEstimate:
        """Say what the run would do and cost; nothing is put. Raise BucketError."""
        return estimate(self.shards(), self.job, RunPlaces(self.job, self._environ))

    @property
    def _is_other(self) -> bool:
        return self._environ is not None and self._environ is not os.environ

    def _listings(self) -> Iterator[Iterator[ShardItem]]:
        prefixes = outermost(self._request.prefixes)
        if self._request.inventory:
            place = parse(self.source.name)
            found = read_inventory(self._request.inventory, place)
            yield (item for item in found if item.size and is_picture(item.key) and item.key.startswith(prefixes))
            return
        for prefix in prefixes:
            yield from parallel_listings(self.source, prefix)


def status(run: str, config: Config, *, is_results: bool, environ: Mapping[str, str] | None = None) -> RenderReport:
    """Add up the checkpoints of a run; raise BucketError, and ConfigError for a run that has none."""
    target = open_target(config, is_results=is_results, environ=environ)
    total = Checkpoints(target, run).total()
    if not total.shards:
        raise ConfigError(
            [f"--status: {target.name} has no checkpoint of {run!r}: its name ends the report of each run"]
        )
    return RenderReport(run=run, target=target.name, done=total)


def pictures_of(objects: Iterable[ObjectInfo]) -> Iterator[ShardItem]:
    """Yield those of some objects that are pictures."""
    return (ShardItem(info.key, info.etag, info.size) for info in objects if info.size and is_picture(info.key))


def parallel_listings(bucket: Bucket, prefix: str) -> Iterator[Iterator[ShardItem]]:
    """Yield listings that together are that of a prefix: one, or several of its folders that can be read at a time.

    A store lists one page after the other, so a large prefix takes long. Which folders go together follows from their
    names: a new one changes no shard of the other listings. One request more.
    """
    if not isinstance(bucket, S3Bucket) or (prefix and not prefix.endswith("/")):
        yield pictures_of(bucket.list(prefix))
        return
    folders, objects, has_more = bucket.list_folder(prefix)
    # Our own folder may hold more than all others: the results of the service.
    folders = [folder for folder in folders if folder != f"{OWN_FOLDER}/"]
    if has_more or (len(folders) < 2 and objects):
        yield pictures_of(bucket.list(prefix))
        return
    if objects:
        yield pictures_of(objects)
    groups: dict[int, list[str]] = {}
    for folder in sorted(folders):
        groups.setdefault(zlib.crc32(folder.encode()) % _LISTINGS, []).append(folder)
    for names in groups.values():
        yield chain.from_iterable(pictures_of(bucket.list(name)) for name in names)


def outermost(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return the prefixes that lie below no other one, sorted; the empty one where there are none."""
    kept: list[str] = []
    for prefix in sorted({*prefixes} or {""}):
        if not (kept and prefix.startswith(kept[-1])):
            kept.append(prefix)
    return tuple(kept)


def merged(streams: Iterable[Iterator[Shard]]) -> Iterator[Shard]:
    """Yield what several streams yield as it comes, eight of them read at a time; raise what they raise."""
    with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="s3img-list") as pool:
        # One shard of each is read ahead, and no more: memory stays flat where the workers are slower.
        running: dict[Future[Shard | None], Iterator[Shard]] = {pool.submit(next, one, None): one for one in streams}
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stream, shard = running.pop(future), future.result()
                if shard is not None:
                    running[pool.submit(next, stream, None)] = stream
                    yield shard
