"""Publishing and clean-ups of one bucket: nothing that a page shows is lost, what none shows any more goes."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from publishing import Publisher, fetch
from sites import SVG, Site, photo

from s3img import Config, Images
from s3img.buckets import open_bucket
from s3img.gc.clean_up import collect
from s3img.gc.marks import OWN, Mark, read_marks, write_marks
from s3img.gc.rules import Rules

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

    from s3img.buckets import Bucket
    from s3img.gc.rules import GcResult

CAT, DOG = photo(400, 260, seed=1), photo(400, 260, seed=2)
AT_ONCE = Rules(grace=timedelta(0), history=timedelta(0), force=True)
SITE_URL = "https://docs.example.com/"


@pytest.fixture
def publish(seaweedfs_bucket: TestBucket, cache_dir: str) -> Publisher:
    return Publisher(seaweedfs_bucket, cache_dir, site_url=SITE_URL)


def build(site: Site, *names: str) -> None:
    """Build a site from scratch that shows these images."""
    shutil.rmtree(site.root)
    for name in names:
        site.add(f"{name}.jpg", {"cat": CAT, "dog": DOG}[name])
        site.page(f"{name}.html", f'<a href="{name}.jpg"><img src="{name}.jpg" alt=""></a>')
    site.page("index.html", "no image")


def gc(bucket: Bucket, rules: Rules = AT_ONCE, days: float = 1) -> GcResult:
    return collect(bucket, rules=rules, apply=True, workers=4, now=datetime.now(UTC) + timedelta(days=days))


def sweep(bucket: Bucket) -> GcResult:
    """Clean up twice without any grace: the first time marks, the second deletes."""
    gc(bucket)
    return gc(bucket, days=2)


def names(bucket: Bucket) -> set[str]:
    return {info.key.split(".")[0] for info in bucket.list() if not info.key.startswith(OWN)}


def next_second() -> None:
    """Let a reference be later than the one before: stores count in seconds."""
    time.sleep(1.1)


def test_a_clean_up_loses_nothing_that_a_page_shows(site: Site, publish: Publisher) -> None:
    build(site, "cat", "dog")
    assert publish(site).exit_code == 0
    assert sweep(publish.open()).deleted == ()
    found = publish.urls(site)
    assert len(found) == 10
    for url in found:
        assert fetch(url)[0]


def test_an_image_that_no_page_shows_any_more_goes_after_the_grace_period(site: Site, publish: Publisher) -> None:
    build(site, "cat", "dog")
    publish(site)
    next_second()
    build(site, "cat")
    publish(site)
    bucket, rules = publish.open(), Rules(force=True)
    assert [gc(bucket, rules, days).marked for days in (0, 29)] == [(), ()]
    assert {key.split(".")[0] for key in gc(bucket, rules, 31).marked} == {"dog"}
    assert gc(bucket, rules, 37).deleted == ()
    assert len(gc(bucket, rules, 39).deleted) == 5
    assert names(bucket) == {"cat"}


def test_a_site_without_any_image_gives_up_all(site: Site, publish: Publisher) -> None:
    build(site, "cat")
    publish(site)
    next_second()
    build(site)
    assert publish(site).requests == {"list": 2, "put": 1}
    sweep(publish.open())
    assert names(publish.open()) == set()


def test_a_site_that_never_had_an_image_writes_nothing(site: Site, publish: Publisher) -> None:
    build(site)
    assert publish(site).requests == {"list": 1}
    assert list(publish.open().list()) == []


def test_sites_of_one_bucket_keep_what_they_share(
    site: Site, publish: Publisher, seaweedfs_bucket: TestBucket, cache_dir: str, tmp_path: Path
) -> None:
    other, publish_other = (
        Site(tmp_path / "other"),
        Publisher(seaweedfs_bucket, cache_dir, site_url="https://b.example"),
    )
    other.root.mkdir()
    build(site, "cat", "dog")
    build(other, "dog")
    publish(site)
    publish_other(other)
    next_second()
    build(site, "cat")
    publish(site)
    sweep(publish.open())
    assert names(publish.open()) == {"cat", "dog"}
    next_second()
    build(other, "cat")
    publish_other(other)
    sweep(publish.open())
    assert names(publish.open()) == {"cat"}


def test_pages_of_earlier_runs_keep_their_images(site: Site, publish: Publisher) -> None:
    """A generator that writes only what changed: the finished page is not read again."""
    build(site, "cat")
    publish(site)
    next_second()
    site.add("dog.jpg", DOG)
    site.page("dog.html", '<img src="dog.jpg" alt="">')
    assert publish(site).pages_changed == 1
    sweep(publish.open())
    assert names(publish.open()) == {"cat", "dog"}


def test_pages_that_point_at_the_bucket_already_keep_their_images(site: Site, publish: Publisher) -> None:
    """Pages of a build that somebody copied without s3img's own folder."""
    build(site, "cat")
    publish(site)
    shutil.rmtree(site.root / "assets")
    next_second()
    site.add("dog.jpg", DOG)
    site.page("dog.html", '<img src="dog.jpg" alt="">')
    publish(site)
    sweep(publish.open())
    for url in publish.urls(site):
        fetch(url)


