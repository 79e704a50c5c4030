"""Run tasks in forked processes: a decoder that hangs, crashes or is taken over ends with its own picture."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from s3img.errors import DECODE_ERRORS, Busy, ConfigError, ForkServerFailed, ImageError, TransformError
from s3img.imaging.isolation.fork_server import ForkServer, can_fork, fork_server
from s3img.imaging.isolation.process_messages import (
    LONGEST_HEAD,
    LONGEST_REPLY,
    REPLY,
    ReplyHead,
    Task,
    TaskCall,
    TaskResult,
    unpack_reply,
)
from s3img.imaging.probing import too_large

if TYPE_CHECKING:
    from s3img.limits import Limits

LOGGER: Final = logging.getLogger("s3img.imaging")

TICK: Final = 0.1
"""Seconds between two looks at whether a call is still wanted."""

_MOST_CALLS: Final = 500
"""Calls after which a process is replaced: memory that codecs have scattered comes back."""
_ATTEMPTS: Final = 4
"""Idle processes may have ended meanwhile, all of them where a machine has slept."""
_MOST_FAILURES: Final = 3
"""Failures to start the first process, after which nothing can be expected of further ones."""
_LAST: Final = 15
"""By how much a process gives way that has taken long; others that render do by a third of it."""
_CRASHES: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE})
"""Signals that a decoder brings upon itself; others come from outside."""
_GRACE: Final = 0.25
"""Seconds for a task to notice by itself that its time is up: its own words are better."""
_LEAST_MEMORY: Final = 1 << 30
"""Bytes of a machine or container below which processes of their own would take too much of it."""
_CGROUP_FILES: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def is_isolated(limits: Limits) -> bool:
    """Tell whether untrusted pictures are decoded in processes of their own, as ``limits.isolate`` says.

    ``"auto"`` does it where the system can and has the memory. Raise ConfigError where it is asked for and impossible.
    """
    if limits.isolate is True and not can_fork():
        raise ConfigError(['limits.isolate: this system or interpreter can\'t fork processes: write "auto" or false'])
    return limits.isolate is True or (limits.isolate == "auto" and can_fork() and _memory() >= _LEAST_MEMORY)


@lru_cache(maxsize=1)
def _memory() -> int:
    """Return the bytes that this machine, or the container around this process, has."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _CGROUP_FILES:
        with suppress(OSError, ValueError):  # "max" is not a number
            found.append(int(Path(name).read_text()))
    return min(found)


def memory_bound(limits: Limits) -> int:
    """Return the bytes that the largest picture within the limits may take to render, with room to spare.

    Four bytes a px, and copies of them: as decoded, as converted, as resized. Frames of an animation are there once.
    """
    return (1 << 29) + 16 * (limits.input_pixels + limits.output_pixels) + 4 * limits.frame_pixels


