"""Look through 10,000, 100,000 and 1,000,000 objects as `s3img gc` does, by a stub for the listing.

    python benchmarks/clean_up.py

All but 10,000 objects are in use: keys that the lock names are made before, and their memory is not counted. Each run
is a process of its own. Prints the table of ``docs/benchmarks.md``.
"""

from __future__ import annotations

import subprocess
import sys

RUN = """
import re, sys, time
from datetime import UTC, datetime
from pathlib import Path
from s3img.buckets import MARKER, ObjectInfo
from s3img.gc.clean_up import collect

class Listing:
    name, requests = "s3://stub", {}

    def list(self, prefix=""):
        return (info(number) for number in range(0 if prefix else count))

    def head(self, key):
        return info(int(key[:-4]))

    def unfinished(self):
        return iter(())

def info(number):
    return ObjectInfo(f"{number:012}.jpg", 1000, f"{number:032x}", datetime(2026, 1, 1, tzinfo=UTC), metadata=MARKER)

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

count = int(sys.argv[1])
kept = frozenset(f"{number:012}.jpg" for number in range(10_000, count))
before, start = peak(), time.process_time()
result = collect(Listing(), kept=kept)
assert (result.objects, result.live) == (count, len(kept))
print(time.process_time() - start, peak() - before)
"""


def main() -> None:
    print("| objects | processor time, s | memory, MB |")
    print("| --- | --- | --- |")
    for count in (20_000, 100_000, 1_000_000):
        seconds, megabytes = map(float, subprocess.check_output([sys.executable, "-c", RUN, str(count)]).split())
        print(f"| {count:,} | {seconds:.1f} | {megabytes:.0f} |")


if __name__ == "__main__":
    main()
