"""Time the first build of a site of photographs with the default settings, and compare two versions in turns.

    python benchmarks/first_build.py FOLDER [--against CHECKOUT] [--rounds 3]
    python benchmarks/first_build.py FOLDER --crops SOURCES [--count 119]

``FOLDER`` holds JPEGs; four of them stand on each page. Each run is a process of its own with an empty cache, and
publishes into an empty folder that stands for the bucket. ``--against`` runs the s3img of another checkout in turn with
this one. ``--crops`` makes the folder first: of the photographs in ``SOURCES`` as they are, and then of parts of them,
each different, 1,000 to 4,000 px wide, until there are ``--count``.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

PAGE = 4
PUBLIC_URL = "https://img.example.com"
RATIOS = (3 / 2, 4 / 3, 16 / 9, 3 / 4, 1.0)
WIDTHS = (1600, 2048, 2560, 3000, 4000)


def make_crops(sources: list[Path], folder: Path, count: int) -> None:
    """Write ``count`` different JPEGs: each source, then parts of them that look like photographs of their own."""
    from PIL import Image

    rng = random.Random(7)
    folder.mkdir(parents=True)
    for number, (turn, path) in zip(range(count), itertools.product(itertools.count(), sources), strict=False):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        if turn:
            width, ratio = int(image.width * rng.uniform(0.62, 0.85)), rng.choice(RATIOS)
            width = min(width, int(image.height * 0.95 * ratio))
            height = int(width / ratio)
            x, y = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
            image = image.crop((x, y, x + width, y + height))
        image.thumbnail((rng.choice(WIDTHS) if turn else max(WIDTHS),) * 2, Image.Resampling.LANCZOS)
        quality, subsampling = rng.choice((85, 88, 90, 92, 93)), rng.choice((0, 2, 2))
        image.save(folder / f"{number:03}.jpg", quality=quality, subsampling=subsampling)


def build(site: Path, photographs: list[Path]) -> None:
    """Write pages of four photographs each, linked and not copied."""
    site.mkdir()
    for number in range(0, len(photographs), PAGE):
        group = photographs[number : number + PAGE]
        images = "".join(f'<p>About a picture.</p><img src="{path.name}" alt="">' for path in group)
        (site / f"{number}.html").write_text(f"<!doctype html><title>{number}</title><body>{images}</body>")
        for path in group:
            os.link(path, site / path.name)


@dataclass
class Run:
    """What one first build took, in seconds, and what came of it."""

    wall: float
    cpu: float
    report: dict[str, Any]
    objects: dict[str, str]

    @classmethod
    def of(cls, photographs: list[Path], checkout: Path) -> Run:
        """Publish the photographs with the s3img of a checkout."""
        with tempfile.TemporaryDirectory(dir=photographs[0].parent.parent) as name:
            site, store = Path(name, "site"), Path(name, "store")
            build(site, photographs)
            store.mkdir()
            environ = os.environ | {"PYTHONPATH": str(checkout), "XDG_CACHE_HOME": f"{name}/cache"}
            command = [sys.executable, "-m", "s3img", "publish", str(site), "--json", "--public-url", PUBLIC_URL]
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            done = subprocess.run(
                [*command, "--bucket", store.as_uri(), "--no-check-public"],
                env=environ,
                cwd=name,
                capture_output=True,
                text=True,
                check=True,
            )
            wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            files = [path for path in store.rglob("*.*") if path.is_file() and ".s3img" not in path.parts]
            objects = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return cls(wall, cpu, json.loads(done.stdout), objects)

    def __str__(self) -> str:
        report = self.report
        busy = self.cpu / self.wall / len(os.sched_getaffinity(0))
        offered = ", ".join(f"{row['format']} {row['variants']} ({row['bytes']:,} bytes)" for row in report["formats"])
        return f"{self.wall:.1f} s, CPU {self.cpu:.1f} s ({busy:.0%} busy), {report['rendered']} rendered; {offered}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--crops", type=Path)
    parser.add_argument("--count", type=int, default=119)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.crops:
        make_crops(sorted(arguments.crops.rglob("*.jpg")), folder, arguments.count)
    photographs = sorted(path.resolve() for path in folder.glob("*.jpg"))
    checkouts = [Path(__file__).parent.parent, *([arguments.against.resolve()] if arguments.against else [])]
    print(f"{len(photographs)} photographs, {sum(path.stat().st_size for path in photographs):,} bytes")
    runs: list[list[Run]] = [[] for _ in checkouts]
    for turn in range(arguments.rounds):
        for number in range(len(checkouts))[:: -1 if turn % 2 else 1]:
            runs[number].append(Run.of(photographs, checkouts[number]))
            print("against" if number else "this", runs[number][-1], flush=True)
    if arguments.against:
        this, other = runs
        for what in ("wall", "cpu"):
            ratio = median(getattr(a, what) / getattr(b, what) for a, b in zip(this, other, strict=True))
            print(f"{what}: {ratio:.2f} of the other's")
        one, two = this[0].objects, other[0].objects
        changed = sum(one[name] != two[name] for name in one.keys() & two.keys())
        print(f"{len(one)} objects, {len(two)} of the other's; {changed} of the same key have other bytes")


if __name__ == "__main__":
    main()
