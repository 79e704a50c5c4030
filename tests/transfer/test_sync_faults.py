"""Under every fault of network and store a sync converges, and claims nothing that isn't stored whole."""

from __future__ import annotations

import hashlib
import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from fault_proxy import FAULTS, fault_proxy

from s3img.buckets import open_bucket
from s3img.errors import AccessDenied, BucketError
from s3img.transfer import Upload, UploadResult, plan_uploads, run_uploads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fault_proxy import FaultProxy
    from s3_servers import TestBucket

    from s3img.buckets import Bucket

HARMLESS = ["trickle", "wrong etag"]
BREAKING = sorted(
    {*FAULTS, "reset while sending", "slow down", "internal error", "too many requests"} - {"", "slow loris", *HARMLESS}
)


@pytest.fixture
def proxy(seaweedfs_bucket: TestBucket) -> Iterator[FaultProxy]:
    with fault_proxy(seaweedfs_bucket.server.endpoint_url) as running:
        yield running


@pytest.fixture
def uploads(tmp_path: Path) -> list[Upload]:
    (tmp_path / "site").mkdir()
    return [made(tmp_path / "site" / f"{number:02}.png", number) for number in range(24)]


def made(path: Path, number: int) -> Upload:
    data = random.Random(number).randbytes(1_000 + number * 8_000)
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return Upload(f"i/{digest[:16]}.png", path, len(data), "image/png", sha256=digest)


def through(proxy: FaultProxy, store: TestBucket, **changes: Any) -> Bucket:
    options = {"attempts": 2, "read_timeout": 1.5, **changes}
    return open_bucket(store.address, store.server.options(endpoint_url=proxy.endpoint_url, **options))


def sync(uploads: list[Upload], store: TestBucket, bucket: Bucket) -> UploadResult:
    """Run once and check what must hold after any run: what is claimed is there, and nothing partial is."""
    present = {info.key: info.size for info in store.bucket.list()}
    result = run_uploads(plan_uploads(uploads, present), bucket, workers=8)
    stored = {info.key: store.bucket.get(info.key) for info in store.bucket.list()}
    expected = {upload.key: upload.path.read_bytes() for upload in uploads}
    assert all(expected[key] == data for key, data in stored.items())
    assert set(result.uploaded) <= set(stored)
    assert not set(result.uploaded) & set(result.failed)
    return result


def converge(uploads: list[Upload], store: TestBucket, bucket: Bucket) -> None:
    """Run again until nothing fails; every failure before that must be one of ours."""
    for _ in range(10):
        result = sync(uploads, store, bucket)
        assert all(isinstance(failure, BucketError) and failure.fix for failure in result.failed.values())
        if not result.failed:
            break
    assert {info.key for info in store.bucket.list()} == {upload.key for upload in uploads}


@pytest.mark.parametrize("way", [{"use_obstore": False}, {}], ids=["boto3", "obstore"])
@pytest.mark.parametrize("fault", [*BREAKING, *HARMLESS])
def test_a_sync_converges(
    fault: str, way: dict[str, Any], uploads: list[Upload], seaweedfs_bucket: TestBucket, proxy: FaultProxy
) -> None:
    proxy.faults = itertools.chain(itertools.islice(itertools.cycle([fault, "", fault]), 24))
    converge(uploads, seaweedfs_bucket, through(proxy, seaweedfs_bucket, **way))
    assert proxy.injected == 16


@pytest.mark.parametrize("way", [{"use_obstore": False}, {}], ids=["boto3", "obstore"])
@pytest.mark.parametrize("seed", range(2))
def test_a_sync_converges_under_all_faults_at_once(
    seed: int, way: dict[str, Any], uploads: list[Upload], seaweedfs_bucket: TestBucket, proxy: FaultProxy
) -> None:
    chance = random.Random(seed)
    faults = [chance.choice(["", *BREAKING, *HARMLESS]) for _ in range(40)]
    proxy.faults = iter(faults)
    converge(uploads, seaweedfs_bucket, through(proxy, seaweedfs_bucket, **way))


