"""Start commands in a fraction of a second: a process that has imported everything forks one for each run.

So a kill at any moment of a run hits the work of a command, and not Python's start.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Ended:
    """How a run ended: ``code`` is negative for a signal; ``worked`` tells that it came before the work was done."""

    code: int
    printed: str
    seconds: float
    worked: bool

    @property
    def is_landed(self) -> bool:
        """Tell whether it was killed in the middle of its work."""
        return self.code == -signal.SIGKILL and self.worked


class ForkedRuns:
    """Run commands one after another in forks of one process; use it in one thread."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="forked-runs-")
        self._out = Path(self._folder.name) / "out"
        self._mark = Path(self._folder.name) / "ended"
        self._parent = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._ask({})  # answered once all is imported

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate(timeout=60)  # it ends with its input
        self._folder.cleanup()

    def printed(self) -> str:
        """Return what the command that runs has printed so far."""
        return self._out.read_text(errors="replace") if self._out.exists() else ""

    def _ask(self, message: Mapping[str, object]) -> int:
        assert self._parent.stdin
        assert self._parent.stdout
        print(json.dumps(message), file=self._parent.stdin)
        return int(self._parent.stdout.readline())

    def run(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str],
        seconds: float,
        ends_with: signal.Signals = signal.SIGKILL,
        meanwhile: Callable[[], object] | None = None,
    ) -> Ended:
        """Run a command of s3img, and send it a signal if it runs longer than so many seconds.

        One that serves is sent it when ``meanwhile`` is over, which is called while it runs.
        """
        for file in (self._mark, self._out):
            file.unlink(missing_ok=True)
        started = time.monotonic()
        pid = self._ask(
            {
                "arguments": list(arguments),
                "folder": str(folder),
                "environ": dict(environ),
                "out": str(self._out),
                "mark": str(self._mark),
            }
        )
        handle = os.pidfd_open(pid)  # it is nobody else's number as long as its parent has not asked how it ended
        try:
            if meanwhile:
                meanwhile()
            left = 0.0 if meanwhile else max(0.0, started + seconds - time.monotonic())
            if not select.select([handle], [], [], left)[0]:
                signal.pidfd_send_signal(handle, ends_with)
                if not select.select([handle], [], [], 60)[0]:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            has_begun, has_ended = self._out.exists(), self._mark.exists()
        finally:
            os.close(handle)
            code = self._ask({"wait": pid})
        ended = float(self._mark.read_text()) if has_ended else time.monotonic()
        return Ended(code, self.printed(), ended - started, has_begun and not has_ended)


def _fork(job: Mapping[str, object]) -> int:
    """Return the number of a new process; in that process, run the command and never return."""
    pid = os.fork()
    if pid:
        return pid
    os.chdir(str(job["folder"]))
    os.environ.clear()
    os.environ.update(job["environ"])  # type: ignore[call-overload] # of strings
    tempfile.tempdir = None  # that of the new environment
    out = os.open(str(job["out"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, out, out)):
        os.dup2(file, number)
    from s3img.cli import main

    sys.argv = ["s3img", *job["arguments"]]  # type: ignore[misc] # a list of strings
    try:
        main(sys.argv[1:])
    finally:  # Python then ends in its usual order
        sys.stdout.flush()
        mark = Path(str(job["mark"]))
        mark.with_suffix(".new").write_text(str(time.monotonic()))
        mark.with_suffix(".new").replace(mark)  # there with its text, or not at all: this may be killed, too
    raise AssertionError("main exits")


def _serve() -> None:
    import boto3  # noqa: F401 - to have it imported
    import obstore.store  # noqa: F401

    import s3img

    for module in pkgutil.walk_packages(s3img.__path__, "s3img."):
        if not module.name.startswith(("s3img.adapters", "s3img.__main__")):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # else the first collection of each fork would copy all that was imported
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            print(os.waitstatus_to_exitcode(os.waitpid(job["wait"], 0)[1]), flush=True)
        else:
            print(_fork(job) if job else 0, flush=True)


if __name__ == "__main__":
    _serve()
