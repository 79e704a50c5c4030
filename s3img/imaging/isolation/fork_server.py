"""A process with one thread and the codecs loaded, of which others are forked within milliseconds.

Forking a process that has threads is not safe, and starting one anew takes half a second of a processor. Modules are
in memory once for all that are forked. The server and everything it has forked end with the process that started it,
however that ends: their sockets are closed then.
"""

from __future__ import annotations

import atexit
import os
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from s3img.errors import ForkServerFailed

COMMAND: Final = struct.Struct(">cQ")
"""A letter (`FORK`, `WAIT`, `KILL`) and a process id; `FORK` comes with a socket for the new process."""
ANSWER: Final = struct.Struct(">q")
"""The new process's id, or the status (as of ``os.waitpid``) of one that has ended, -1 for an unknown one."""
FORK, WAIT, KILL = b"f", b"w", b"k"

_START: Final = "import sys; sys.path[:] = sys.argv[2:]; from s3img.imaging.isolation.forked import serve; serve()"
_KEPT: Final = ("LANG", "LC_", "LD_", "DYLD_", "PATH", "TMPDIR", "TZ", "MALLOC_")
"""Beginnings of the variables that the server gets: what decodes untrusted bytes has no credentials to lose."""
_PATIENCE: Final = 60.0
"""Seconds for an answer: the first one waits until the codecs are loaded, on a machine that may be busy."""


class ForkServer:
    """Fork processes and tell how they ended; safe to share between threads. Starting does not wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(_PATIENCE)
        environ = {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}
        # -I: nothing of the environment or the current folder decides what is imported, only this process's own path.
        command = [sys.executable, "-I", "-c", _START, str(theirs.fileno()), *sys.path]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and arguments of our own
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environ,
            )
        except OSError as error:
            self._socket.close()
            raise ForkServerFailed(f"{sys.executable}: {error.strerror}.", fix="Set limits.isolate = false.") from error
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        return self._process.pid

    def fork(self, channel: socket.socket) -> int:
        """Fork a process that works for the other end of ``channel``; return its id; raise `ForkServerFailed`."""
        return self._ask(FORK, 0, channel)

    def wait(self, pid: int) -> int:
        """Return the status of a process that has ended or is about to."""
        return self._ask(WAIT, pid)

    def kill(self, pid: int) -> int:
        """End a process now and return its status; its id can't have become another's, since nobody else waits."""
        return self._ask(KILL, pid)

    def is_alive(self) -> bool:
        """Tell whether the server runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the server and all that it has forked."""
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)

    def abandon(self) -> None:
        """Close this process's copy of the socket: after a fork, the server is the parent's."""
        self._socket.close()
        self._process.returncode = 0  # or it would be waited for, which only its parent can

    def _ask(self, command: bytes, pid: int, channel: socket.socket | None = None) -> int:
        with self._lock:
            try:
                if channel is None:
                    self._socket.sendall(COMMAND.pack(command, pid))
                else:
                    socket.send_fds(self._socket, [COMMAND.pack(command, pid)], [channel.fileno()])
                answer = b""
                while len(answer) < ANSWER.size and (chunk := self._socket.recv(ANSWER.size - len(answer))):
                    answer += chunk
            except OSError as error:
                answer = b""
                reason = str(error)
            else:
                reason = "it has ended"
        if len(answer) < ANSWER.size:
            message = f"The process that starts others for rendering does not answer: {reason}."
            raise ForkServerFailed(message, fix="See the log for its last words, or set limits.isolate = false.")
        (value,) = ANSWER.unpack(answer)
        return int(value)


class _Current:
    """The server of this process, started when it is first asked for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.server: ForkServer | None = None

    def close(self) -> None:
        """End the server, if there is one; the next call starts another."""
        with self.lock:
            if self.server is not None:
                self.server.close()
                self.server = None

    def forget(self) -> None:
        """Leave the server to the parent, of which this process was forked."""
        self.lock = threading.Lock()  # another thread of the parent may have had it
        if self.server is not None:
            self.server.abandon()
            self.server = None


_CURRENT: Final = _Current()
atexit.register(_CURRENT.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CURRENT.forget)


def fork_server() -> ForkServer:
    """Return the server of this process, a new one where it has ended; raise `ForkServerFailed`."""
    with _CURRENT.lock:
        if _CURRENT.server is None or not _CURRENT.server.is_alive():
            if _CURRENT.server is not None:
                _CURRENT.server.close()
            _CURRENT.server = ForkServer()
        return _CURRENT.server


def can_fork() -> bool:
    """Tell whether this system and this interpreter can have a fork server.

    Programs that embed Python (uWSGI, mod_wsgi) may name themselves as the interpreter, and can't be started as one.
    """
    return hasattr(os, "fork") and hasattr(socket, "send_fds") and "py" in Path(sys.executable or "").name.lower()