class WorkerProcess:
    """One process; used by one thread at a time."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self._socket, theirs = socket.socketpair()
        try:
            self.pid = server.fork(theirs)
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
        self.calls = 0
        self.is_slow = False

    def slow_down(self) -> None:
        """Let others have the processors first. There is no way back, so this process ends after its call."""
        self.is_slow = True
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, os.getpriority(os.PRIO_PROCESS, 0) + _LAST)

    def send(self, head: bytes, data: bytes, until: float) -> None:
        """Send a call; raise OSError where the process has ended, TimeoutError."""
        self.calls += 1
        self._socket.settimeout(max(TICK, until - time.monotonic()))
        self._socket.sendall(head)
        self._socket.sendall(data)

    def receive(self, until: float, look: Look) -> TaskResult:
        """Wait for the reply; raise EOFError where the process ends, TimeoutError, and what ``look`` raises."""
        started = time.monotonic()

        def read(size: int) -> bytes:
            data = bytearray()
            while len(data) < size:
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._socket.settimeout(min(TICK, left))
                try:
                    chunk = self._socket.recv(min(size - len(data), 1 << 20))
                except TimeoutError:
                    look(self, time.monotonic() - started)
                    continue
                except ConnectionResetError:
                    raise EOFError from None
                if not chunk:
                    raise EOFError
                data += chunk
            return bytes(data)

        (size,) = REPLY.unpack(read(REPLY.size))
        head = msgspec.msgpack.decode(read(min(size, LONGEST_HEAD)), type=ReplyHead)
        sizes = [one.size for one in head.pictures]
        if min(sizes, default=0) < 0 or sum(sizes) > LONGEST_REPLY:
            raise msgspec.ValidationError("sizes of results")
        return unpack_reply(head, read)

    def end(self, *, now: bool) -> int:
        """End the process, at once or as soon as it sees that nobody sends any more; return its status, -1 unknown."""
        try:
            self._socket.close()
            return self._server.kill(self.pid) if now else self._server.wait(self.pid)
        except ForkServerFailed:  # it has ended, and all of its processes with it
            return -1

    def forget(self) -> None:
        """Close this process's copy of the socket: after a fork, the worker is the parent's."""
        self._socket.close()


Look: TypeAlias = Callable[[WorkerProcess, float], None]
"""Called with a process and the seconds of its call, every `TICK`; what it raises ends the process."""


def _only_wait(_: WorkerProcess, __: float) -> None:
    return


class RenderProcesses:
    """Lend processes to calls, one each; as many as are called at a time. Safe to share between threads.

    Those that are idle end by themselves after a minute.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._failures = 0
        self._has_started = False

    @property
    def can_start(self) -> bool:
        """Tell whether processes have started, or might: an embedded interpreter may turn out to be none."""
        return self._has_started or self._failures < _MOST_FAILURES

    def start(self) -> None:
        """Start loading the codecs without waiting for it; raise `ForkServerFailed`."""
        fork_server()

    def run(
        self,
        task: Task,
        data: bytes,
        *,
        limits: Limits,
        until: float = float("inf"),
        look: Look = _only_wait,
    ) -> TaskResult:
        """Return what ``task(data)`` returns, or raise the ``ImageError`` or ``TransformError`` that it raises.

        Its process is ended after ``limits.seconds`` (`ImageTooLarge`) or at ``until`` (``time.monotonic()``;
        TimeoutError). Raise ``ImageError`` where the decoder crashes, `Busy` where the process is killed from outside,
        `ForkServerFailed`.
        """
        own = time.monotonic() + limits.seconds + _GRACE
        end = min(own, until)
        head = TaskCall(task, memory_bound(limits)).pack(data)
        for attempt in range(1, _ATTEMPTS + 1):
            process = self._lend(is_new=attempt == _ATTEMPTS)
            is_whole = False
            try:
                process.send(head, data, end)
                result = process.receive(end, look)
                is_whole = True
            except TimeoutError:
                if end < own:
                    raise
                seconds = limits.seconds
                raise too_large("seconds", f"Rendering takes more than {seconds:g} s", seconds) from None
            except DECODE_ERRORS as error:
                what = "The process that decodes this picture gave an answer that can't be read."
                raise ImageError(what, fix="Try it again, and report it if it stays so.") from error
            except (EOFError, OSError) as error:
                status = process.end(now=False)
                # It was idle, and ended for that or was ended: a call is only looked at once all of it is there.
                if status == 0 or isinstance(error, BrokenPipeError):
                    continue
                raise _loss(status) from error
            except (ImageError, TransformError):  # an answer, too
                is_whole = True
                raise
            finally:
                self._take_back(process, is_whole=is_whole)
            return result
        raise _loss(-1)

    def end_idle(self) -> None:
        """End the processes that do nothing now."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end(now=True)

    def forget(self) -> None:
        """Leave all processes to the parent, of which this process was forked."""
        self._lock = threading.Lock()  # another thread of the parent may have had it
        for process in self._idle:
            process.forget()
        self._idle = []

    def _lend(self, *, is_new: bool) -> WorkerProcess:
        with self._lock:
            if self._idle and not is_new:
                return self._idle.pop()  # the latest: the others may end of idleness
        try:
            process = WorkerProcess(fork_server())
        except ForkServerFailed as error:
            self._failures += 1
            if not self.can_start:
                LOGGER.warning('%s Where limits.isolate is "auto", pictures are decoded in this process now.', error)
            raise
        self._has_started = True
        return process

    def _take_back(self, process: WorkerProcess, *, is_whole: bool) -> None:
        if is_whole and process.calls < _MOST_CALLS and not process.is_slow:
            with self._lock:
                self._idle.append(process)
        else:
            process.end(now=True)


def _loss(status: int) -> ImageError | Busy:
    """Return the error for a process that ended during its call: the picture's fault, or somebody else's."""
    number = os.WTERMSIG(status) if status >= 0 and os.WIFSIGNALED(status) else 0
    if number in _CRASHES:
        what = f"The decoder crashed over this picture ({signal.Signals(number).name})."
        return ImageError(what, fix="Export or download the image again, and report it to Pillow.")
    fix = "Try again in a moment. If it stays so, the machine is short of memory."
    return Busy("The process that rendered this picture was ended from outside.", retry_after=1, fix=fix)


def run_untrusted(task: Task, data: bytes, *, limits: Limits) -> TaskResult:
    """Return what ``task(data)`` returns, from another process where ``limits.isolate`` says so.

    Raise what `RenderProcesses.run` and ``task`` raise, ConfigError.
    """
    if is_isolated(limits) and (limits.isolate is True or RENDER_PROCESSES.can_start):
        return RENDER_PROCESSES.run(task, data, limits=limits)
    return task(data)


RENDER_PROCESSES: Final = RenderProcesses()
"""Those of this process, which its services and uploads share."""
atexit.register(RENDER_PROCESSES.end_idle)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=RENDER_PROCESSES.forget)
