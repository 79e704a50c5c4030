"""What a bulk run costs beside its rendering: overhead of shards, two workers against one, growth.

``python benchmarks/bulk.py [PICTURES]``. Pictures are small, so that what is not rendering shows. Seconds of a clock
mean something on an idle machine only; the load is printed, and seconds of processors beside them.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from drawings import photograph

from s3img import Config, Images
from s3img.bulk import BulkRequest
from s3img.bulk.scheduling import ShardScheduler
from s3img.bulk.shard_report import ShardReport
from s3img.bulk.shards import BulkJob, Shard, ShardItem
from s3img.transfer.executors import open_executor

ROUNDS = 3
GROUPS = 10
"""Prefixes of the bucket; each is cut by itself."""

EMPTY = 300
"""Shards without work."""


def nothing(shard: Shard) -> ShardReport:
    """Return at once: what is left is the way of a shard to a process and back."""
    return ShardReport(pictures=len(shard.items))


def overhead() -> float:
    """Return the seconds of a clock that a shard of 500 pictures takes beside its work, with two processes."""
    items = tuple(ShardItem(f"2026/{number:06}.jpg", f"{number:032x}", 1_000) for number in range(500))
    shards = [Shard(BulkJob("r", "bucket", b" " * 1_000, f"e{number}"), items) for number in range(EMPTY)]
    with open_executor("processes", workers=2) as pool:
        list(ShardScheduler(pool, nothing).run(shards[:4]))  # the processes start
        started = time.perf_counter()
        list(ShardScheduler(pool, nothing).run(shards))
        return (time.perf_counter() - started) / EMPTY


def render(folder: Path, groups: int, executor: str, workers: int) -> tuple[float, float]:
    """Render the pictures of some groups anew; return seconds of a clock and of processors."""
    images = Images(Config(bucket=folder.as_uri(), widths=(160, 320), formats=("webp",)))
    for file in folder.rglob("*.w-*"):
        file.unlink()
    before = cpu()
    started = time.perf_counter()
    report = images.render_many(
        BulkRequest(prefixes=tuple(f"{group}/" for group in range(groups)), variants=True, again=True),
        executor=executor,
        workers=workers,
    )
    assert report.exit_code == 0, report
    return time.perf_counter() - started, cpu() - before


def cpu() -> float:
    """Return the seconds of processors that this process and those that it has waited for have used."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main(pictures: int) -> None:
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = photograph().convert("RGB").resize((480, 360))
        for number in range(pictures):
            file = folder / str(number % GROUPS) / f"{number:06}.jpg"
            file.parent.mkdir(exist_ok=True)
            picture.save(file, quality=90)
        rounds = [[render(folder, GROUPS, "processes", workers) for workers in (1, 2)] for _ in range(ROUNDS)]
        for place, title in enumerate(("one worker", "two workers")):
            clock, used = (min(pair[place][kind] for pair in rounds) for kind in (0, 1))
            print(f"{title}: {clock:.1f} s, {used:.1f} s of processors")
        faster = sorted(one[0] / two[0] for one, two in rounds)[ROUNDS // 2]
        print(f"two are {faster:.2f} x as fast as one (median of {ROUNDS} pairs)")
        per = {groups: render(folder, groups, "threads", 1)[1] / (pictures * groups / GROUPS) for groups in (1, GROUPS)}
    few, many = per[1], per[GROUPS]
    print(f"a picture takes {few * 1000:.1f} ms of a processor among {pictures // GROUPS:,}")
    print(f"and {many * 1000:.1f} ms among {pictures:,}")
    each = overhead()
    work = many * 500
    print(f"a shard of 500 takes {each * 1000:.1f} ms beside {work:.1f} s of rendering: {each / work:.2%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
