"""Time reading a lock of 200,000 lines, without and with variants: processor time and memory of a process each.

    python benchmarks/lock.py [--lines 200000] [--rounds 5]

"All entries" is what asking for every line takes afterwards, once. Prints the table of ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from statistics import median

from s3img.lock import Lock, LockedVariants, LockEntry, write_lock

VARIANTS = LockedVariants(
    "50524302", (("avif", (320, 640, 960, 1280, 1920)), ("webp", (320, 640, 960, 1280, 1920)), ("jpeg", (640,)))
)
READER = """
import re, sys, time
from pathlib import Path
from s3img.lock import read_lock

def used():  # the peak of resource.getrusage would be that of the parent, which is larger
    peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
    return time.process_time(), int(peak[1]) / 1024

(start, before), lock = used(), read_lock(Path(sys.argv[1]))
read, megabytes = used()
list(lock)
print(read - start, megabytes - before, used()[0] - read)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print("| lines | MB | read, s | memory, MB | all entries, s |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for title, variants in (("without variants", None), ("with eleven variants each", VARIANTS)):
            path = Path(folder) / "s3img.lock"
            write_lock(path, Lock.of(entry(number, variants) for number in range(arguments.lines)))
            runs = [
                [float(text) for text in subprocess.check_output([sys.executable, "-c", READER, path]).split()]
                for _ in range(arguments.rounds)
            ]
            read, megabytes, values = (median(column) for column in zip(*runs, strict=True))
            print(f"| {title} | {path.stat().st_size / 1e6:.0f} | {read:.2f} | {megabytes:.0f} | {values:.2f} |")


def entry(number: int, variants: LockedVariants | None) -> LockEntry:
    """Return the line of one of many pictures."""
    digest = sha256(str(number).encode()).hexdigest()
    path = f"photos/{number % 97:03}/summer-{number:06}.jpg"
    key = f"img/{path.removesuffix('.jpg')}.{digest[:8]}.jpg"
    return LockEntry(path, digest, 3_141_592, 4000, 3000, "image/jpeg", key, f"#{digest[:6]}", variants)


if __name__ == "__main__":
    main()
