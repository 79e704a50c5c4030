"""Processes that render: what a decoder does there ends with its own picture."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hostile_tasks
import pytest
from sites import photo

from s3img.errors import Busy, ConfigError, DigestMismatch, ImageError, ImageTooLarge, TransformError, UnsupportedImage
from s3img.imaging.image_info import Rendered, RenderTarget
from s3img.imaging.isolation import RenderProcesses, fork_server, forked, is_isolated, render_processes, tasks
from s3img.imaging.isolation.process_messages import ErrorRecord
from s3img.limits import Limits
from s3img.transform import Transform
from s3img.transform.geometry import NO_HINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.errors import S3ImgError
    from s3img.imaging.isolation import WorkerProcess
    from s3img.imaging.isolation.process_messages import Task

LIMITS = Limits(isolate=True)
SHORT = Limits(isolate=True, seconds=0.05)

pytestmark = pytest.mark.skipif(not fork_server.can_fork(), reason="this system can't fork")


@pytest.fixture
def processes() -> Iterator[RenderProcesses]:
    processes = RenderProcesses()
    yield processes
    processes.end_idle()


def call(processes: RenderProcesses, name: str, data: bytes = b"x", limits: Limits = LIMITS) -> bytes:
    """Run one of the hostile tasks."""
    (made,) = processes.run(partial(hostile_tasks.as_task, name=name), data, limits=limits).pictures
    assert isinstance(made, Rendered)
    return made.data


def rendering(text: str) -> Task:
    draw = partial(
        tasks.draw_request, transform=Transform.parse(text), accept=None, quality={}, hints=NO_HINTS, inputs={}
    )
    return partial(tasks.render_drawn, draw=draw, limits=LIMITS)


def test_isolated_rendering_is_the_same_picture(processes: RenderProcesses) -> None:
    source = photo(80, 60)
    for text in ("w-40,f-webp", "w-30,h-30,f-png", "w-50,bl-3,f-jpg"):
        task = rendering(text)
        there = processes.run(task, source, limits=LIMITS)
        assert there.pictures == task(source).pictures
        assert {"render", "encode"} == there.seconds.keys()


def test_isolated_upload_tasks_are_the_same_pictures(processes: RenderProcesses) -> None:
    source = photo(80, 60)
    targets = [RenderTarget(40, 30, "webp"), RenderTarget(20, 15, "jpeg")]
    cleaning, sizing = partial(tasks.clean, limits=LIMITS, max_side=40), partial(tasks.render_sizes, limits=LIMITS)
    assert processes.run(cleaning, source, limits=LIMITS) == cleaning(source)
    there = processes.run(partial(sizing, targets=targets), source, limits=LIMITS)
    assert there == sizing(source, targets=targets)


@pytest.mark.parametrize(
    "error",
    [
        ImageError("damaged.", fix="Save it again."),
        UnsupportedImage("no image."),
        DigestMismatch("another digest.", fix="Write it anew."),
        ImageTooLarge("large.", limit="input_pixels", fix="Make it smaller."),
        TransformError("bad.", token="w-x", position=3, suggestion="w-1"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_arrives_as_it_was_raised(error: S3ImgError) -> None:
    there = ErrorRecord.of(error).error()
    assert (type(there), str(there), vars(there)) == (type(error), str(error), vars(error))


def test_new_process_need_not_compare_libraries_with_pillow(processes: RenderProcesses) -> None:
    assert call(processes, "count_self_tests") == b"3"


def test_error_of_a_task_is_an_answer(processes: RenderProcesses) -> None:
    pid = call(processes, "process_id")
    with pytest.raises(UnsupportedImage):
        processes.run(rendering("w-40"), b"no image", limits=LIMITS)
    assert call(processes, "process_id") == pid


@pytest.mark.slow
def test_hanging_decoder_is_ended(processes: RenderProcesses) -> None:
    with pytest.raises(ImageTooLarge, match=r"0\.05 s") as caught:
        call(processes, "hang", limits=SHORT)
    assert caught.value.limit == "seconds"
    assert call(processes, "echo") == b"x"


def test_caller_s_own_end_is_a_timeout(processes: RenderProcesses) -> None:
    with pytest.raises(TimeoutError):
        processes.run(partial(hostile_tasks.as_task, name="hang"), b"", limits=LIMITS, until=time.monotonic() + 0.1)


def test_crash_is_the_picture_s_fault(processes: RenderProcesses) -> None:
    with pytest.raises(ImageError, match="SIGSEGV"):
        call(processes, "crash")
    assert call(processes, "echo") == b"x"


def test_kill_from_outside_is_not_the_picture_s_fault(processes: RenderProcesses) -> None:
    with pytest.raises(Busy, match="from outside") as caught:
        call(processes, "be_killed")
    assert caught.value.status == 503
    assert call(processes, "echo") == b"x"


def test_memory_of_one_picture_is_bounded(processes: RenderProcesses) -> None:
    small = Limits(isolate=True, input_pixels=1, output_pixels=1, frame_pixels=1)
    with pytest.raises(ImageTooLarge, match="memory"):
        call(processes, "take_memory", limits=small)


def test_bug_tells_where_it_was(processes: RenderProcesses) -> None:
    with pytest.raises(RuntimeError) as caught:
        call(processes, "fail")
    assert "KeyError: 1" in caught.value.__notes__[0]
    assert call(processes, "echo") == b"x"


def test_idle_process_that_died_is_replaced(processes: RenderProcesses) -> None:
    first = int(call(processes, "process_id"))
    os.kill(first, signal.SIGKILL)
    wait_for_end(first)
    assert int(call(processes, "process_id")) != first


def test_large_bodies_go_both_ways(processes: RenderProcesses) -> None:
    data = os.urandom(3_000_001)
    assert call(processes, "echo", data) == data


def test_calls_at_a_time_have_a_process_each(processes: RenderProcesses) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda n: call(processes, "echo", b"%d" % n), range(40))] == [b"%d" % n for n in range(40)]


def test_rendering_gives_way_to_answering(processes: RenderProcesses) -> None:
    assert int(call(processes, "tell_niceness")) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + forked.NICENESS)


@pytest.mark.slow
def test_process_that_takes_long_gives_way_to_those_that_render(processes: RenderProcesses) -> None:
    found: list[int] = []

    def look(process: WorkerProcess, _: float) -> None:
        process.slow_down()
        found.append(os.getpriority(os.PRIO_PROCESS, process.pid))

    with pytest.raises(ImageTooLarge):
        processes.run(
            partial(hostile_tasks.as_task, name="hang"), b"", limits=Limits(isolate=True, seconds=0.3), look=look
        )
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert found[0] == min(19, own + 15) >= own + forked.NICENESS
    assert int(call(processes, "tell_niceness")) == min(19, own + forked.NICENESS)  # it is not used again


def test_process_is_replaced_after_its_calls(processes: RenderProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_processes, "_MOST_CALLS", 2)
    pids = [call(processes, "process_id") for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_credentials_are_not_handed_on(processes: RenderProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    server = fork_server.ForkServer()
    monkeypatch.setattr(render_processes, "fork_server", lambda: server)
    try:
        names = call(processes, "tell_environment").decode().split()
    finally:
        processes.end_idle()
        server.close()
    assert "PATH" in names
    assert not [name for name in names if name.startswith(("AWS", "S3IMG"))]


@pytest.mark.slow
def test_server_that_died_is_replaced(processes: RenderProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    current = fork_server._Current()
    monkeypatch.setattr(fork_server, "_CURRENT", current)
    first = int(call(processes, "process_id"))
    assert current.server is not None
    os.kill(current.server.pid, signal.SIGKILL)
    wait_for_end(first)  # nothing that it forked stays
    assert int(call(processes, "process_id")) != first
    processes.end_idle()
    current.close()


def test_fork_of_this_process_has_processes_of_its_own(processes: RenderProcesses) -> None:
    """As gunicorn's workers, forked of a master that has loaded the application."""
    script = (
        "import functools, os, hostile_tasks\n"
        "from s3img.imaging.isolation import RENDER_PROCESSES as p\n"
        "from s3img.limits import Limits\n"
        "tell = lambda: int(p.run(functools.partial(hostile_tasks.as_task, name='process_id'), b'', limits=Limits()).pictures[0].data)\n"
        "mine = tell()\n"
        "if pid := os.fork():\n"
        "    assert os.waitpid(pid, 0)[1] == 0 and tell() == mine\n"
        "else:\n"
        "    other = tell()\n"
        "    p.end_idle()\n"
        "    os._exit(other == mine)\n"
    )
    run_python(script).check_returncode()


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os._exit(0)", "sys.exit()"])
def test_nothing_is_left_when_the_process_ends(how: str) -> None:
    script = (
        "import functools, os, sys, threading, hostile_tasks\n"
        "from s3img.imaging.isolation import RENDER_PROCESSES as p, fork_server\n"
        "from s3img.limits import Limits\n"
        "run = lambda name: p.run(functools.partial(hostile_tasks.as_task, name=name), b'', limits=Limits())\n"
        "print(fork_server.fork_server().pid, int(run('process_id').pictures[0].data), flush=True)\n"
        "looked = threading.Event()\n"
        "look = lambda process, _: (print(process.pid, flush=True), looked.set())\n"
        "call = lambda: p.run(functools.partial(hostile_tasks.as_task, name='hang'), b'', limits=Limits(), look=look)\n"
        "threading.Thread(target=call, daemon=True).start()\n"
        f"looked.wait(); {how}\n"
    )
    found = run_python(script).stdout.split()
    assert len(found) >= 3
    for pid in {*map(int, found)}:
        wait_for_end(pid)


