"""What a decoder that goes wrong does, for tests to send to processes that render; each takes a source's bytes."""

from __future__ import annotations

import ctypes
import os
import re
import signal
from typing import NoReturn

from s3img.imaging.image_info import Rendered
from s3img.imaging.isolation.process_messages import TaskResult
from s3img.imaging.libwebp import libwebp
from s3img.imaging.png_rows import row_reader
from s3img.imaging.resize import fast_resizer

_FOR_EVER = re.compile(r"(a+)+$")


def hang(data: bytes) -> bytes:
    """Never return, inside compiled code that keeps the interpreter locked."""
    _FOR_EVER.match("a" * 64 + "b")
    return data


def crash(data: bytes) -> bytes:
    """Read where nothing is."""
    ctypes.string_at(0)
    return data


def be_killed(data: bytes) -> bytes:
    """End as the system ends what takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return data


def take_memory(data: bytes) -> bytes:
    """Take more and more memory."""
    held = [bytes(1 << 28) for _ in range(1 << 10)]  # never touched, so that only addresses are used up
    return data[: len(held)]


def fail(data: bytes) -> bytes:
    """Raise what nobody foresaw."""
    raise KeyError(len(data))


def tell_environment(_: bytes) -> bytes:
    """Return the names of the environment's variables."""
    return "\n".join(sorted(os.environ)).encode()


def tell_niceness(_: bytes) -> bytes:
    """Return by how much this process gives way to others."""
    return str(os.getpriority(os.PRIO_PROCESS, 0)).encode()


def echo(data: bytes) -> bytes:
    """Return what came."""
    return data


def as_task(data: bytes, name: str) -> TaskResult:
    """Run one of the others as a task."""
    return TaskResult([Rendered(globals()[name](data), "", 0, 0)])


def hang_as_task(data: bytes, **_: object) -> TaskResult:
    """Stand in for any task, and never return."""
    return TaskResult([Rendered(hang(data), "", 0, 0)])


def hang_as_drawing(data: bytes, _: object) -> NoReturn:
    """Stand in for what draws a picture, and never return."""
    raise AssertionError(hang(data))


def process_id(_: bytes) -> bytes:
    """Return the id of the process."""
    return b"%d" % os.getpid()


def count_self_tests(_: bytes) -> bytes:
    """Return how many of the libraries that are compared with Pillow have been, before this call."""
    return b"%d" % sum(function.cache_info().currsize for function in (libwebp, row_reader, fast_resizer))
