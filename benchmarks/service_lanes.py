"""What a thumbnail waits for beside clients that ask for AVIFs: places for encoding apart from those for decoding.

    python benchmarks/service_lanes.py --seconds 12 --rounds 3

One engine in this process, a folder as its origin, no store. "Shared" leaves no room for pictures that wait to be
encoded: each keeps its place for decoding until it is done, as if the two had their places in common.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from sites import photo

from s3img.buckets import open_bucket
from s3img.service.engine import Budget, Engine, EngineOptions, RenderJob, SourceRef
from s3img.transform import Transform

CLIENTS = 8
SETTINGS = {"apart": EngineOptions(), "shared": EngineOptions(drawn_bytes=0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, (width, height) in {"large.jpg": (3000, 2000), "small.jpg": (800, 533)}.items():
            Path(folder, name).write_bytes(photo(width, height))
        print("| places | thumbnails, median ms | 95 % below | AVIFs in the same time |\n|---|---|---|---|")
        for _ in range(options.rounds):
            for name, settings in SETTINGS.items():
                waits, made = run(folder, settings, options.seconds)
                print(f"| {name} | {1000 * median(waits):.0f} | {1000 * quantiles(waits, n=20)[-1]:.0f} | {made} |")


def run(folder: str, settings: EngineOptions, seconds: float) -> tuple[list[float], int]:
    """Return how long each thumbnail took, and how many AVIFs were made meanwhile."""
    bucket = open_bucket(Path(folder).as_uri())
    engine = Engine(lambda _: bucket, settings)
    end = time.monotonic() + seconds
    numbers, waits, made = itertools.count(), [], []

    def ask(key: str, transform: str) -> float:
        started = time.monotonic()
        engine.result(RenderJob(SourceRef("pictures", key), Transform.parse(transform)), Budget.of(120))
        return time.monotonic() - started

    def pictures() -> None:
        while time.monotonic() < end:
            made.append(ask("large.jpg", f"w-{1000 + next(numbers)},f-avif"))

    threads = [threading.Thread(target=pictures) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        waits.append(ask("small.jpg", f"w-200,h-{100 + next(numbers)},f-webp"))
    for thread in threads:
        thread.join()
    engine.close()
    return waits, len(made)


if __name__ == "__main__":
    main()
