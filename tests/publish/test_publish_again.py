"""Sites that are published again with nothing left to do: roll-backs, restored deployments, other places, killed runs."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sites import Site, photo

from s3img import Config, Images
from s3img.buckets import open_bucket
from s3img.cache import Cache
from s3img.gc.clean_up import collect
from s3img.gc.marks import OWN, Mark, read_marks, write_marks
from s3img.gc.rules import Rules
from s3img.publish.files import recorded_address, recorded_keys

if TYPE_CHECKING:
    from s3img.buckets import Bucket
    from s3img.publish.result import PublishResult

DAY = timedelta(days=1)
PUBLIC = "https://img.example.com"


class Deployment:
    """A bucket in a folder, and builds of one site that are published to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bucket_url = (folder / "bucket").as_uri()

    @property
    def bucket(self) -> Bucket:
        return open_bucket(self.bucket_url)

    def build(self, name: str, *images: int) -> Site:
        site = Site(self.folder / name)
        site.root.mkdir()
        for number in images:
            site.add(f"{number}.jpg", photo(64, 48, seed=number))
        site.page("index.html", "".join(f'<img src="{number}.jpg" alt="">' for number in images))
        return site

    def publish(self, site: Site, **settings: object) -> PublishResult:
        values = {
            "bucket": self.bucket_url,
            "public_url": PUBLIC,
            "site_url": "https://site.example/",
            "check_public": False,
        }
        values |= {"formats": ("webp",), "widths": (32,), "cache_dir": str(self.folder / "cache"), **settings}
        return Images(Config(**values)).publish(site.root)  # type: ignore[arg-type]

    def clean_up(self, *days: int, **rules: object) -> None:
        for day in days:
            now = datetime.now(UTC) + day * DAY
            assert not collect(self.bucket, apply=True, now=now, rules=Rules(force=True, **rules)).failed  # type: ignore[arg-type]

    def grow_older(self) -> None:
        """Move all that is in the bucket two seconds back: times of objects are compared in whole seconds."""
        for file in filter(Path.is_file, (self.folder / "bucket").rglob("*")):
            stat = file.stat()
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns - 2_000_000_000))

    def objects(self) -> set[str]:
        return {info.key for info in self.bucket.list() if not info.key.startswith(OWN)}

    def shown(self, site: Site) -> set[str]:
        return {key for key in recorded_keys(site.root) if f"{PUBLIC}/{key}" in site.text("index.html")}


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


@pytest.fixture
def rolled_back(deployment: Deployment) -> Site:
    """Two builds were published in turn; the first one is published again."""
    first = deployment.build("a", 1, 2)
    deployment.publish(first)
    deployment.grow_older()
    deployment.publish(deployment.build("b", 2, 3))
    return first


def test_settled_publish_lists_the_references_of_its_site_and_nothing_else(deployment: Deployment) -> None:
    site = deployment.build("a", 1)
    deployment.publish(site)
    result = deployment.publish(site)
    assert (result.exit_code, result.pages_changed, result.uploaded, result.requests) == (0, 0, 0, {"list": 1})


def test_rolled_back_build_keeps_what_only_it_shows(deployment: Deployment, rolled_back: Site) -> None:
    deployment.grow_older()
    assert deployment.publish(rolled_back).pages_changed == 0
    deployment.clean_up(35, 43, 51)
    assert deployment.shown(rolled_back) <= deployment.objects()


def test_build_that_was_not_published_again_gives_up_what_only_it_shows(
    deployment: Deployment, rolled_back: Site
) -> None:
    deployment.clean_up(35, 43, 51)
    assert not deployment.shown(rolled_back) <= deployment.objects()


@pytest.mark.slow
def test_roll_back_to_marked_objects_writes_them_anew(deployment: Deployment, rolled_back: Site) -> None:
    deployment.clean_up(35)
    marked = read_marks(deployment.bucket).keys()
    assert marked
    before = {key: deployment.bucket.get(key) for key in marked}
    time.sleep(1.1)  # not older objects: marks name the time of theirs
    assert deployment.publish(rolled_back).exit_code == 0
    write_marks(
        deployment.bucket,
        {key: Mark(mark.at - 9 * DAY, mark.modified) for key, mark in read_marks(deployment.bucket).items()},
    )
    deployment.clean_up(43)
    assert {key: deployment.bucket.get(key) for key in marked} == before