@pytest.mark.parametrize("stage", ["rendering", "uploading", "rewriting"])
def test_a_run_that_ends_early_loses_nothing(site: Site, publish: Publisher, stage: str) -> None:
    build(site, "cat")
    publish(site)
    next_second()
    build(site, "cat", "dog")

    def stop(now: str, done: int, total: int) -> None:
        if now == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(site, progress=stop)
    sweep(publish.open())
    for url in publish.urls(site):
        fetch(url)
    assert publish(site).exit_code == 0
    sweep(publish.open())
    found = publish.urls(site)
    assert len(found) == 10
    for url in found:
        fetch(url)


def test_marked_objects_are_put_again(site: Site, publish: Publisher) -> None:
    build(site, "cat", "dog")
    publish(site)
    next_second()
    build(site, "cat")
    publish(site)
    gc(publish.open())
    assert len(read_marks(publish.open())) == 5
    next_second()
    build(site, "cat", "dog")
    result = publish(site)
    assert (result.uploaded, result.present, result.requests["head"]) == (5, 5, 5)
    assert len(sweep(publish.open()).deleted) == 0


def test_an_object_that_is_swept_after_it_was_put_again_is_noticed(site: Site, publish: Publisher) -> None:
    """A clean-up that had taken its last look before this build began."""
    build(site, "cat")
    publish(site)
    bucket, epoch = publish.open(), datetime(2026, 1, 1, tzinfo=UTC)
    keys = [info.key for info in bucket.list() if not info.key.startswith(OWN)]
    write_marks(bucket, {key: Mark(epoch, epoch) for key in keys})
    build(site, "cat")

    def delete(stage: str, done: int, total: int) -> None:
        if (stage, done, total) == ("uploading", len(keys), len(keys)):
            bucket.delete(keys[:2])

    assert publish(site, progress=delete).exit_code == 0
    assert {info.key for info in bucket.list()} >= set(keys)


def test_objects_of_earlier_versions_are_never_touched(site: Site, publish: Publisher) -> None:
    """They carry a mark of their own: nothing in the bucket referred to them."""
    build(site, "cat")
    publish(site)
    bucket = publish.open()
    bucket.put("old.jpg", b"old", media_type="image/jpeg", metadata={"s3img": "site"})
    assert sweep(bucket).deleted == ()
    assert names(bucket) == {"cat", "old"}


def test_what_publishing_puts_carries_the_marker(site: Site, publish: Publisher) -> None:
    build(site, "cat")
    publish(site)
    bucket = publish.open()
    infos = [bucket.head(info.key) for info in bucket.list()]
    assert len(infos) == 6
    assert {(info.metadata or {}).get("s3img") for info in infos if info} == {"1"}