def run_python(script: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(hostile_tasks.__file__).parent)}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, timeout=120, check=False)


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, even if nobody has asked for its status."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} is still there")


def test_auto_follows_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for memory, expected in ((1 << 29, False), (1 << 30, True)):
        monkeypatch.setattr(render_processes, "_memory", lambda memory=memory: memory)
        assert is_isolated(Limits()) is expected
        assert is_isolated(LIMITS)
        assert not is_isolated(Limits(isolate=False))


def test_what_cannot_be_isolated_is_a_settings_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    assert not is_isolated(Limits())
    with pytest.raises(ConfigError, match=r"limits\.isolate"):
        is_isolated(LIMITS)


def test_interpreter_that_is_none_is_given_up(processes: RenderProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "_CURRENT", fork_server._Current())
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    for _ in range(3):
        assert processes.can_start
        with pytest.raises(Busy, match="/no/such/python"):
            call(processes, "echo")
    assert not processes.can_start


@pytest.mark.slow
def test_slowed_process_ends_after_its_call(processes: RenderProcesses) -> None:
    looked = threading.Event()

    def look(process: render_processes.WorkerProcess, _: float) -> None:
        process.slow_down()
        assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0)
        looked.set()

    with pytest.raises(TimeoutError):
        processes.run(
            partial(hostile_tasks.as_task, name="hang"), b"", limits=LIMITS, until=time.monotonic() + 1, look=look
        )
    assert looked.is_set()


def test_processes_start_where_gevent_has_replaced_sockets() -> None:
    pytest.importorskip("gevent")
    code = """
from gevent import monkey; monkey.patch_all()
import io
from functools import partial
import gevent
from PIL import Image
from s3img.imaging.isolation import run_untrusted
from s3img.imaging.isolation.tasks import clean
from s3img.limits import Limits
file = io.BytesIO(); Image.new("RGB", (4, 3)).save(file, "PNG")
limits = Limits(isolate=True)
run = partial(run_untrusted, partial(clean, limits=limits), file.getvalue(), limits=limits)
jobs = [gevent.spawn(run) for _ in range(2)]
gevent.joinall(jobs, raise_error=True)
print([(one.media_type, one.width, one.height) for job in jobs for one in job.value.pictures])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[('image/png', 4, 3), ('image/png', 4, 3)]", done.stderr
