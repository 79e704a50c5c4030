"""A bulk run against a real store: the service, a publish, a sync and an upload find what it made."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sites import drawing, photo
from werkzeug.test import Client

from s3img import Config, Images
from s3img.bulk import bulk_run, shard_worker
from s3img.bulk.bulk_run import BulkRequest, BulkRun
from s3img.bulk.shard_report import FOLDER
from s3img.bulk.shard_worker import CHANGED, run_shard
from s3img.bulk.shards import ShardItem, ShardPart
from s3img.config.model import Quality
from s3img.errors import BucketError, ConfigError, WorkerRefused
from s3img.limits import Limits
from s3img.lock import read_lock
from s3img.service import TransformService
from s3img.service.engine import result_stores
from s3img.uploads import Uploader, UploadPolicy

from .conftest import PHOTO

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

RESULTS = ".s3img/results/"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the store as long as a request may take: a busy machine is not what these tests are about."""
    monkeypatch.setattr(result_stores, "PATIENCE", 60.0)


def put(bucket: TestBucket, **pictures: bytes) -> None:
    for name, data in pictures.items():
        bucket.bucket.put(f"2026/{name}.jpg", data, media_type="image/jpeg")


def keys(bucket: TestBucket, prefix: str = "") -> set[str]:
    return {info.key for info in bucket.bucket.list(prefix)}


def written(bucket: TestBucket) -> dict[str, Any]:
    """Return when each object was written, without notes of s3img itself."""
    notes = (".s3img/bulk/", ".s3img/refs/")
    return {info.key: info.modified for info in bucket.bucket.list() if not info.key.startswith(notes)}


@pytest.mark.parametrize("other", [{}, {"subsampling": "4:4:4", "quality": Quality(jpeg=61)}], ids=["usual", "own"])
def test_service_finds_what_was_rendered(
    bucket: TestBucket, settings: dict[str, Any], environ: dict[str, str], other: dict[str, Any]
) -> None:
    put(bucket, cat=PHOTO, dog=photo(160, 120, seed=2))
    settings |= other
    images = Images(Config(**settings), environ=environ)
    report = images.render_many(BulkRequest(prefixes=("2026/",), transforms=("w-64", "w-48,f-jpg")), workers=1)
    assert (report.done.pictures, report.done.rendered, report.done.failed, report.exit_code) == (2, 8, 0, 0)
    before = written(bucket)
    service = TransformService(Config(**settings, service={"server_timing": True}), environ=environ)
    for transform in ("w-64", "w-48,f-jpg"):
        for accept in ("image/avif,image/webp,*/*", "image/webp,*/*", "*/*"):
            answer = Client(service).get(f"/tr:{transform}/2026/cat.jpg", headers={"Accept": accept})
            assert answer.status_code == 200
            assert "render" not in answer.headers.get("Server-Timing", "")
    service.close()
    assert written(bucket) == before


def test_render_finds_what_the_service_made(
    bucket: TestBucket, images: Images, settings: dict[str, Any], environ: dict[str, str]
) -> None:
    put(bucket, cat=PHOTO)
    service = TransformService(Config(**settings), environ=environ)
    assert Client(service).get("/tr:w-64,f-webp/2026/cat.jpg").status_code == 200
    service.close()
    report = images.render_many(BulkRequest(transforms=("w-64,f-webp",)), workers=1)
    assert (report.done.rendered, report.done.present) == (0, 1)


