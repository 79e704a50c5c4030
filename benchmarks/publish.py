"""Time publishing a site of 1,000 pages and 1,000 images against merely reading its files, paired in one run.

    python -m pip install -e . --group test
    python benchmarks/publish.py [--pages 1000] [--rounds 7]

Every measured run is a process of its own, as a user starts it; the reader is one too. Images are of two sizes; they
are published into a folder that stands for the bucket, and into SeaweedFS. Prints the table of ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path[:0] = [str(Path(__file__).parent.parent / "tests" / "support")]

if TYPE_CHECKING:
    from s3_servers import S3Server

READER = """
import os, sys
total = 0
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            total += len(file.read())
print(total)
"""
WORDS = "the quick brown fox jumps over a lazy dog and then writes documentation about pictures".split()
SIZES = {"40 kB": (400, 270), "180 kB": (900, 600)}
"""Images of about so many bytes: their px."""

READ = "reading all files"
SECOND = "second run"
NO_CACHE = "second run, cache deleted"
REBUILT = "the same site built anew"
REBUILT_S3 = "the same, SeaweedFS"
PUBLIC_URL = "https://img.example.com"
BUCKET = "bench"


def build(site: Path, pages: int, pixels: tuple[int, int], *, seed: int = 1) -> None:
    """Write pages of about 28 kB, each showing an image of its own and its neighbour's."""
    from sites import photo

    rng = random.Random(seed)
    (site / "img").mkdir(parents=True)
    bodies = [photo(*pixels, seed=number) for number in range(12)]
    for number in range(pages):
        mark = f"<!-- {number} -->".encode()
        (site / "img" / f"{number}.jpg").write_bytes(bodies[number % 12] + mark)  # another content, the same picture
        text = "".join(
            f"<p class=x><a href='p{n}.html'>{' '.join(rng.choices(WORDS, k=40))}</a></p>\n" for n in range(100)
        )
        images = f'<img src="img/{number}.jpg" alt=""><img src="img/{(number + 1) % pages}.jpg" alt="">'
        (site / f"p{number}.html").write_text(
            f"<!doctype html><html><head><title>{number}</title></head><body>{images}{text}</body></html>"
        )


@dataclass
class Bench:
    """Hold a site as its generator built it, where it is published, and what was measured: wall and CPU seconds."""

    work: Path
    server: S3Server
    fresh: Path
    name: str
    rows: dict[str, list[tuple[float, float, float]]] = field(default_factory=lambda: defaultdict(list))
    requests: dict[str, dict[str, int]] = field(default_factory=dict)
    copies: int = 0

    @property
    def site(self) -> Path:
        return self.work / "site"

    def rebuild(self) -> None:
        """Build the site anew; the old one is only moved away, as deleting keeps a file system busy for minutes."""
        self.copies += 1
        if self.site.exists():
            self.site.rename(self.work / f"old-{self.copies}")
        shutil.copytree(self.fresh, self.site)
        time.sleep(0.2)  # until file times tell a change

    def read(self) -> float:
        wall, cpu, _ = timed([sys.executable, "-c", READER, str(self.site)], {})
        self.rows[READ].append((wall, cpu, 1))
        return wall

    def publish(self, row: str, target: list[str], cache: Path, *, reading: float) -> None:
        environ = {"XDG_CACHE_HOME": str(cache), "S3IMG_WIDTHS": "320", "S3IMG_FORMATS": "webp"}
        environ |= {"AWS_ACCESS_KEY_ID": self.server.access_key, "AWS_SECRET_ACCESS_KEY": self.server.secret_key}
        wall, cpu, output = timed([*program(), "publish", str(self.site), "--json", *target], environ)
        self.rows[row].append((wall, cpu, wall / reading))
        self.requests[row] = json.loads(output)["requests"]

    def run(self, rounds: int) -> None:
        """Publish for the first time, then measure."""
        cache, to = self.work / "cache", ["--public-url", PUBLIC_URL, "--bucket"]
        folder = [*to, (self.work / "store").as_uri()]
        s3 = [*to, f"s3://{BUCKET}/{self.fresh.name}", "--endpoint-url", self.server.endpoint_url]
        for target in (s3, folder):
            self.rebuild()
            self.publish("first publish", target, cache, reading=1)
        for number in range(rounds):
            for row, target in ((REBUILT_S3, s3), (REBUILT, folder)):
                self.rebuild()
                self.publish(row, target, cache, reading=self.read())
            time.sleep(0.2)
            self.publish(SECOND, folder, cache, reading=self.read())
            self.publish(NO_CACHE, folder, self.work / f"empty-{number}", reading=self.read())


def program() -> list[str]:
    """Return the command as it is installed, else the module."""
    script = Path(sys.executable).with_name("s3img")
    return [str(script)] if script.exists() else [sys.executable, "-m", "s3img"]


def timed(command: list[str], environ: dict[str, str]) -> tuple[float, float, str]:
    """Return wall seconds, CPU seconds and output of a process."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, env=inherited | environ, cwd="/", capture_output=True, text=True, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def report(benches: list[Bench]) -> None:
    print("| run | " + " | ".join(f"{bench.name}: s | CPU s | x reading" for bench in benches) + " | requests |")
    print("| --- |" + " --- | --- | --- |" * len(benches) + " --- |")
    for row in (READ, SECOND, NO_CACHE, REBUILT, REBUILT_S3):
        cells = [f"{median(column):.2f}" for bench in benches for column in zip(*bench.rows[row], strict=True)]
        requests = ", ".join(f"{count} {name}" for name, count in benches[0].requests.get(row, {}).items() if count)
        print(f"| {row} | {' | '.join(cells)} | {requests or 'none' if row != READ else ''} |")
    for bench in benches:
        print(f"first publish, {bench.name}: {', '.join(f'{wall:.1f} s' for wall, *_ in bench.rows['first publish'])}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    from s3_servers import running_seaweedfs

    benches = []
    with tempfile.TemporaryDirectory() as name, running_seaweedfs(Path(name)) as server:
        server.client().create_bucket(Bucket=BUCKET)
        for title, pixels in SIZES.items():
            work = Path(name) / title.replace(" ", "")
            fresh = work / title.replace(" ", "")
            build(fresh, arguments.pages, pixels)
            benches.append(Bench(work, server, fresh, title))
            benches[-1].run(arguments.rounds)
    report(benches)


if __name__ == "__main__":
    main()
