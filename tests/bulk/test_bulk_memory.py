"""A run over ten million keys in flat memory, and through a store that refuses every third request."""

from __future__ import annotations

import itertools
import resource
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from fault_proxy import fault_proxy

from s3img import Config, Images
from s3img.buckets import ObjectInfo
from s3img.bulk import BulkRequest, bulk_run
from s3img.bulk.bulk_run import BulkRun, ShardScheduler
from s3img.bulk.shard_report import ShardReport
from s3img.transfer.executors import OpenExecutor

from .conftest import PHOTO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s3_servers import TestBucket

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Listing:
    """A bucket of so many pictures, none of which is there."""

    name = "s3://stub"

    def __init__(self, count: int) -> None:
        self.count = count

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return (ObjectInfo(f"{number:012}.jpg", 1_000, f"{number:032x}", NOW) for number in range(self.count))


class Immediate(Executor):
    """Run each task at once, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*arguments, **keywords))
        return future


def count_pictures(run: BulkRun) -> int:
    """Let shards pass through the window of a scheduler."""
    scheduler = ShardScheduler(OpenExecutor(Immediate, workers=2), lambda shard: ShardReport(pictures=len(shard.items)))
    return sum(report.pictures for _, report in scheduler.run(run.shards()))


def run_over(count: int, folder: Path) -> int:
    """Return how many KiB the most memory of this process grew by while a client worked through a listing."""
    run = BulkRun(BulkRequest(variants=True), Config(bucket=folder.as_uri()))
    run.source = Listing(count)  # type: ignore[assignment]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert count_pictures(run) == count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def test_client_keeps_nothing_of_a_listing(tmp_path: Path) -> None:
    """30,000 keys that were kept would take 10 MB."""
    run_over(3_000, tmp_path)
    assert run_over(30_000, tmp_path) < 5_000


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_ten_million_keys_take_flat_memory(tmp_path: Path) -> None:
    assert run_over(10_000_000, tmp_path) < 100_000


def test_store_that_refuses_every_third_request_loses_nothing(
    bucket: TestBucket, settings: dict[str, Any], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_run, "cut", lambda items, job: iter([bulk_run.Shard(job, tuple(items))]))
    for number in range(6):
        bucket.bucket.put(f"{number}.jpg", PHOTO, media_type="image/jpeg")
    with fault_proxy(bucket.options.endpoint_url) as proxy:
        proxy.faults = itertools.cycle(["", "slow down", ""])
        images = Images(Config(**settings | {"endpoint_url": proxy.endpoint_url}), environ=environ)
        report = images.render_many(BulkRequest(transforms=("w-32,f-webp",)), workers=1)
        assert proxy.injected > 4
    assert (report.done.rendered, report.done.failed, report.exit_code) == (6, 0, 0)
