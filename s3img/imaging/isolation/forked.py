"""The other side of `ForkServer`: the server's loop, and the loop of each process that it forks."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final

from s3img.errors import S3ImgError
from s3img.imaging.isolation.fork_server import ANSWER, COMMAND, FORK, KILL
from s3img.imaging.isolation.process_messages import (
    CALL,
    LONGEST_REPLY,
    ErrorRecord,
    ReplyHead,
    TaskCall,
    pack_head,
    pack_reply,
)
from s3img.imaging.probing import too_large

NICENESS: Final = 5
"""By how much processes give way to the one that started them: what it has ready should not wait for a picture.

They then have a third of the weight of other programs. Much more, and those could starve them.
"""
IDLE: Final = 60.0
"""Seconds after which a process that nobody asks for anything ends, so that its memory comes back."""

_QUIET: Final = 1.0
"""Seconds after which memory that is kept for the next call goes back."""

_MODULES: Final = (
    "attention",
    "clean",
    "description",
    "effects",
    "isolation.tasks",
    "pipeline",
    "processing",
    "pyramid",
)
"""What rendering needs, loaded once before anything is forked."""
_SELF_TESTS: Final = (("libwebp", "libwebp"), ("png_rows", "row_reader"), ("resize", "fast_resizer"))
"""Functions that load a library and compare it with Pillow. Every process would take 10 ms for each."""
_PR_SET_PDEATHSIG: Final = 1  # of linux/prctl.h


def serve() -> None:
    """Fork processes until the one that started this closes its socket, then end all of them."""
    # Signals for a whole group (Ctrl-C, systemd's stop) reach us too, while requests under way still need us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    control.settimeout(None)  # a parent whose sockets gevent has replaced hands over one that does not wait
    for name in _MODULES:
        import_module(f"s3img.imaging.{name}")
    for name, function in _SELF_TESTS:
        getattr(import_module(f"s3img.imaging.{name}"), function)()
    gc.collect()
    gc.freeze()  # a collection in a forked process would copy every page that the modules are on
    children: set[int] = set()
    with suppress(OSError):
        while True:
            command, fds, _, _ = socket.recv_fds(control, COMMAND.size, 1, socket.MSG_WAITALL)
            if len(command) < COMMAND.size:
                break
            letter, pid = COMMAND.unpack(command)
            if letter == FORK:
                answer = _fork(control, fds[0])
                children.add(answer)
            else:
                answer = _end(pid, children, kill=letter == KILL)
            control.sendall(ANSWER.pack(answer))
    for pid in children:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _end(pid: int, children: set[int], *, kill: bool) -> int:
    if pid not in children:
        return -1
    children.remove(pid)
    if kill:
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def _fork(control: socket.socket, channel: int) -> int:
    server = os.getpid()
    if pid := os.fork():
        os.close(channel)
        return pid
    status = 1
    try:
        control.close()
        _end_with_parent(server)
        _confine()
        work(socket.socket(fileno=channel))
        status = 0
    finally:
        os._exit(status)  # not by raising, which would go on in the server's own loop


def _end_with_parent(server: int) -> None:
    """Let the kernel end this process with the server, also while a decoder has the thread; Linux has that."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # it ended before the line above
        os._exit(0)


def _confine() -> None:
    """Give way, leave no core, write no file larger than an answer may be, and go first when memory is short."""
    os.nice(NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")
    for limit, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, LONGEST_REPLY)):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (most, most))


def _bound_memory(start: int, memory: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    bound = start + memory
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))


def _address_space() -> int:
    """Return the bytes of this process's address space, 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def work(channel: socket.socket) -> None:
    """Answer calls until nobody sends any."""
    start = _address_space()
    is_whole = True
    while is_whole:  # after a bug, or without memory, a new process is safer than this one
        try:
            first = _first_byte(channel)
            sizes = CALL.unpack(first + _read(channel, CALL.size - 1))
            body, data = (_read(channel, size) for size in sizes)
        except (TimeoutError, EOFError):
            return
        call = TaskCall.unpack(body)
        if start:
            _bound_memory(start, call.memory)
        parts, is_whole = _answer(call, data)
        for part in parts:
            channel.sendall(part)
        del body, call, data, parts  # what a call took is given back before the next one comes


def _first_byte(channel: socket.socket) -> bytes:
    """Wait for the next call; raise TimeoutError where none comes.

    Between calls that follow upon each other, the heap keeps its pages: to have them cleared by the system again takes
    longer than small pictures do. There is one thread, so there is one heap, and it goes back when it is quiet.
    """
    try:
        channel.settimeout(_QUIET)
        return channel.recv(1)
    except TimeoutError:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        channel.settimeout(IDLE)
        return channel.recv(1)
    finally:
        channel.settimeout(None)  # MSG_WAITALL waits only without one


def _read(channel: socket.socket, size: int) -> bytes:
    """Read exactly so many bytes; raise EOFError where the other side has closed."""
    data = channel.recv(size, socket.MSG_WAITALL) if size else b""
    if len(data) < size:
        raise EOFError
    return data


def _answer(call: TaskCall, data: bytes) -> tuple[list[bytes], bool]:
    """Return the parts of the reply, and whether this process is fit for another call."""
    try:
        return pack_reply(call.task(data)), True
    except S3ImgError as error:
        return pack_head(ReplyHead(error=ErrorRecord.of(error))), True
    except MemoryError:
        short = too_large("memory", "Rendering takes more memory than there is for one picture", call.memory)
        return pack_head(ReplyHead(error=ErrorRecord.of(short))), False
    except Exception:
        return pack_head(ReplyHead(bug=traceback.format_exc(limit=20)[:20_000])), False