@pytest.fixture
def finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a detector that finds a car in the lower right corner, and return its name."""
    (tmp_path / "bulk_finder.py").write_text(
        "asked = []\n"
        "def find(picture):\n"
        "    asked.append(picture.size)\n"
        "    return [(picture.width - 20, picture.height - 10, 20, 10)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "bulk_finder:find"


def test_service_finds_crops_around_what_metadata_and_detectors_name(
    bucket: TestBucket, settings: dict[str, Any], environ: dict[str, str], finder: str
) -> None:
    bucket.bucket.put("2026/cat.jpg", PHOTO, media_type="image/jpeg", metadata={"focus": "0,0,10,10"})
    put(bucket, dog=photo(160, 120, seed=2))
    settings |= {"focus_detectors": {"car": finder}, "limits": Limits(isolate=False)}
    transforms = ("w-64,h-64,fo-custom,f-jpg", "fo-car,f-jpg", "w-64,h-64:w-32,h-16,fo-car,f-jpg")
    images = Images(Config(**settings), environ=environ)
    report = images.render_many(BulkRequest(prefixes=("2026/",), transforms=transforms), workers=1)
    assert (report.done.rendered, report.done.failed, report.exit_code) == (6, 0, 0)
    assert len(importlib.import_module("bulk_finder").asked) == 4  # each picture once for each transform
    before = written(bucket)
    service = TransformService(Config(**settings, service={"server_timing": True}), environ=environ)
    for transform in transforms:
        for name in ("cat", "dog"):
            answer = Client(service).get(f"/tr:{transform}/2026/{name}.jpg")
            assert answer.status_code == 200
            assert "render" not in answer.headers.get("Server-Timing", "")
    service.close()
    # The service also keeps where it has found the car.
    assert {key for key in written(bucket).keys() - before.keys() if not key.startswith(RESULTS)} == set()
    again = images.render_many(BulkRequest(prefixes=("2026/",), transforms=transforms, again=True), workers=1)
    assert (again.done.present, again.done.rendered) == (6, 0)


def test_detector_that_fails_is_a_fault_of_each_picture(
    bucket: TestBucket, settings: dict[str, Any], environ: dict[str, str], finder: str
) -> None:
    put(bucket, cat=PHOTO)
    settings["focus_detectors"] = {"car": f"{finder}_nothing"}
    images = Images(Config(**settings), environ=environ)
    report = images.render_many(BulkRequest(transforms=("w-64,h-64,fo-car,f-jpg",)), workers=1)
    assert (report.done.rendered, report.done.failed) == (0, 1)


def test_same_request_does_nothing_again(bucket: TestBucket, images: Images) -> None:
    put(bucket, cat=PHOTO)
    request = BulkRequest(transforms=("w-64,f-webp",))
    first = images.render_many(request, workers=1)
    before = written(bucket)
    again = images.render_many(request, workers=1)
    assert (again.skipped, again.done.pictures, again.run) == (1, 0, first.run)
    looked = images.render_many(changed_request(request, again=True), workers=1)
    assert (looked.skipped, looked.done.present, looked.done.rendered) == (0, 1, 0)
    assert written(bucket) == before


def changed_request(request: BulkRequest, **changes: Any) -> BulkRequest:
    return BulkRequest(**{name: getattr(request, name) for name in BulkRequest.__dataclass_fields__} | changes)


def test_uploads_variants_are_found_and_those_of_new_widths_are_made(
    bucket: TestBucket, images: Images, settings: dict[str, Any], environ: dict[str, str]
) -> None:
    uploader = Uploader(
        bucket.bucket, Config(**settings), template="{{dir}}/{{stem}}.{{ext}}", policy=UploadPolicy(variants=True)
    )
    uploaded = uploader.save(photo(200, 150), filename="cat.jpg", folder="2026")
    there = keys(bucket)
    assert len(uploaded.variants) == 4
    report = images.render_many(BulkRequest(variants=True), workers=1)
    assert (report.done.pictures, report.done.rendered, report.done.present) == (1, 0, 4)
    assert {key for key in keys(bucket) if not key.startswith(FOLDER)} == there
    wider = Images(Config(**settings | {"widths": (80, 120, 160)}), environ=environ)
    report = wider.render_many(BulkRequest(variants=True), workers=1)
    assert (report.done.rendered, report.done.present) == (2, 4)
    made = {key for key in keys(bucket) if "w-120" in key}
    assert len(made) == 2
    assert {(bucket.bucket.head(key).metadata or {})["s3img"] for key in made} == {"upload"}  # type: ignore[union-attr]


def test_sync_and_publish_find_what_was_rendered(
    bucket: TestBucket, images: Images, settings: dict[str, Any], environ: dict[str, str], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "cat.jpg").write_bytes(PHOTO)
    (site / "index.html").write_text('<img src="cat.jpg" alt="a cat">')
    plain = Images(Config(**settings | {"variants": False}), environ=environ)
    lock = site / "s3img.lock"
    assert plain.sync(site, lock=lock).exit_code == 0
    request = BulkRequest(variants=True, lock=lock)
    report = images.render_many(request, workers=1)
    assert (report.done.pictures, report.done.rendered) == (1, 4)
    before = written(bucket)
    synced = Images(Config(**settings | {"cache_dir": str(tmp_path / "other")}), environ=environ).sync(site, lock=lock)
    assert (synced.rendered, synced.uploaded) == (0, 0)
    assert next(iter(read_lock(lock))).variants is not None
    published = Images(Config(**settings | {"cache_dir": str(tmp_path / "third")}), environ=environ).publish(site)
    assert published.rendered == 0
    assert "w-160" in (site / "index.html").read_text()
    assert written(bucket) == before


def test_pictures_that_fail_are_named_and_the_others_are_done(bucket: TestBucket, images: Images) -> None:
    put(bucket, cat=PHOTO, broken=PHOTO[:900], text=b"not a picture")
    report = images.render_many(BulkRequest(transforms=("w-64,f-webp",)), workers=1)
    assert report.done.rendered == 1
    assert [error.key for error in report.done.errors] == ["2026/broken.jpg", "2026/text.jpg"]
    assert report.exit_code == 1
    assert images.render_status(report.run).done.failed == 2


def test_source_that_changed_since_it_was_listed_is_not_rendered(
    bucket: TestBucket, images: Images, environ: dict[str, str]
) -> None:
    put(bucket, cat=PHOTO, dog=PHOTO)
    run = BulkRun(BulkRequest(transforms=("w-64,f-webp",)), images.config, environ)
    (shard,) = run.shards()
    put(bucket, cat=drawing(40, 40))
    report = run_shard(shard, environ)
    assert (report.rendered, report.causes) == (1, {CHANGED: 1})


def test_layer_of_a_picture_is_part_of_the_name(
    bucket: TestBucket, images: Images, settings: dict[str, Any], environ: dict[str, str]
) -> None:
    put(bucket, cat=PHOTO)
    bucket.bucket.put("logo.png", drawing(20, 20), media_type="image/png")
    transform = "w-64,f-webp,l-image,i-logo.png,l-end"
    report = images.render_many(BulkRequest(prefixes=("2026/",), transforms=(transform,)), workers=1)
    assert (report.done.rendered, report.done.errors) == (1, ())
    service = TransformService(Config(**settings, service={"server_timing": True}), environ=environ)
    answer = Client(service).get(f"/tr:{transform}/2026/cat.jpg")
    service.close()
    assert answer.status_code == 200
    assert "render" not in answer.headers.get("Server-Timing", "")


def test_folders_of_a_bucket_are_listed_apart(bucket: TestBucket, images: Images, environ: dict[str, str]) -> None:
    """What the service has made is no source, and may be more than all sources: it is not listed."""
    names = {"top.jpg", "a/1.jpg", "a/2.jpg", "b/c/1.jpg", "c/1.jpg", "d/1.jpg"}
    for name in (*names, "a/notes.txt", "d/1.5b1e09aa.w-640.jpg", f"{RESULTS}ab/cd.jpg"):
        bucket.bucket.put(name, b"x", media_type="image/jpeg")
    run = BulkRun(BulkRequest(transforms=("w-64",)), images.config, environ)
    for _ in range(2):
        shards = [*run.shards()]
        assert sorted(item.key for shard in shards for item in shard.items) == sorted(names)
    assert run.source.requests["list"] == 2 * 5
    again = BulkRun(BulkRequest(transforms=("w-64",)), images.config, environ)
    assert {shard.id for shard in again.shards()} == {shard.id for shard in shards}


def test_parts_of_a_run_do_each_shard_once(bucket: TestBucket, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_run, "cut", lambda items, job: (bulk_run.Shard(job, (item,)) for item in items))
    put(bucket, **{f"p{number}": PHOTO for number in range(6)})
    reports = [
        images.render_many(BulkRequest(transforms=("w-32,f-webp",), part=ShardPart(number, 3)), workers=1)
        for number in (1, 2, 3)
    ]
    assert sum(report.done.rendered for report in reports) == 6
    assert images.render_status(reports[0].run).done.pictures == 6


def test_run_that_was_cut_off_goes_on_where_it_was(
    bucket: TestBucket, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends a run, the checkpoints of its finished shards stay, and what is put is not put again."""
    monkeypatch.setattr(bulk_run, "cut", lambda items, job: (bulk_run.Shard(job, (item,)) for item in items))
    put(bucket, **{f"p{number}": PHOTO for number in range(5)})
    request = BulkRequest(transforms=("w-32,f-webp",))

    def stop(total: Any) -> None:
        if total.shards == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.render_many(request, workers=1, progress=stop)
    before = written(bucket)
    report = images.render_many(request, workers=1)
    assert report.skipped >= 2
    assert report.skipped + report.done.shards == 5
    assert before.items() <= written(bucket).items()
    assert len(keys(bucket, RESULTS)) == 5


