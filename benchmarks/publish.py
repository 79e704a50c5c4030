"""Time publishing a site of 1,000 pages and 1,000 images against merely reading its files, paired in one run.

    python benchmarks/publish.py [--pages 1000] [--rounds 7]

Every measured run is a process of its own, as a user starts it; the reader is one too. Images are published into a
folder that stands for the bucket, and once into a moto server to count requests.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from sites import photo

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


def build(site: Path, pages: int, *, padding: int = 0, seed: int = 1) -> None:
    """Write pages of about 30 kB, each showing an image of its own and its neighbour's, of about 100 kB."""
    rng = random.Random(seed)
    site.mkdir(parents=True)
    (site / "img").mkdir()
    bodies = [photo(900, 600, seed=number) for number in range(12)]
    for number in range(pages):
        mark = f"<!-- {number} -->".encode() + rng.randbytes(padding)
        body = bodies[number % len(bodies)]
        (site / "img" / f"{number}.jpg").write_bytes(body + mark)  # different content, same picture
        text = "".join(
            f"<p class=x><a href='p{n}.html'>{' '.join(rng.choices(WORDS, k=40))}</a></p>\n" for n in range(100)
        )
        images = f'<img src="img/{number}.jpg" alt=""><img src="img/{(number + 1) % pages}.jpg" alt="">'
        (site / f"p{number}.html").write_text(
            f"<!doctype html><html><head><title>{number}</title></head><body>{images}{text}</body></html>"
        )


def timed(command: list[str], environ: dict[str, str]) -> tuple[float, float, str]:
    """Return wall seconds, CPU seconds and output of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--padding", type=int, default=0, help="bytes to append to each image")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), arguments.pages, arguments.rounds, arguments.padding)


def run(work: Path, pages: int, rounds: int, padding: int) -> None:
    site, fresh = work / "site", work / "fresh"
    build(fresh, pages, padding=padding)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ = {**inherited, "S3IMG_CACHE_DIR": str(work / "cache"), "S3IMG_WIDTHS": "320", "S3IMG_FORMATS": "webp"}
    publish = [sys.executable, "-m", "s3img", "publish", str(site), "--json"]
    publish += ["--bucket", (work / "store").as_uri(), "--public-url", "https://img.example.com"]
    read = [sys.executable, "-c", READER, str(site)]
    shutil.copytree(fresh, site)
    wall, cpu, output = timed(publish, environ)
    print(f"first publish: {wall:.2f} s wall, {cpu:.2f} s CPU, {json.loads(output)['requests']}")
    rows: dict[str, list[tuple[float, float]]] = {
        "second run": [],
        "read": [],
        "no cache": [],
        "rebuilt site": [],
        "read rebuilt": [],
    }
    requests: dict[str, object] = {}
    for number in range(rounds):
        shutil.rmtree(site)
        shutil.copytree(fresh, site)
        rows["read rebuilt"].append(timed(read, environ)[:2])
        for name in ("rebuilt site", "second run", "no cache"):
            if name == "second run":
                time.sleep(0.2)  # until file times tell a change
                rows["read"].append(timed(read, environ)[:2])
            cache = str(work / f"empty-{number}") if name == "no cache" else environ["S3IMG_CACHE_DIR"]
            wall, cpu, output = timed(publish, {**environ, "S3IMG_CACHE_DIR": cache})
            rows[name].append((wall, cpu))
            requests[name] = json.loads(output)["requests"]
    print(f"{'':16}{'wall s':>8}{'CPU s':>8}   requests")
    for name, values in rows.items():
        walls, cpus = zip(*values, strict=True)
        print(f"{name:16}{statistics.median(walls):8.3f}{statistics.median(cpus):8.3f}   {requests.get(name, '')}")
    for name, base in (("second run", "read"), ("no cache", "read"), ("rebuilt site", "read rebuilt")):
        ratio = statistics.median(a[0] / b[0] for a, b in zip(rows[name], rows[base], strict=True))
        print(f"{name}: {ratio:.2f} x reading (wall, median of pairs)")


if __name__ == "__main__":
    main()
