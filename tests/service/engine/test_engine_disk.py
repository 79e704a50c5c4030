"""The cache on disk: whole files only, bounded, shared by processes, and dispensable."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import engine_bench
import pytest
from engine_bench import ask, job

from s3img.service.engine.disk_cache import DiskCache, ResultHeader

if TYPE_CHECKING:
    from engine_bench import Bench

HEADER = ResultHeader("image/webp", 4, 3)
NAME = "ab" + "0" * 62


def put(cache: DiskCache, number: int, body: bytes = b"x" * 10_000) -> str:
    name = f"{number:064x}"
    assert cache.put(name, HEADER, body)
    return name


def size(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in (folder / "results").rglob("*") if path.is_file())


@pytest.mark.parametrize("length", [0, 1, 4096, (1 << 20) - 100, 1 << 20, 3_000_000])
def test_entry_comes_back_as_it_was(tmp_path: Path, length: int) -> None:
    cache = DiskCache(tmp_path, limit=1 << 30)
    body = os.urandom(length)
    cache.put(NAME, HEADER, body)
    entry = cache.get(NAME)
    assert entry is not None
    found = entry.body
    if not isinstance(found, bytes):
        with found:
            found = found.read()
    assert (found, entry.header, entry.size) == (body, HEADER, length)


@pytest.mark.parametrize("length", [2_000, 2_000_000])
@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "empty", "magic", "words", "length"])
def test_damaged_entry_is_none_and_goes(tmp_path: Path, length: int, damage: str) -> None:
    cache = DiskCache(tmp_path, limit=1 << 30)
    cache.put(NAME, HEADER, os.urandom(length))
    path = tmp_path / "results" / "ab" / NAME
    data = bytearray(path.read_bytes())
    places = {"flip": len(data) - 7, "magic": 0, "words": 16, "length": 8}
    if damage in places:
        data[places[damage]] ^= 0x10
    changed = {"cut": data[:-1], "grow": data + b"x", "empty": b""}.get(damage, data)
    path.write_bytes(changed)
    assert cache.get(NAME) is None
    assert not path.exists()


def test_damaged_result_is_made_again(bench: Bench) -> None:
    engine = bench.engine()
    first = ask(engine)
    (path,) = bench.entries()
    path.write_bytes(path.read_bytes()[:-5] + b"-----")
    second, third = ask(engine), ask(engine)
    assert (second.origin, second.body, third.origin) == ("render", first.body, "disk")


def test_sweep_removes_what_was_not_read_for_longest(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=300_000)
    names = [put(cache, number) for number in range(30)]
    for age, name in enumerate(reversed(names)):
        os.utime(tmp_path / "results" / name[:2] / name, (time.time() - 1000 - age, 0))
    assert cache.get(names[0]) is not None  # the oldest, read now
    cache.sweep()
    assert size(tmp_path) <= 300_000
    assert cache.get(names[0]) is not None
    assert cache.get(names[1]) is None
    assert cache.get(names[-1]) is not None


@pytest.mark.slow
def test_cache_stays_below_its_bound_however_much_is_written(bench: Bench) -> None:
    engine = bench.engine(cache_bytes=400_000)
    for width in range(1, 70):
        ask(engine, job(f"w-{width},f-png"))
    engine.close()
    assert size(bench.folder / "cache") <= 400_000
    assert len(bench.entries()) > 10


def test_restart_with_less_room_makes_it(bench: Bench) -> None:
    engine = bench.engine()
    for width in range(1, 40):
        ask(engine, job(f"w-{width},f-png"))
    engine.close()
    smaller = bench.engine(cache_bytes=100_000)
    ask(smaller, job("w-50"))
    smaller.close()
    assert size(bench.folder / "cache") <= 100_000


def test_sweep_removes_what_killed_processes_left(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=1 << 30)
    put(cache, 1)
    old, new = (tmp_path / "results" / "00" / f".s3img-{number}.tmp" for number in range(2))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 3600,) * 2)
    cache.sweep()
    assert not old.exists()
    assert new.exists()


def test_only_one_process_sweeps(tmp_path: Path) -> None:
    from filelock import FileLock

    cache = DiskCache(tmp_path, limit=1000)
    name = put(cache, 1)
    with FileLock(tmp_path / "sweep.lock"):
        cache.sweep()
    assert cache.get(name) is not None


_FULL = """
import logging, pathlib, resource, signal, sys
sys.path.insert(0, sys.argv[2])
from engine_bench import Bench, ask, job
from s3img.buckets import open_bucket
logging.basicConfig(level=logging.WARNING, format="LOG %(message)s", stream=sys.stdout)
folder = pathlib.Path(sys.argv[1])
source = open_bucket((folder / "source").as_uri())
engine = Bench(folder, source, source).engine()
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
print([ask(engine, job(f"w-{width}")).origin for width in (10, 11, 10)])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
print([ask(engine, job(f"w-{width}")).origin for width in (10, 10)])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limit there")
def test_disk_that_takes_no_more_costs_one_warning_and_no_answer(bench: Bench) -> None:
    support = str(Path(engine_bench.__file__).parent)
    command = [sys.executable, "-c", _FULL, str(bench.folder), support]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert lines[1:] == ["['render', 'render', 'render']", "['render', 'disk']"]
    assert "can't be written" in lines[0]


def test_full_disk_makes_room_among_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DiskCache(tmp_path, limit=1 << 30)
    names = [put(cache, number) for number in range(50)]
    assert cache.is_due()
    for age, name in enumerate(reversed(names)):
        os.utime(tmp_path / "results" / name[:2] / name, (time.time() - 1000 - age, 0))
    monkeypatch.setattr(os, "write", _no_space)
    assert [cache.put(NAME, HEADER, b"x") for _ in range(3)] == [False] * 3
    monkeypatch.undo()
    assert [cache.is_due(), cache.is_due()] == [True, False]
    cache.sweep()
    found = [cache.get(name) is not None for name in names]
    assert found[:9] == [False] * 9
    assert found[-39:] == [True] * 39


def _no_space(file: int, data: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_folder_that_can_not_be_made_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(tmp_path / "file", limit=1000)
    with caplog.at_level(logging.WARNING):
        assert [cache.put(NAME, HEADER, b"x") for _ in range(3)] == [False] * 3
    assert len(caplog.records) == 1
    assert cache.get(NAME) is None


_WRITER = """
import os, pathlib, sys
from s3img.service.engine.disk_cache import DiskCache
from s3img.service.engine.disk_cache import ResultHeader
cache = DiskCache(pathlib.Path(sys.argv[1]), limit=1 << 30)
print("ready", flush=True)
for number in range(10**9):
    cache.put(f"{number % 3:064x}", ResultHeader("image/webp"), bytes([number % 251]) * 3_000_000)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_killed_writer_leaves_whole_entries(tmp_path: Path) -> None:
    for delay in (0.02, 0.05, 0.11):
        command = [sys.executable, "-c", _WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(delay)
            writer.send_signal(signal.SIGKILL)
        cache = DiskCache(tmp_path, limit=1 << 30)
        for number in range(3):
            path = tmp_path / "results" / "00" / f"{number:064x}"
            if path.exists():
                entry = cache.get(path.name)
                assert entry is not None
                assert not isinstance(entry.body, bytes)
                with entry.body as body:
                    assert len(set(body.read())) == 1
