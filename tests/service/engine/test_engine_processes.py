"""Several processes with one cache, as servers run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engine_bench
import pytest
from engine_bench import KEY, ask
from fault_proxy import fault_proxy
from s3_servers import free_ports
from sites import photo

from s3img.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine_bench import Bench
    from s3_servers import TestBucket

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn and SIGKILL are not there")
SUPPORT = str(Path(engine_bench.__file__).parent)

_WORKER = """
import json, pathlib, sys, time
sys.path.insert(0, sys.argv[2])
from engine_bench import Bench, ask, job
from s3img.buckets import open_bucket
folder = pathlib.Path(sys.argv[1])
source = open_bucket((folder / "source").as_uri())
bench = Bench(folder, source, source)
engine = bench.engine()
plain = source.open
def slowly(key, **more):
    time.sleep(float(sys.argv[3]))
    return plain(key, **more)
source.open = slowly
print("ready", flush=True)
sys.stdin.readline()
result = ask(engine)
print(json.dumps([result.origin, result.etag, bench.asked()]))
"""


def start(folder: Path, delay: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WORKER, str(folder), SUPPORT, str(delay)]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker


def go(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


def test_racing_processes_fetch_and_render_once(bench: Bench) -> None:
    workers = [start(bench.folder, 0.5) for _ in range(3)]
    for worker in workers:
        go(worker)
    found = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sorted(origin for origin, _, _ in found) == ["disk", "disk", "render"]
    assert len({etag for _, etag, _ in found}) == 1
    assert sum(gets for _, _, gets in found) == 1


def test_killed_process_leaves_no_lock(bench: Bench) -> None:
    victim = start(bench.folder, 600)
    go(victim)
    locks = bench.folder / "cache" / "locks"
    while not locks.is_dir() or not any(locks.iterdir()):
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=60)
    assert ask(bench.engine()).origin == "render"


_APP = """
import os
from s3img import Config
from s3img.service import TransformService
from s3img.config.service import ServiceSettings
application = TransformService(
    Config(
        bucket=os.environ["TEST_BUCKET"],
        endpoint_url=os.environ["TEST_ENDPOINT"],
        region="us-east-1",
        access="open",
        cache_dir=os.environ["TEST_CACHE"],
        service=ServiceSettings(server_timing=True, results=os.environ["TEST_RESULTS"]),
    )
)
"""


@contextmanager
def gunicorn(folder: Path, store: TestBucket, endpoint_url: str = "", *, results: str = "none") -> Iterator[str]:
    (folder / "test_app.py").write_text(_APP)
    (port,) = free_ports(1)
    environ = {
        **os.environ,
        "TEST_BUCKET": store.address,
        "TEST_ENDPOINT": endpoint_url or store.server.endpoint_url,
        "TEST_RESULTS": results,
        "TEST_CACHE": str(folder / "cache"),
        "S3IMG_ACCESS_KEY_ID": store.server.access_key,
        "S3IMG_SECRET_ACCESS_KEY": store.server.secret_key,
    }
    command = [sys.executable, "-m", "gunicorn", "-w", "4", "-k", "gthread", "--threads", "8", "test_app"]
    command += ["-b", f"127.0.0.1:{port}", "--log-level", "error", "--worker-tmp-dir", str(folder)]
    server = subprocess.Popen(command, cwd=folder, env=environ)
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def _wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("gunicorn does not start")


@pytest.mark.nightly  # the same with fewer: test_racing_processes_fetch_and_render_once
def test_twenty_cold_requests_over_four_workers_are_one_get_and_one_render(
    tmp_path: Path, seaweedfs_bucket: TestBucket
) -> None:
    seaweedfs_bucket.bucket.put(KEY, photo(1600, 1200), media_type="image/jpeg")
    with fault_proxy(seaweedfs_bucket.server.endpoint_url) as proxy:
        asked: list[str] = []
        proxy.faults = _noting(asked)
        with gunicorn(tmp_path, seaweedfs_bucket, proxy.endpoint_url) as base, ThreadPoolExecutor(20) as pool:
            asked.clear()
            answers = [*pool.map(_get, [f"{base}/tr:w-600,f-webp/{KEY}"] * 20)]
    assert len(asked) == 1
    assert len({body for body, _ in answers}) == 1
    assert sum("render;" in timing for _, timing in answers) == 1


def test_server_that_is_stopped_stores_what_it_has_answered(tmp_path: Path, seaweedfs_bucket: TestBucket) -> None:
    seaweedfs_bucket.bucket.put(KEY, photo(300, 200), media_type="image/jpeg")
    with gunicorn(tmp_path, seaweedfs_bucket, results=seaweedfs_bucket.address) as base:
        bodies = {_get(f"{base}/tr:w-{width},f-webp/{KEY}")[0] for width in (10, 20, 30)}
    kept = {info.key for info in seaweedfs_bucket.bucket.list(".s3img/results/")}
    assert {seaweedfs_bucket.bucket.get(key) for key in kept} == bodies


def test_closed_engine_is_busy(bench: Bench) -> None:
    engine = bench.engine()
    engine.close()
    with pytest.raises(Busy):
        ask(engine)


def _noting(asked: list[str]) -> Iterator[str]:
    while True:
        asked.append("request")
        yield ""


def _get(url: str) -> tuple[bytes, Any]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read(), answer.headers.get("Server-Timing", "")