@pytest.mark.parametrize("way", [{"use_obstore": False}, {}], ids=["boto3", "obstore"])
def test_a_wrong_clock_ends_a_run_and_says_so(
    way: dict[str, Any], uploads: list[Upload], seaweedfs_bucket: TestBucket, proxy: FaultProxy
) -> None:
    proxy.faults = itertools.repeat("skewed")
    result = sync(uploads, seaweedfs_bucket, through(proxy, seaweedfs_bucket, **way))
    assert (len(result.failed), {failure.code for failure in result.failed.values()}) == (24, {"RequestTimeTooSkewed"})
    assert all("clock" in str(failure) for failure in result.failed.values())


@pytest.mark.parametrize("way", [{"use_obstore": False}, {}], ids=["boto3", "obstore"])
def test_an_answer_that_never_ends_does_not_hold_up_a_run(
    way: dict[str, Any], uploads: list[Upload], seaweedfs_bucket: TestBucket, proxy: FaultProxy
) -> None:
    proxy.faults = itertools.chain([""] * 4, ["slow loris"] * 3)
    bucket = through(proxy, seaweedfs_bucket, **way)
    result = run_uploads(plan_uploads(uploads, {}), bucket, workers=4, patience=3)
    assert {failure.code for failure in result.failed.values()} <= {"DeadlineExceeded"}
    assert len(result.uploaded) >= 21
    proxy.faults = itertools.repeat("")
    converge(uploads, seaweedfs_bucket, bucket)


def test_a_burst_of_slow_down_is_waited_out_in_one_run(
    uploads: list[Upload], seaweedfs_bucket: TestBucket, proxy: FaultProxy
) -> None:
    proxy.faults = iter(["slow down"] * 12)
    result = sync(uploads, seaweedfs_bucket, through(proxy, seaweedfs_bucket, attempts=5, read_timeout=30))
    assert (len(result.uploaded), dict(result.failed)) == (len(uploads), {})


def test_a_permission_lost_on_the_way_loses_nothing(
    uploads: list[Upload], seaweedfs_bucket: TestBucket, proxy: FaultProxy
) -> None:
    proxy.faults = itertools.chain([""] * 6, itertools.repeat("denied"))
    bucket = through(proxy, seaweedfs_bucket, read_timeout=30)
    result = sync(uploads, seaweedfs_bucket, bucket)
    assert (len(result.uploaded), {type(failure) for failure in result.failed.values()}) == (6, {AccessDenied})
    proxy.faults = itertools.repeat("")
    converge(uploads, seaweedfs_bucket, bucket)


@pytest.mark.parametrize("fault", ["answer is cut", "answer is lost", "garbage"])
def test_a_listing_is_whole_or_an_error(
    fault: str, uploads: list[Upload], seaweedfs_bucket: TestBucket, proxy: FaultProxy
) -> None:
    sync(uploads, seaweedfs_bucket, seaweedfs_bucket.bucket)
    proxy.faults = itertools.repeat(fault)
    with pytest.raises(BucketError):
        list(through(proxy, seaweedfs_bucket, attempts=1).list())
    proxy.faults = iter([fault])
    keys = {info.key for info in through(proxy, seaweedfs_bucket).list()}
    assert keys == {upload.key for upload in uploads}


@pytest.mark.parametrize("fault", ["answer is cut", "silence", "garbage"])
def test_an_object_is_read_whole_or_not_at_all(
    fault: str, uploads: list[Upload], seaweedfs_bucket: TestBucket, proxy: FaultProxy
) -> None:
    sync(uploads[:1], seaweedfs_bucket, seaweedfs_bucket.bucket)
    proxy.faults = itertools.repeat(fault)
    with pytest.raises(BucketError):
        through(proxy, seaweedfs_bucket, attempts=1).get(uploads[0].key)


@pytest.mark.parametrize("fault", ["reset while sending", "half arrives", "answer is lost", "slow down"])
def test_a_large_file_in_parts_survives(
    fault: str, tmp_path: Path, seaweedfs_bucket: TestBucket, proxy: FaultProxy
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(random.Random(fault).randbytes(17 << 20))
    upload = Upload("large.png", path, 17 << 20, "image/png", sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    for request in (2, 3):  # of begin, first part, second part, end
        proxy.faults = iter([*[""] * request, fault])
        converge([upload], seaweedfs_bucket, through(proxy, seaweedfs_bucket, attempts=2))
        seaweedfs_bucket.bucket.delete(["large.png"])
