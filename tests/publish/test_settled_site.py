"""A site in which nothing is left to do: what a run reads, loads and remembers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img import Config, Images
from s3img.assets import FileStat
from s3img.cache import Cache, Digests, SiteState, file_digests
from s3img.cli import main
from s3img.publish.files import SiteFiles
from s3img.publish.site_survey import Surveyor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sites import Site

FAST = {"widths": (160,), "formats": ("webp",)}
NEEDLESS = ("PIL", "boto3", "obstore", "rich", "difflib", "tomllib", "shutil", "concurrent.futures", "logging")
NEEDLESS_OWN = (
    "lock",
    "transform",
    "rewrite",
    "pictures",
    "buckets",
    "imaging",
    "signing",
    "transfer",
    "publish.publisher",
)


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


class Folder:
    """The current folder: a site in it that was published, and the command line that did it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        monkeypatch.setenv("S3IMG_CACHE_DIR", str(folder / "cache"))
        monkeypatch.setenv("S3IMG_WIDTHS", "160")
        monkeypatch.setenv("S3IMG_FORMATS", "webp")
        (folder / "site" / "sub").mkdir(parents=True)
        (folder / "site" / "cat.jpg").write_bytes(photo(320, 200))
        (folder / "site" / "sub" / "index.html").write_text('<img src="../cat.jpg" alt="">')
        (folder / "other.toml").write_text("missing = 'keep'\n")
        time.sleep(0.06)  # the stat of a younger file proves nothing
        self.arguments = ["publish", "site", "--config=other.toml", "--lock", "some.lock", "--json"]
        self.publish()

    def publish(self) -> None:
        self.monkeypatch.setattr(sys, "argv", ["s3img", *self.arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0

    def pages_opened(self) -> list[str]:
        """Publish again and return the pages whose markup was read."""
        opened: list[str] = []
        page = Surveyor.read_page

        def noted(surveyor: Surveyor, path: str, media_type: str) -> None:
            opened.append(path)
            page(surveyor, path, media_type)

        with self.monkeypatch.context() as patch:
            patch.setattr(Surveyor, "read_page", noted)
            self.publish()
        return opened

    def edit(self, path: str) -> None:
        """Change a file so that only the time of its change tells."""
        file = self.folder / path
        stat, data = file.stat(), bytearray(file.read_bytes())
        data[-2] ^= 1
        file.write_bytes(data)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(tmp_path, monkeypatch)


PAGE = "sub/index.html"

CHANGES: dict[str, tuple[Callable[[Folder], object], list[str]]] = {
    "nothing": (lambda _: None, []),
    "a page edited, size and time kept": (lambda f: f.edit(f"site/{PAGE}"), [PAGE]),
    "a page touched": (lambda f: (f.folder / "site" / PAGE).touch(), []),
    "a new page": (lambda f: (f.folder / "site/new.html").write_text("<img src=cat.jpg>"), ["new.html"]),
    "a page removed": (lambda f: (f.folder / "site" / PAGE).unlink(), []),
    "the manifest lost": (lambda f: (f.folder / "site/assets/_s3img/pages.sha256").unlink(), [PAGE]),
    "no state": (lambda f: [path.unlink() for path in (f.folder / "cache/sites").iterdir()], []),
    "the named settings edited": (lambda f: (f.folder / "other.toml").write_text("sizes = '100vw'"), []),
    "settings in the environment": (lambda f: f.monkeypatch.setenv("S3IMG_WIDTHS", "320"), []),
}


@pytest.mark.parametrize("change", CHANGES)
def test_next_publish_opens_the_pages_that_may_need_something(change: str, folder: Folder) -> None:
    act, pages = CHANGES[change]
    act(folder)
    time.sleep(0.06)
    assert folder.pages_opened() == pages
    assert folder.pages_opened() == []


def test_publish_with_findings_opens_the_page_each_time(folder: Folder) -> None:
    folder.arguments[2] = "--missing=warn"
    (folder.folder / "site/faulty.html").write_text('<img src="nowhere.jpg">')
    assert folder.pages_opened() == [*folder.pages_opened()] == ["faulty.html"]
