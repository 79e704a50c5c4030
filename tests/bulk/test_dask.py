"""A bulk run on Dask: the same results as on threads, whatever ends meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from s3_servers import free_ports

from s3img import Config, Images
from s3img.bulk import BulkRequest, bulk_run
from s3img.errors import S3ImgError, Unreachable
from s3img.transfer import executors
from s3img.transfer.executors import open_executor

from .conftest import PHOTO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3_servers import TestBucket

    from s3img.bulk.shard_report import ShardReport

distributed = pytest.importorskip("distributed")

# Of distributed and its event loops, when a worker or a scheduler ends in the middle of something.
pytestmark = pytest.mark.filterwarnings("ignore")

REQUEST = BulkRequest(transforms=("w-32,f-webp",))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_run, "cut", lambda items, job: (bulk_run.Shard(job, (item,)) for item in items))


def test_cluster_renders_what_threads_render(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        (pictures / f"{number}.jpg").write_bytes(PHOTO)
    images = Images(Config(bucket=pictures.as_uri(), widths=(40,), formats=("webp",)))
    with distributed.LocalCluster(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        place = f"dask={cluster.scheduler_address}"
        report = images.render_many(BulkRequest(variants=True), executor=place)
    assert (report.done.shards, report.done.rendered, report.done.failed) == (4, 8, 0)
    assert images.render_many(BulkRequest(variants=True, again=True)).done.present == 8


@pytest.mark.slow
def test_scheduler_that_does_not_answer_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_DASK_SECONDS", 1)
    (port,) = free_ports(1)
    with pytest.raises(Unreachable, match="No Dask scheduler answers"):
        open_executor(f"dask=tcp://127.0.0.1:{port}")


@pytest.fixture
def filled(bucket: TestBucket, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> TestBucket:
    """Return a bucket of twelve pictures, whose credentials are in the environment that workers inherit."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for number in range(12):
        bucket.bucket.put(f"{number:02}.jpg", PHOTO, media_type="image/jpeg")
    return bucket


def results(bucket: TestBucket) -> int:
    return sum(1 for _ in bucket.bucket.list(".s3img/results/"))


@pytest.mark.nightly
def test_worker_that_is_killed_costs_nothing(filled: TestBucket, settings: dict[str, Any]) -> None:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        pids = [worker.pid for worker in cluster.workers.values()]

        def kill(total: ShardReport) -> None:
            if total.shards == 2:
                os.kill(pids[0], signal.SIGKILL)

        report = Images(Config(**settings)).render_many(
            REQUEST, executor=f"dask={cluster.scheduler_address}", progress=kill
        )
    assert (report.done.shards, report.done.failed, report.exit_code) == (12, 0, 0)
    assert report.done.rendered + report.done.present == results(filled) == 12


@pytest.fixture
def scheduler() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a scheduler and two workers as programs of their own."""
    (port,) = free_ports(1)
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    main = subprocess.Popen([*dask, "scheduler", "--port", str(port), "--host", "127.0.0.1", "--no-dashboard"])
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--death-timeout", "60"]
    workers = [subprocess.Popen(worker) for _ in range(2)]
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert main.poll() is None
            time.sleep(0.2)
        yield address, main
    finally:
        for process in (main, *workers):
            process.kill()
            process.wait(60)


@pytest.mark.nightly
def test_scheduler_that_is_killed_leaves_a_run_to_go_on_with(
    filled: TestBucket, settings: dict[str, Any], scheduler: tuple[str, subprocess.Popen[bytes]]
) -> None:
    address, process = scheduler
    images = Images(Config(**settings))

    def kill(total: ShardReport) -> None:
        if total.shards == 2:
            process.kill()

    with pytest.raises(S3ImgError, match="Start the same command again"):
        images.render_many(REQUEST, executor=f"dask={address}", progress=kill)
    report = images.render_many(REQUEST, workers=1)
    assert report.skipped >= 2
    assert report.skipped + report.done.shards == 12
    assert results(filled) == 12
