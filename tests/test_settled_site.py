"""A site in which nothing is left to do: what a run reads, loads and remembers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img import Config, Images
from s3img.assets import FileStat
from s3img.cache import Cache, Digests, SiteState, file_digests
from s3img.publish.files import SiteFiles
from s3img.publish.survey import Surveyor

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site

FAST = {"widths": (160,), "formats": ("webp",)}
NEEDLESS = ("PIL", "boto3", "rich", "difflib", "hashlib", "tomllib", "shutil", "concurrent.futures", "logging")
NEEDLESS_OWN = ("lock", "transform", "rewrite", "markup", "buckets", "imaging", "signing", "publish.site")


@pytest.fixture
def settled(site: Site, cache_dir: str) -> Site:
    """Return a site that was published."""
    site.add("cat.jpg", photo(320, 200))
    site.page("index.html", '<img src="cat.jpg" alt="">')
    Images(Config(**FAST, cache_dir=cache_dir)).publish(site.root)
    return site


def files_of(site: Site, cache_dir: str) -> SiteFiles:
    return SiteFiles(site.root, Config(**FAST, cache_dir=cache_dir), Cache.at(cache_dir))


def test_settled_site_is_known_by_stat_alone(settled: Site, cache_dir: str) -> None:
    assert files_of(settled, cache_dir).is_known


def test_settled_site_is_recognised_without_cache(settled: Site, tmp_path: Path) -> None:
    files = files_of(settled, str(tmp_path / "empty"))
    assert (files.is_known, files.settled) == (False, {"index.html"})


def test_changed_page_is_not_settled(settled: Site, cache_dir: str) -> None:
    settled.page("index.html", "<p>new</p>")
    assert files_of(settled, cache_dir).settled == set()


def test_lost_manifest_makes_pages_be_read_again(settled: Site, cache_dir: str) -> None:
    (settled.root / "assets/_s3img/pages.sha256").unlink()
    assert files_of(settled, cache_dir).settled == set()


def test_other_settings_make_pages_be_read_again(settled: Site, cache_dir: str) -> None:
    files = SiteFiles(settled.root, Config(sizes="100vw", cache_dir=cache_dir), Cache.at(cache_dir))
    assert not files.is_known


def test_settled_run_loads_little(settled: Site, cache_dir: str, tmp_path: Path) -> None:
    script = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from s3img.__main__ import main; main()"
    command = [sys.executable, "-c", script, "publish", str(settled.root), "--json"]
    environ = {**os.environ, "S3IMG_CACHE_DIR": cache_dir, "S3IMG_WIDTHS": "160", "S3IMG_FORMATS": "webp"}
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "s3img.publish.files" in loaded
    assert loaded & {*NEEDLESS, *(f"s3img.{name}" for name in NEEDLESS_OWN)} == set()


def test_state_holds_no_secret(site: Site, cache_dir: str, tmp_path: Path) -> None:
    site.page("index.html", "<p>")
    Images(Config(cache_dir=cache_dir, signing_keys="one:" + "s3cret" * 8)).publish(site.root)
    assert all(b"s3cret" not in file.read_bytes() for file in tmp_path.rglob("*.json"))


def test_state_of_site_with_long_path_is_found_again(tmp_path: Path) -> None:
    root = tmp_path / ("d" * 200) / "é"
    cache = Cache(tmp_path / "cache")
    cache.save_state(root, SiteState(settings="here"))
    assert cache.load_state(root).settings == "here"


def test_file_digests_leaves_unreadable_files_out(site: Site) -> None:
    contents = {f"{number}.jpg": bytes([number]) * 1000 * number for number in range(20)}
    for path, content in contents.items():
        site.add(path, content)
    expected = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    assert file_digests(site.root, [*contents, "missing.jpg"]) == expected


def test_refresh_reads_changed_files_only(site: Site) -> None:
    site.add("new.jpg", b"new")
    old, now = FileStat(3, 1, 1), FileStat(3, 2, 2)
    state = SiteState(digests={"new.jpg": (old, "stale"), "same.jpg": (now, "same"), "gone.jpg": (old, "gone")})
    Digests(site.root, state).refresh({"new.jpg": now, "same.jpg": now})
    assert state.digests["new.jpg"] == (now, hashlib.sha256(b"new").hexdigest())
    assert (state.digests["same.jpg"], state.digests["gone.jpg"]) == ((now, "same"), (old, "gone"))


def test_survey_holds_on_to_no_page(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", photo(320, 200))
    body = '<a href="cat.jpg"><img src="cat.jpg"></a><picture><source srcset="cat.jpg"><img src="cat.jpg"></picture>'
    site.page("index.html", body + '<video poster="cat.jpg"></video><p style="background:url(cat.jpg)">')
    config = Config(**FAST, bucket="file:///b", public_url="https://img.example.com")
    plan = Surveyor(SiteFiles(site.root, config, Cache.at(cache_dir)), config).run().plans["index.html"]
    assert len(plan.found) == 6
    assert all(reference.tag is None or isinstance(reference.tag.read, tuple) for reference in plan.found)
