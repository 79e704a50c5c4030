"""Publish sites of 1,000, 10,000 and 50,000 pages, each page with a picture of its own, and see what a page takes.

    python -m pip install -e . --group test
    python benchmarks/publish_growth.py [--counts 1000 10000 50000] [--rounds 3]

Pages have about 7 kB, in folders of 1,000; pictures are drawings (SVG), so that nothing is rendered, and the bucket is
a folder. After a first run, which puts every picture, the site is built anew in each round. Every run is a process of
its own; what one page alone takes is left out. Prints the table of ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from publish import PUBLIC_URL, program

PARAGRAPH = "<p>The quick brown fox jumps over a lazy dog and then writes documentation about pictures.</p>\n"
IN_FOLDER = 1000


def build(site: Path, pages: int) -> None:
    """Write the pages and the pictures."""
    picture = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><title>{}</title></svg>'
    for number in range(pages):
        folder = site / f"{number // IN_FOLDER:03}"
        if number % IN_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number}.svg").write_text(picture.format(number))
        text = f'<!doctype html><title>{number}</title><img src="{number}.svg" alt="">{PARAGRAPH * 70}'
        (folder / f"{number}.html").write_text(text)


def publish(fresh: Path, work: Path) -> tuple[float, float]:
    """Publish a copy of a site; return seconds of the processor and the peak of memory in MB."""
    shutil.rmtree(work / "site", ignore_errors=True)
    shutil.copytree(fresh, work / "site", copy_function=os.link)  # pages are replaced, never written to
    environ = os.environ | {"XDG_CACHE_HOME": str(work / "cache")}
    target = ["--public-url", PUBLIC_URL, "--bucket", (work / "store").as_uri(), "--no-check-public", "--json"]
    command = [*program(), "publish", str(work / "site"), *target]
    running = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 50_000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| pages | first run: ms a page | MB | kB a page | built anew: ms a page | MB | kB a page |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        start = 0.0, 0.0
        for count in (1, *arguments.counts):
            work = Path(name) / str(count)
            build(work / "fresh", count)
            runs = [publish(work / "fresh", work) for _ in range(1 + arguments.rounds)]
            rows = [runs[0], tuple(map(median, zip(*runs[1:], strict=True)))]
            if count == 1:
                start = rows[1]
                continue
            cells = []
            for seconds, megabytes in rows:
                a_page = 1000 * (megabytes - start[1]) / count
                cells.append(f"{1000 * (seconds - start[0]) / count:.2f} | {megabytes:.0f} | {a_page:.1f}")
            print(f"| {count:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
