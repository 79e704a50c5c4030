"""What rendering in processes of their own costs the service, and what four bad requests cost a good one.

    python benchmarks/isolation.py --rounds 9 --requests 60

Two services over one folder, one that renders in its own threads, one in processes that can be ended, in turns. The
ratio is that of their processor time, render processes included: on a busy machine the clock tells of other programs.
A bad request is a JPEG of 20 scans of 13,000 x 13,000 px, as much as the limits let through.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from sites import photo
from werkzeug.test import Client

from s3img.config import Config
from s3img.limits import Limits
from s3img.service.app import TransformService

SIDE = 13_000
KINDS = {"jpeg": (300, "f-jpg"), "webp": (640, "f-webp"), "from a thumbnail": (100, "f-webp")}
SOURCES = {"jpeg": "photo.jpg", "webp": "photo.jpg", "from a thumbnail": "small.jpg"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "pictures")
        pictures.mkdir()
        (pictures / "photo.jpg").write_bytes(photo(1800, 1200))
        (pictures / "small.jpg").write_bytes(photo(400, 300))
        (pictures / "bad.jpg").write_bytes(scans(20))
        services = {kind: service(folder, isolate=kind == "processes") for kind in ("threads", "processes")}
        try:
            print("| request | threads, CPU ms | processes, CPU ms | throughput, ratio |\n|---|---|---|---|")
            for name in KINDS:
                print(row(services, name, options.rounds, options.requests))
            print(delays(services["processes"], options.requests))
        finally:
            for one in services.values():
                one.close()


def service(folder: str, *, isolate: bool) -> TransformService:
    config = Config(
        bucket=Path(folder, "pictures").as_uri(),
        cache_dir=str(Path(folder, f"cache-{isolate}")),
        access="open",
        limits=Limits(isolate=isolate, jpeg_pixels=400_000_000, input_pixels=400_000_000),
    )
    return TransformService(config, environ={})


def row(services: dict[str, TransformService], name: str, rounds: int, requests: int) -> str:
    """Measure one kind of request; each asks for a result that nobody has."""
    times: dict[str, list[float]] = {kind: [] for kind in services}
    numbers = itertools.count(1)
    for turn in range(rounds + 1):
        for kind in sorted(services, reverse=turn % 2 == 1):  # neither of the two is always the first
            started = processor_time()
            for _ in range(requests):
                number, (width, form) = next(numbers), KINDS[name]
                ask(services[kind], f"w-{width + number // 60},{form},q-{number % 60 + 30}", SOURCES[name])
            if turn:  # the first round starts processes
                times[kind].append((processor_time() - started) / requests * 1000)
    ratio = median(one / other for one, other in zip(times["threads"], times["processes"], strict=True))
    return f"| {name} | {median(times['threads']):.2f} | {median(times['processes']):.2f} | {ratio:.2f} |"


def ask(app: TransformService, transform: str, path: str) -> float:
    """Ask for a picture and return the seconds that it took."""
    started = time.monotonic()
    answer = Client(app).get(f"/tr:{transform}/{path}")
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status} {answer.text}")
    answer.close()
    return time.monotonic() - started


def delays(app: TransformService, requests: int) -> str:
    """Ask for good pictures alone, then while four bad ones are asked for all the time."""
    numbers = itertools.count(1)

    def good() -> list[float]:
        return [ask(app, f"w-{next(numbers) + 100},f-jpg", "photo.jpg") for _ in range(requests)]

    alone = good()
    ended, running = threading.Event(), threading.Semaphore(0)

    def bad() -> int:
        count = 0
        while not ended.is_set():
            running.release()
            Client(app).get(f"/tr:w-{next(numbers) + 5000},f-jpg/bad.jpg").close()
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        four = [pool.submit(bad) for _ in range(4)]
        for _ in four:
            running.acquire()
        time.sleep(0.5)
        beside = good()
        ended.set()
        count = sum(one.result() for one in four)
    return (
        f"good requests, ms: alone {1000 * median(alone):.0f}, at most {1000 * max(alone):.0f}; "
        f"beside {count} bad ones, four at a time: median {1000 * median(beside):.0f}, "
        f"95 % below {1000 * quantiles(beside, n=20)[-1]:.0f}, at most {1000 * max(beside):.0f}"
    )


def processor_time() -> float:
    """Return the seconds of processors that this process and those below it have used."""
    own = os.getpid()
    ticks, parents = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(") ")[2].split()
            except OSError:  # it has ended
                continue
            parents[int(entry.name)] = int(fields[1])
            ticks[int(entry.name)] = sum(map(int, fields[11:15]))  # with those of children that ended

    def is_below(pid: int) -> bool:
        while pid and pid != own:
            pid = parents.get(pid, 0)
        return pid == own

    return sum(count for pid, count in ticks.items() if is_below(pid)) / os.sysconf("SC_CLK_TCK")


def scans(count: int) -> bytes:
    """Return a progressive JPEG of one colour whose scans cost time and nearly no bytes (ITU-T T.81, G)."""
    one_code = (2 + 17 + 1).to_bytes(2) + b"%b\1" + bytes(15) + b"\0"  # a table with the code 0, which means 0
    tables = b"".join(b"\xff\xc4" + one_code.replace(b"%b", bytes([kind])) for kind in (0x00, 0x10))
    start = b"\xff\xd8\xff\xdb\0\x43\0" + bytes([1]) * 64 + b"\xff\xc2\0\x0b\x08" + SIDE.to_bytes(2) * 2 + b"\1\1\x11\0"
    blocks = (SIDE // 8 + 1) ** 2
    first = b"\xff\xda\0\x08\1\1\0\0\0\0" + bytes(blocks // 8 + 1)  # one bit a block: no difference
    more = b"\xff\xda\0\x08\1\1\0\1\x3f\0" + bytes(blocks // 8 + 1)  # one bit a block: its end
    return start + tables + first + more * (count - 1) + b"\xff\xd9"


if __name__ == "__main__":
    main()