def test_deadline_ends_a_run_that_can_go_on(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(PHOTO)
    settings: dict[str, Any] = {"bucket": tmp_path.as_uri(), "widths": (80,), "formats": ("webp",)}
    late = Images(Config(**settings, deadline=1e-9)).render_many(BulkRequest(variants=True), workers=1)
    assert (late.is_late, late.done.pictures, late.exit_code) == (True, 0, 5)
    report = Images(Config(**settings)).render_many(BulkRequest(variants=True), workers=1)
    assert (report.is_late, report.done.pictures, report.exit_code) == (False, 1, 0)


def test_two_runs_at_once_do_no_harm(bucket: TestBucket, images: Images, environ: dict[str, str]) -> None:
    put(bucket, cat=PHOTO)
    run = BulkRun(BulkRequest(transforms=("w-64,f-webp",)), images.config, environ)
    (shard,) = run.shards()
    report = images.render_many(BulkRequest(transforms=("w-64,f-webp",)), workers=1)
    late = run_shard(shard, environ)  # of another run, which has listed the bucket before
    assert (report.done.rendered, late.rendered, late.present) == (1, 0, 1)


def test_worker_of_another_version_is_refused_by_name(
    bucket: TestBucket, images: Images, environ: dict[str, str]
) -> None:
    put(bucket, cat=PHOTO)
    run = BulkRun(BulkRequest(transforms=("w-64",)), images.config, environ)
    (shard,) = run.shards()
    other = bulk_run.Shard(msgspec.structs.replace(shard.job, engine="s3img 0.0.1, renderer 1, Pillow 9"), shard.items)
    with pytest.raises(WorkerRefused, match=r"The worker .+, process \d+ has s3img .+ started with s3img 0\.0\.1"):
        run_shard(other, environ)
    assert keys(bucket, RESULTS) == set()


def test_store_that_fails_leaves_no_checkpoint(
    bucket: TestBucket, images: Images, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, cat=PHOTO, dog=PHOTO)
    run = BulkRun(BulkRequest(transforms=("w-64,f-webp",)), images.config, environ)

    def refuse(source: Any, item: ShardItem, limit: int) -> Any:
        raise BucketError("the store is ill", code="InternalError", key=item.key)

    with monkeypatch.context() as patch:
        patch.setattr(shard_worker, "read_source", refuse)
        patch.setattr(shard_worker, "ATTEMPTS", 2)
        report = run.run(workers=1)
    assert (report.done.failed, report.exit_code) == (2, 5)
    assert run.run(workers=1).done.rendered == 2


def test_secrets_do_not_travel(settings: dict[str, Any]) -> None:
    config = Config(**settings, signing_keys={"one": "0123456789abcdef0123456789abcdef-secret"})
    job = BulkRequest(transforms=("w-64",)).job(config)
    assert b"0123456789abcdef" not in job.settings


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (BulkRequest(), "name transforms"),
        (BulkRequest(transforms=("w-3",), variants=True), "name transforms"),
        (BulkRequest(transforms=("w-3",), accepts=("jxl",)), "'jxl' is unknown"),
        (BulkRequest(transforms=("w-3",), origin="shop"), "not among the origins"),
        (BulkRequest(variants=True, origin="shop"), "bucket's own pictures"),
        (BulkRequest(transforms=("orig-true",)), "which is there"),
    ],
)
def test_request_that_can_not_be_done_is_refused(images: Images, request_: BulkRequest, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        images.render_many(request_)


def test_results_need_a_bucket(tmp_path: Path) -> None:
    images = Images(Config(bucket=tmp_path.as_uri()))
    with pytest.raises(ConfigError, match=r"service\.results"):
        images.render_many(BulkRequest(transforms=("w-3",)))


def test_folder_is_a_bucket_too(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cat.jpg").write_bytes(PHOTO)
    images = Images(Config(bucket=(tmp_path / "pictures").as_uri(), widths=(80,), formats=("webp",)))
    done = images.render_many(BulkRequest(variants=True), workers=1).done
    assert done.rendered == 2
    # A listing reads all names of a folder: one for each picture would take longer the more pictures there are.
    assert "list" not in done.requests
    assert images.render_many(BulkRequest(variants=True, run="again"), workers=1).done.present == 2
