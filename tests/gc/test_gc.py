"""Clean-ups of a folder, of moto and of SeaweedFS."""

from __future__ import annotations

import os
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from s3_servers import new_bucket

from s3img.buckets import MARKER, ObjectInfo, open_bucket
from s3img.buckets.key_claims import CLAIMS
from s3img.errors import AssetError, BucketError
from s3img.gc.clean_up import collect
from s3img.gc.marks import OWN, TRASH, Mark, read_marks, write_marks
from s3img.gc.references import ReferenceReader, write_reference
from s3img.gc.rules import Rules
from s3img.publish.files import record_keys
from s3img.transfer import Upload, upload_one
from s3img.transfer.delivery import claim, missing_keys, take_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3_servers import S3Server, TestBucket

    from s3img.buckets import Bucket
    from s3img.buckets.protocol import UnfinishedUpload
    from s3img.gc.rules import GcResult

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
SITE = "https://docs.example.com/"


@pytest.fixture(params=["directory", "moto", "seaweedfs"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    """A bucket with a prefix."""
    if request.param == "directory":
        return open_bucket((tmp_path / "docs").as_uri())
    made = request.getfixturevalue(f"{request.param}_bucket")
    return open_bucket(f"{made.address}/docs", made.options)


@pytest.fixture(params=["moto", "seaweedfs"])
def store(request: pytest.FixtureRequest) -> TestBucket:
    made: TestBucket = request.getfixturevalue(f"{request.param}_bucket")
    return made


def put(bucket: Bucket, *keys: str, **options: Any) -> None:
    for key in keys:
        bucket.put(key, key.encode(), media_type="image/png", **{"metadata": MARKER, **options})


def keys(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list() if not info.key.startswith(OWN)}


def gc(bucket: Bucket, days: float = 0, **options: Any) -> GcResult:
    now = datetime.now(UTC) + days * DAY
    return collect(bucket, **{"apply": True, "workers": 4, "now": now, **options})


def filled(bucket: Bucket) -> Bucket:
    """Two objects are in use; one was, by a build that another has long superseded."""
    put(bucket, "a.png", "b.png", "old.png")
    write_reference(bucket, ["a.png", "b.png", "old.png"], site=SITE)
    write_reference(bucket, ["a.png", "b.png"], site="https://other.example")
    return bucket


def superseded(bucket: Bucket) -> None:
    """Remove the reference to old.png, as a clean-up does long after a later build of the site."""
    bucket.delete([r.info.key for r in ReferenceReader(bucket).read() if "old.png" in r.keys])


def test_what_is_marked_long_enough_is_deleted(store: TestBucket) -> None:
    bucket = filled(open_bucket(f"{store.address}/docs", store.options))
    superseded(bucket)
    assert (gc(bucket, 8).marked, keys(bucket)) == (("old.png",), {"a.png", "b.png", "old.png"})
    assert (gc(bucket, 14).deleted, gc(bucket, 14).waiting) == ((), ("old.png",))
    result = gc(bucket, 16)
    assert (result.deleted, result.bytes, keys(bucket)) == (("old.png",), 7, {"a.png", "b.png"})
    assert read_marks(bucket) == {}
    assert gc(bucket, 17).deleted == ()


def test_a_dry_run_writes_and_deletes_nothing(bucket: Bucket) -> None:
    filled(bucket)
    before = bucket.requests
    for days in (0, 50, 500):
        assert gc(bucket, days, apply=False).applied is False
    after = bucket.requests
    assert all(before.get(name, 0) == after.get(name, 0) for name in ("put", "delete"))
    assert keys(bucket) == {"a.png", "b.png", "old.png"}


def test_what_a_young_object_is_for_may_still_come(bucket: Bucket) -> None:
    put(filled(bucket), "new.png")
    superseded(bucket)
    assert gc(bucket, 6.9).marked == ()


def test_objects_of_others_stay(store: TestBucket) -> None:
    bucket = filled(open_bucket(f"{store.address}/docs", store.options))
    put(bucket, "foreign.png", metadata={})
    put(bucket, "upload.png", metadata={"s3img": "upload"})
    result = gc(bucket, 40, rules=Rules(force=True))
    assert (result.foreign, result.marked) == (2, ())
    gc(bucket, 80, rules=Rules(force=True))
    assert {"foreign.png", "upload.png"} <= keys(bucket)


def test_an_object_that_another_program_wrote_over_stays(store: TestBucket) -> None:
    bucket = filled(open_bucket(f"{store.address}/docs", store.options))
    superseded(bucket)
    gc(bucket, 8)
    put(bucket, "old.png", metadata={})
    result = gc(bucket, 30)
    assert (result.deleted, "old.png" in keys(bucket)) == ((), True)


def test_a_folder_loses_only_what_a_reference_named(tmp_path: Path) -> None:
    bucket = open_bucket((tmp_path / "docs").as_uri())
    put(bucket, "a.png", "b.png", "old.png", "stray.png")
    write_reference(bucket, ["a.png", "b.png", "old.png"], site=SITE)
    age(tmp_path, 10)
    write_reference(bucket, ["a.png", "b.png"], site=SITE)
    age(tmp_path, 31)
    assert gc(bucket).marked == ("old.png",)
    assert gc(bucket, 8).deleted == ("old.png",)
    assert keys(bucket) == {"a.png", "b.png", "stray.png"}


def age(folder: Path, days: float) -> None:
    for file in folder.rglob("*"):
        past = file.stat().st_mtime - days * DAY.total_seconds()
        os.utime(file, (past, past))


def test_superseded_references_are_dropped_once_nothing_needs_them(tmp_path: Path) -> None:
    bucket = open_bucket((tmp_path / "docs").as_uri())
    put(bucket, "a.png", "old.png")
    write_reference(bucket, ["a.png", "old.png"], site=SITE)
    age(tmp_path, 10)
    write_reference(bucket, ["a.png"], site=SITE)
    age(tmp_path, 31)
    assert len(ReferenceReader(bucket).read()) == 2
    gc(bucket)
    assert [sorted(reference.keys) for reference in ReferenceReader(bucket).read()] == [["a.png"]]


def test_a_neighbour_whose_prefix_begins_alike_is_not_touched(store: TestBucket) -> None:
    docs, docs2 = (open_bucket(f"{store.address}/{name}", store.options) for name in ("docs", "docs2"))
    put(filled(docs2), "x.png")
    superseded(filled(docs))
    gc(docs, 8, rules=Rules(force=True))
    assert gc(docs, 80, rules=Rules(force=True)).deleted == ("old.png",)
    assert keys(docs2) == {"a.png", "b.png", "old.png", "x.png"}


def test_the_prefix_of_another_project_inside_is_left_alone(store: TestBucket) -> None:
    docs, preview = (open_bucket(f"{store.address}/{name}", store.options) for name in ("docs", "docs/pr/7"))
    superseded(filled(docs))
    superseded(filled(preview))
    gc(docs, 8, rules=Rules(force=True))
    assert gc(docs, 80, rules=Rules(force=True)).deleted == ("old.png",)
    assert keys(preview) == {"a.png", "b.png", "old.png"}
    assert (gc(preview, 8).marked, gc(preview, 16).deleted) == (("old.png",), ("old.png",))


@pytest.mark.parametrize("home", ["", "docs/app", "docs/Bücher & mehr"])
def test_what_was_synced_to_another_prefix_stays(home: str, store: TestBucket, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    key = "docs/cat.png" if not home else "cat.png"
    other = open_bucket(f"{store.address}/{home}", store.options)
    assert upload_one(other, Upload(key, tmp_path / "cat.png", 3, "image/png")) is None
    bucket = filled(open_bucket(f"{store.address}/docs", store.options))
    assert gc(bucket, 40, rules=Rules(force=True)).foreign == 1
    gc(bucket, 80, rules=Rules(force=True))
    assert other.get(key) == b"cat"


def test_what_was_synced_to_a_prefix_a_clean_up_of_it_deletes(store: TestBucket, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    bucket = open_bucket(f"{store.address}/Bücher & mehr/", store.options)
    assert upload_one(bucket, Upload("cat.png", tmp_path / "cat.png", 3, "image/png")) is None
    assert gc(bucket, 40, rules=Rules(force=True)).marked == ("cat.png",)
    assert gc(bucket, 80, rules=Rules(force=True)).deleted == ("cat.png",)


def test_a_build_puts_marked_objects_again_and_they_stay(store: TestBucket) -> None:
    bucket = filled(open_bucket(f"{store.address}/docs", store.options))
    superseded(bucket)
    gc(bucket, 8)
    write_reference(bucket, ["old.png"], site=SITE)
    snapshot = take_snapshot(bucket)
    assert (set(snapshot.present), snapshot.marked) == ({"a.png", "b.png"}, {"old.png"})
    put(bucket, "old.png")
    assert missing_keys(bucket, snapshot.marked) == []
    assert (gc(bucket, 80).deleted, "old.png" in keys(bucket), read_marks(bucket)) == ((), True, {})


def test_a_lock_keeps_objects(bucket: Bucket) -> None:
    superseded(filled(bucket))
    assert gc(bucket, 40, kept=["old.png"]).marked == ()


class Proxy:
    """A bucket of which something goes another way."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.deletions = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)


class Failing(Proxy):
    """A bucket whose second deletion fails."""

    def delete(self, names: Any) -> None:
        self.deletions += 1
        if self.deletions == 2:
            raise BucketError("the store is down.", code="503")
        self._bucket.delete(names)


def test_an_interrupted_sweep_goes_on_next_time(store: TestBucket) -> None:
    bucket = open_bucket(f"{store.address}/docs", store.options)
    put(bucket, *(f"{number:02}.png" for number in range(40)), "a.png")
    write_reference(bucket, ["a.png"], site=SITE)
    rules = Rules(force=True)
    assert len(gc(bucket, 8, rules=rules).marked) == 40
    broken = gc(Failing(bucket), 16, rules=rules)  # type: ignore[arg-type]
    assert (len(broken.deleted), broken.exit_code, broken.failed) == (32, 5, "the store is down.")
    assert len(read_marks(bucket)) == 8
    assert (len(gc(bucket, 16, rules=rules).deleted), keys(bucket)) == (8, {"a.png"})


def test_more_than_half_is_refused(store: TestBucket) -> None:
    bucket = open_bucket(f"{store.address}/docs", store.options)
    put(bucket, "a.png", "b.png", "c.png")
    write_reference(bucket, ["a.png"], site=SITE)
    result = gc(bucket, 40)
    assert (result.applied, result.exit_code, "2 of 3" in result.refused) == (False, 1, True)
    assert read_marks(bucket) == {}
    assert gc(bucket, 40, rules=Rules(force=True)).marked == ("b.png", "c.png")


def test_a_bucket_without_a_reference_is_refused(bucket: Bucket) -> None:
    put(bucket, "a.png")
    result = gc(bucket, 40)
    assert (result.applied, result.exit_code) == (False, 1)
    assert "nothing refers to this bucket" in result.refused


@pytest.mark.parametrize("record", [TRASH, f"{OWN}refs/unnamed/x-1.json"])
def test_a_damaged_record_stops_everything(bucket: Bucket, record: str) -> None:
    superseded(filled(bucket))
    bucket.put(record, b"{", media_type="application/json")
    with pytest.raises(BucketError, match=record) as caught:
        gc(bucket, 40, rules=Rules(force=True))
    assert (caught.value.code, keys(bucket)) == ("InvalidRecord", {"a.png", "b.png", "old.png"})


def test_references_of_equal_keys_are_fetched_once(bucket: Bucket) -> None:
    for _ in range(3):
        write_reference(bucket, ["a.png", "b.png"], site=SITE)
    reader = ReferenceReader(bucket)
    assert [sorted(reference.keys) for reference in reader.read()] == [["a.png", "b.png"]] * 3
    reader.read()
    assert bucket.requests["get"] == 1


def test_a_claim_of_what_is_referenced_already_costs_one_listing(store: TestBucket) -> None:
    first = open_bucket(f"{store.address}/docs", store.options)
    put(first, "a.png")
    claim(first, {"a.png"}, take_snapshot(first), site=SITE)
    bucket = open_bucket(f"{store.address}/docs", store.options)
    assert claim(bucket, {"a.png"}, take_snapshot(bucket), site=SITE).present == {"a.png": 5}
    assert bucket.requests == {"list": 1}


def test_a_claim_of_other_keys_looks_for_marks_after_its_reference(store: TestBucket) -> None:
    bucket = open_bucket(f"{store.address}/docs", store.options)
    claim(bucket, {"a.png"}, take_snapshot(bucket), site=SITE)
    assert bucket.requests == {"list": 2, "put": 1}
    collect(bucket, rules=Rules(force=True), apply=True)
    write_marks(bucket, {})
    before = bucket.requests
    claim(bucket, {"b.png"}, take_snapshot(bucket), site=SITE)
    assert bucket.requests - before == {"list": 2, "get": 2, "put": 1}  # type: ignore[operator]


@pytest.mark.slow
def test_a_claim_of_an_earlier_content_is_written_again(bucket: Bucket) -> None:
    for number, keys in enumerate((["a.png"], ["b.png"], ["a.png"]), 1):
        claim(bucket, set(keys), take_snapshot(bucket), site=SITE)
        time.sleep(1.1)  # stores count in seconds
        assert len(list(bucket.list(f"{OWN}refs/"))) == number


def test_a_claim_without_a_site_is_written_once(bucket: Bucket) -> None:
    for keys in (["a.png"], ["b.png"], ["a.png"], ["b.png"]):
        claim(bucket, set(keys), take_snapshot(bucket))
    assert len(list(bucket.list(f"{OWN}refs/unnamed/"))) == 2


def test_an_emptied_site_gives_up_its_keys(bucket: Bucket) -> None:
    claim(bucket, set(), take_snapshot(bucket), site=SITE)
    assert list(bucket.list(f"{OWN}refs/")) == []
    claim(bucket, {"a.png"}, take_snapshot(bucket), site=SITE)
    claim(bucket, set(), take_snapshot(bucket), site=SITE)
    assert len(list(bucket.list(f"{OWN}refs/"))) == 2


def test_marks_that_changed_while_the_bucket_was_listed_are_followed_by_a_new_listing(tmp_path: Path) -> None:
    """A clean-up that sweeps between the listing and the reading of the marks."""
    bucket = filled(open_bucket((tmp_path / "docs").as_uri()))
    write_marks(bucket, {"old.png": Mark(START, START)})

    class Sweeping(Proxy):
        def open(self, key: str) -> Any:
            bucket.delete(["old.png"])
            write_marks(bucket, {})
            return bucket.open(key)

    snapshot = take_snapshot(Sweeping(bucket))  # type: ignore[arg-type]
    assert (set(snapshot.present), snapshot.marked) == ({"a.png", "b.png"}, frozenset())


def test_site_keys_adds_up_over_runs(tmp_path: Path) -> None:
    assert record_keys(tmp_path, ["b\u2028.png"], address="https://img.example") == {"b\u2028.png"}
    assert record_keys(tmp_path, ["a.png"], address="https://img.example") == {"a.png", "b\u2028.png"}
    assert (tmp_path / "assets/_s3img/keys.txt").read_text() == (
        "# public_url: https://img.example\na.png\nb\u2028.png\n"
    )
    assert record_keys(tmp_path, ["c.png"], address="https://img.example", anew=True) == {"c.png"}


def test_site_keys_of_an_unreadable_record_says_so(tmp_path: Path) -> None:
    (tmp_path / "assets/_s3img/keys.txt").mkdir(parents=True)
    with pytest.raises(AssetError, match=r"keys\.txt"):
        record_keys(tmp_path, ["a.png"], address="https://img.example")


def test_key_that_a_setting_names_stays_but_proves_no_site(tmp_path: Path) -> None:
    bucket = open_bucket((tmp_path / "docs").as_uri())
    put(bucket, "brand/logo.png", "a.png", "b.png")
    assert gc(bucket, 40, spared=["brand/logo.png"]).refused.startswith("nothing refers to this bucket")
    write_reference(bucket, ["a.png", "b.png", "brand/logo.png"], site=SITE)
    write_reference(bucket, ["a.png", "b.png"], site="https://other.example")
    superseded_by = [r.info.key for r in ReferenceReader(bucket).read() if "brand/logo.png" in r.keys]
    bucket.delete(superseded_by)
    options = {"rules": Rules(force=True)}
    gc(bucket, 40, spared=["brand/logo.png"], **options)
    assert gc(bucket, 80, spared=["brand/logo.png"], **options).deleted == ()


def begin_upload(made: TestBucket, key: str) -> None:
    """Begin an upload in parts and send one, as a run that is killed then."""
    client = made.server.client()
    begun = client.create_multipart_upload(Bucket=made.name, Key=key)["UploadId"]
    client.upload_part(Bucket=made.name, Key=key, UploadId=begun, PartNumber=1, Body=b"x" * 1000)


def test_what_killed_runs_have_left_goes_after_a_day_also_when_nothing_else_does(
    seaweedfs_bucket: TestBucket,
) -> None:
    store = seaweedfs_bucket  # moto says that all uploads began in 2010
    bucket = open_bucket(f"{store.address}/docs", store.options)
    put(bucket, "a.png")
    write_reference(bucket, ["a.png"], site=SITE)
    put(bucket, f"{CLAIMS}0/120-1")
    put(bucket, "other/.s3img/refs/x.json")
    for key in ("docs/large.png", "docs/other/large.png", "elsewhere/large.png"):
        begin_upload(store, key)
    assert gc(bucket, days=0.9).left == ()
    assert gc(bucket, days=1.1, apply=False).left == (f"{CLAIMS}0/120-1", "large.png")
    assert "2 unfinished uploads and claims of killed runs deleted" in str(gc(bucket, days=1.1))
    assert [info.key for info in bucket.list(CLAIMS)] == []
    left = store.server.client().list_multipart_uploads(Bucket=store.name)["Uploads"]
    assert sorted(upload["Key"] for upload in left) == ["docs/other/large.png", "elsewhere/large.png"]
    assert keys(bucket) >= {"a.png"}


def test_store_that_lists_no_unfinished_uploads_is_cleaned_up_without(rclone: S3Server) -> None:
    bucket = new_bucket(rclone).bucket
    put(bucket, "a.png")
    assert bucket.unfinished() == ()


class Listing:
    """A bucket of so many objects that are all in use, and as many records of another tool's."""

    name = "s3://stub"
    requests: ClassVar[dict[str, int]] = {}

    def __init__(self, count: int) -> None:
        self.count = count

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        if not prefix:
            for number in range(self.count):
                yield ObjectInfo(f"{OWN}results/{number:09}.jpg", 1_000, f"{number:032x}", START)
            for number in range(self.count):
                yield ObjectInfo(f"{number:09}.jpg", 1_000, f"{number:032x}", START)

    def unfinished(self) -> Iterator[UnfinishedUpload]:
        return iter(())


@pytest.mark.slow
def test_objects_in_use_are_not_remembered() -> None:
    count = 50_000
    kept = frozenset(f"{number:09}.jpg" for number in range(count))
    collect(Listing(1), kept=kept)  # type: ignore[arg-type] # loads what is loaded once
    peaks = []
    for number in (1, count):
        tracemalloc.start()
        result = collect(Listing(number), kept=kept)  # type: ignore[arg-type]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (result.objects, result.live) == (number, number)
    assert peaks[1] - peaks[0] < 20 * count  # an object and its key take 400 bytes


def test_reference_that_is_superseded_while_a_bucket_is_listed_is_kept(tmp_path: Path) -> None:
    bucket = filled(open_bucket(tmp_path.as_uri()))
    listing = bucket.list

    def list_slowly(prefix: str = "") -> Iterator[ObjectInfo]:
        yield from listing(prefix)
        if not prefix:
            write_reference(bucket, ["a.png"], site=SITE)

    bucket.list = list_slowly  # type: ignore[method-assign]
    assert not gc(bucket, 1, rules=Rules(grace=-2 * DAY, history=-2 * DAY)).marked
    assert any("old.png" in reference.keys for reference in ReferenceReader(bucket).read())