def test_roll_back_to_deleted_objects_takes_them_from_the_trash(deployment: Deployment, rolled_back: Site) -> None:
    shown = deployment.shown(rolled_back)
    before = {
        key: (deployment.bucket.get(key), info.media_type, info.cache_control)
        for key in shown
        if (info := deployment.bucket.head(key))
    }
    deployment.clean_up(35, 43)
    assert not shown <= deployment.objects()
    result = deployment.publish(rolled_back)
    assert (result.exit_code, result.problems) == (0, ())
    after = {
        key: (deployment.bucket.get(key), info.media_type, info.cache_control)
        for key in shown
        if (info := deployment.bucket.head(key))
    }
    assert after == before


def test_roll_back_to_objects_that_are_gone_for_good_says_so(deployment: Deployment, rolled_back: Site) -> None:
    deployment.clean_up(35, 43, trash=timedelta(0))
    lost = deployment.shown(rolled_back) - deployment.objects()
    result = deployment.publish(rolled_back)
    (problem,) = result.problems
    assert (result.exit_code, problem.code, problem.severity) == (1, "gone", "error")
    assert str(len(lost)) in problem.message
    assert deployment.publish(rolled_back).exit_code == 1  # it is not forgotten


def test_page_added_to_a_rolled_back_build_keeps_the_other_pages(deployment: Deployment, rolled_back: Site) -> None:
    deployment.clean_up(35, 43)
    shutil.rmtree(deployment.folder / "cache")
    rolled_back.add("4.jpg", photo(64, 48, seed=4))
    rolled_back.page("new.html", '<img src="4.jpg" alt="">')
    result = deployment.publish(rolled_back)
    assert (result.exit_code, result.pages_changed) == (0, 1)
    assert deployment.shown(rolled_back) <= deployment.objects()


def test_object_that_somebody_deleted_is_missed_after_a_day(deployment: Deployment) -> None:
    site = deployment.build("a", 1)
    deployment.publish(site)
    deployment.bucket.delete(deployment.shown(site))
    assert deployment.publish(site).exit_code == 0  # believed for a day
    cache = Cache.at(str(deployment.folder / "cache"))
    state = cache.load_state(site.root)
    state.confirmed -= 86_401
    cache.save_state(site.root, state)
    assert deployment.publish(site).exit_code == 1


def test_dry_run_of_a_settled_site_claims_nothing(deployment: Deployment, rolled_back: Site) -> None:
    values = Config(bucket=deployment.bucket_url, public_url=PUBLIC, formats=("webp",), widths=(32,))
    before = deployment.bucket.requests, sorted(info.key for info in deployment.bucket.list())
    Images(values).publish(rolled_back.root, dry_run=True)
    assert sorted(info.key for info in deployment.bucket.list()) == before[1]


@pytest.mark.parametrize("page", [False, True])
def test_site_published_inside_itself_says_why_nothing_moves(deployment: Deployment, *, page: bool) -> None:
    site = deployment.build("a", 1)
    deployment.publish(site, bucket="", public_url="")
    if page:
        site.add("2.jpg", photo(64, 48, seed=2))
        site.page("new.html", '<img src="2.jpg" alt="">')
    (problem,) = deployment.publish(site).problems
    assert (problem.code, problem.severity) == ("published-before", "warning")
    assert "inside the site already" in problem.message
    assert f"at {PUBLIC}, build the site anew" in problem.message


@pytest.mark.parametrize("settings", [{"public_url": "https://new.example.com"}, {"bucket": "", "public_url": ""}])
def test_site_published_elsewhere_says_why_nothing_moves(deployment: Deployment, settings: dict[str, str]) -> None:
    site = deployment.build("a", 1)
    deployment.publish(site)
    assert recorded_address(site.root) == PUBLIC
    (problem,) = deployment.publish(site, **settings).problems
    assert f"show their pictures at {PUBLIC} already" in problem.message


@pytest.mark.parametrize("bucket", [False, True])
def test_settled_run_removes_what_killed_runs_left(deployment: Deployment, *, bucket: bool) -> None:
    site = deployment.build("a", 1)
    settings = {} if bucket else {"bucket": "", "public_url": ""}
    deployment.publish(site, **settings)
    cache = deployment.folder / "cache"
    places = [site.root, site.root / "assets/_s3img", cache / "sites", cache / "variants"]
    left = [place / (".rendering-x" if place.name == "variants" else ".s3img-x.tmp") for place in places]
    fresh = site.root / ".s3img-y.tmp"
    for file in (*left, fresh):
        file.write_bytes(b"x")
    for file in left:
        os.utime(file, (1, 1))
    assert deployment.publish(site, **settings).pages_changed == 0
    assert [file.exists() for file in (*left, fresh)] == [False, False, False, False, True]