def test_a_dry_run_writes_no_reference(site: Site, publish: Publisher) -> None:
    build(site, "cat")
    before = site.snapshot()
    assert publish(site, dry_run=True).requests == {"list": 1}
    assert (list(publish.open().list()), site.snapshot()) == ([], before)


def test_an_earlier_content_that_comes_back_is_referenced_again(site: Site, publish: Publisher) -> None:
    for name in ("cat", "dog", "cat"):
        build(site, name)
        publish(site)
        next_second()
    sweep(publish.open())
    assert names(publish.open()) == {"cat"}


def test_unnamed_sites_keep_everything(site: Site, seaweedfs_bucket: TestBucket, cache_dir: str) -> None:
    publish = Publisher(seaweedfs_bucket, cache_dir)
    for name in ("cat", "dog", "cat", "dog"):
        build(site, name)
        publish(site)
    assert sweep(publish.open()).unnamed == 2
    assert names(publish.open()) == {"cat", "dog"}


@pytest.mark.slow
def test_a_folder_as_a_bucket_is_cleaned_up_too(site: Site, tmp_path: Path, cache_dir: str) -> None:
    config = Config(
        bucket=(tmp_path / "store").as_uri(),
        public_url="https://i.example",
        check_public=False,
        site_url=SITE_URL,
        cache_dir=cache_dir,
    )
    for name in ("cat", "dog"):
        build(site, name)
        Images(config).publish(site.root)
        next_second()
    bucket = open_bucket(config.bucket)
    bucket.put("users.jpg", CAT, media_type="image/jpeg")
    sweep(bucket)
    assert names(bucket) == {"dog", "users"}


def test_a_site_without_a_bucket_needs_no_references(site: Site, cache_dir: str) -> None:
    build(site, "cat")
    Images(Config(cache_dir=cache_dir, site_url=SITE_URL)).publish(site.root)
    own = {path for path in site.snapshot() if path.startswith("assets/_s3img/")}
    assert not [path for path in own if OWN in path or path.endswith("keys.txt")]


def test_builds_and_clean_ups_at_once_lose_nothing(site: Site, publish: Publisher, tmp_path: Path) -> None:
    other = Site(tmp_path / "other")
    other.root.mkdir()
    bucket = publish.open()
    for turn in range(3):
        build(site, *(["cat", "dog"] if turn % 2 else ["cat"]))
        build(other, *(["cat", "dog"] if turn % 2 else ["cat"]))
        with ThreadPoolExecutor(3) as pool:
            results = [pool.submit(publish, site), pool.submit(publish, other)]
            pool.submit(gc, bucket, Rules(force=True)).result()
            assert [result.result().exit_code for result in results] == [0, 0]
        for url in publish.urls(site) | publish.urls(other):
            fetch(url)


def test_markdown_sources_keep_their_images_for_ever(site: Site, publish: Publisher) -> None:
    from markdown_it import MarkdownIt

    build(site, "cat")
    publish(site)
    site.add("cat.jpg", CAT)
    readme = site.add("README.md", "![A cat](cat.jpg)\n")
    images = Images(publish.config, environ=publish.environ)
    result = images.publish_sources([readme], root=site.root, render=MarkdownIt("commonmark").render)
    assert (result.uploaded, result.present) == (0, 1)
    next_second()
    build(site)
    publish(site)
    sweep(publish.open())
    assert [info.key.split(".")[-1] for info in publish.open().list() if not info.key.startswith(OWN)] == ["jpg"]


def test_links_and_svg_are_referenced(site: Site, publish: Publisher) -> None:
    build(site)
    site.add("a.svg", SVG)
    site.add("theme.css", "body { background: url('a.svg') }")
    publish(site)
    assert (sweep(publish.open()).live, names(publish.open())) == (1, {"a"})
