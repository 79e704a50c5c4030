"""What a bulk run costs beside its rendering: two workers against one, overhead of shards, growth.

``python benchmarks/bulk.py [PICTURES]`` measures the first two, ``python benchmarks/bulk.py growth [PICTURES...]`` what
one of so many pictures takes. Seconds of a clock mean something on an idle machine only; the load is printed, and
seconds of processors beside them.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3img.bulk.shard_report import ShardReport
    from s3img.bulk.shards import Shard

ROUNDS = 3
GROUPS = 12
"""Prefixes of the bucket, each of which is a shard: an even number, so that two workers have as much to do."""

EMPTY = 300
"""Shards without work."""

FOLDER = 500
"""Pictures of each folder where growth is measured."""


def photo(width: int, height: int) -> bytes:
    """Return a JPEG; its imports are not those of the processes that render."""
    from drawings import photograph

    buffer = io.BytesIO()
    photograph().convert("RGB").resize((width, height)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def nothing(shard: Shard) -> ShardReport:
    """Return at once: what is left is the way of a shard to a process and back."""
    from s3img.bulk.shard_report import ShardReport

    return ShardReport(pictures=len(shard.items))


def overhead() -> float:
    """Return the seconds of a clock that a shard of 500 pictures takes beside its work, with two processes."""
    from s3img.bulk.bulk_run import ShardScheduler
    from s3img.bulk.shards import BulkJob, Shard, ShardItem
    from s3img.transfer.executors import open_executor

    items = tuple(ShardItem(f"2026/{number:06}.jpg", f"{number:032x}", 1_000) for number in range(500))
    shards = [Shard(BulkJob("r", "bucket", b" " * 1_000, f"e{number}"), items) for number in range(EMPTY)]
    with open_executor("processes", workers=2) as pool:
        list(ShardScheduler(pool, nothing).run(shards[:4]))  # the processes start
        started = time.perf_counter()
        list(ShardScheduler(pool, nothing).run(shards))
        return (time.perf_counter() - started) / EMPTY


def render(folder: Path, workers: int) -> tuple[float, float]:
    """Render all pictures anew; return seconds of a clock and of processors."""
    from s3img import Config, Images
    from s3img.bulk import BulkRequest

    images = Images(Config(bucket=folder.as_uri(), widths=(320, 640), formats=("webp",)))
    for file in folder.rglob("*.w-*"):
        file.unlink()
    before, started = cpu(), time.perf_counter()
    report = images.render_many(
        BulkRequest(prefixes=tuple(f"{group:02}/" for group in range(GROUPS)), variants=True, again=True),
        executor="processes",
        workers=workers,
    )
    assert report.exit_code == 0, report
    return time.perf_counter() - started, cpu() - before


def cpu() -> float:
    """Return the seconds of processors that this process and those that it has waited for have used."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def compare_workers(pictures: int) -> None:
    """Print what one and two processes take for photographs of 1280 x 960 px, and what a shard takes beside."""
    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), photo(1280, 960)
        for number in range(pictures):
            file = folder / f"{number % GROUPS:02}" / f"{number:06}.jpg"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
        rounds = [[render(folder, workers) for workers in (1, 2)] for _ in range(ROUNDS)]
    for place, title in enumerate(("one worker", "two workers")):
        clock, used = (min(pair[place][kind] for pair in rounds) for kind in (0, 1))
        print(f"{title}: {clock:.1f} s, {used:.1f} s of processors, {used / pictures * 1000:.1f} ms a picture")
    faster = sorted(one[0] / two[0] for one, two in rounds)[ROUNDS // 2]
    print(f"two are {faster:.2f} x as fast as one (median of {ROUNDS} pairs)")
    each, work = overhead(), min(pair[0][1] for pair in rounds) / pictures * 500
    print(f"a shard of 500 takes {each * 1000:.1f} ms beside {work:.1f} s of rendering: {each / work:.2%}")


def grow(pictures: int) -> None:
    """Print what each of so many pictures of 64 x 48 px takes, and the memory of the process."""
    from s3img import Config, Images
    from s3img.bulk import BulkRequest
    from s3img.config.service import ServiceSettings

    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name) / "pictures", photo(64, 48)
        folder.mkdir()
        for number in range(pictures):
            file = folder / f"{number // FOLDER:04}" / f"{number:06}.jpg"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
        service = ServiceSettings(results=(Path(name) / "results").as_uri())
        images = Images(Config(bucket=folder.as_uri(), service=service))
        before = cpu()
        report = images.render_many(BulkRequest(transforms=("w-32,f-jpg",)), workers=1)
        assert (report.done.pictures, report.exit_code) == (pictures, 0), report
        used = cpu() - before
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{pictures:,} pictures: {used / pictures * 1000:.2f} ms of a processor each, {most:.0f} MiB at most")


def main(arguments: list[str]) -> None:
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors", flush=True)
    if arguments[:1] != ["growth"]:
        compare_workers(int(arguments[0]) if arguments else 480)
        return
    for count in arguments[1:] or ["1000", "10000", "100000"]:
        # Each in a process of its own: the most memory that one has had is that of its largest run.
        subprocess.run([sys.executable, __file__, "one", count], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        grow(int(sys.argv[2]))
    else:
        main(sys.argv[1:])
