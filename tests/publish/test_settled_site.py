"""A site in which nothing is left to do: what a run reads, loads and remembers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img import Config, Images
from s3img.assets import FileStat
from s3img.cache import Cache, Digests, SiteState, file_digests
from s3img.cli import main
from s3img.config.load import load
from s3img.publish.files import SiteFiles
from s3img.publish.pages import Surveyor
from s3img.sync import quick

if TYPE_CHECKING:
    from collections.abc import Callable

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


class Folder:
    """A folder with a site in it that `s3img publish` has settled, and the command line that did."""

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
        time.sleep(0.06)  # younger files prove nothing
        monkeypatch.setattr(quick, "_STARTED", time.time_ns())
        self.arguments = ["publish", "site", "--config=other.toml", "--lock", "some.lock"]

    def publish(self) -> None:
        self.monkeypatch.setattr(sys, "argv", ["s3img", *self.arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0

    def answer(self) -> str:
        return quick.answer(self.arguments)

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


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_next_publish_says_at_once_what_a_whole_run_would(
    options: tuple[str, ...], folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.arguments += options
    folder.publish()
    answer = folder.answer()
    capsys.readouterr()
    folder.publish()
    assert answer
    assert capsys.readouterr().out == f"{answer}\n"


CHANGES: dict[str, Callable[[Folder], object]] = {
    "a page edited, size and time kept": lambda f: f.edit("site/sub/index.html"),
    "a page touched": lambda f: (f.folder / "site/sub/index.html").touch(),
    "a new page": lambda f: (f.folder / "site/sub/new.html").write_text("<img src=../cat.jpg>"),
    "a page removed": lambda f: (f.folder / "site/sub/index.html").unlink(),
    "an image edited, size and time kept": lambda f: f.edit("site/cat.jpg"),
    "a new image": lambda f: (f.folder / "site/new.jpg").write_bytes(photo(32, 32)),
    "an image removed": lambda f: (f.folder / "site/cat.jpg").unlink(),
    "a link": lambda f: (f.folder / "site/link.jpg").symlink_to("cat.jpg"),
    "a variant removed": lambda f: next((f.folder / "site/assets/_s3img").rglob("*.webp")).unlink(),
    "the manifest lost": lambda f: (f.folder / "site/assets/_s3img/pages.sha256").unlink(),
    "no state": lambda f: [path.unlink() for path in (f.folder / "cache/sites").iterdir()],
    "a lock": lambda f: (f.folder / "some.lock").touch(),
    "new settings": lambda f: (f.folder / "s3img.toml").write_text("workers = 3\n"),
    "new project settings": lambda f: (f.folder / "pyproject.toml").write_text("[tool.s3img]\nworkers = 3\n"),
    "the named settings edited": lambda f: f.edit("other.toml"),
    "settings in the environment": lambda f: f.monkeypatch.setenv("S3IMG_WIDTHS", "320"),
    "credentials in the environment": lambda f: f.monkeypatch.setenv("AWS_PROFILE", "other"),
    "one setting less in the environment": lambda f: f.monkeypatch.delenv("S3IMG_FORMATS"),
    "another option": lambda f: f.arguments.append("--dry-run"),
    "another folder": lambda f: f.monkeypatch.chdir(f.folder / "site"),
    "another renderer": lambda f: f.monkeypatch.setattr(quick, "RENDER_VERSION", -1),
    "another Python": lambda f: f.monkeypatch.setattr(sys, "version", "4.0"),
    "another release": lambda f: f.monkeypatch.setattr(quick, "_PROGRAM", (str(f.folder / "other.toml"),)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_that_matters_is_overlooked(change: str, folder: Folder) -> None:
    folder.publish()
    assert folder.answer()
    CHANGES[change](folder)
    assert folder.answer() == ""


def late_settings(folder: Folder) -> None:
    (folder.folder / "s3img.toml").write_text("workers = 3\n")


def missing_image(folder: Folder) -> None:
    (folder.folder / "site/faulty.html").write_text('<img src="nowhere.jpg">')


def link_in_site(folder: Folder) -> None:
    (folder.folder / "site/link.jpg").symlink_to("cat.jpg")


@pytest.mark.parametrize("spoil", [late_settings, missing_image, link_in_site])
def test_publish_without_proof_is_never_answered_at_once(spoil: Callable[[Folder], None], folder: Folder) -> None:
    spoil(folder)
    folder.publish()
    folder.publish()
    assert folder.answer() == ""


def test_page_changed_while_the_proof_is_taken_is_seen(folder: Folder) -> None:
    folder.publish()
    proof = quick._proof

    def slow(*arguments: object, **options: object) -> bytes:
        found = proof(*arguments, **options)  # type: ignore[arg-type] - passed on
        folder.edit("site/sub/index.html")
        return found

    images = Images(load(path=Path("other.toml")))
    images.remember_publish(["before"], "site", str, lock="some.lock")
    folder.monkeypatch.setattr(quick, "_proof", slow)
    images.remember_publish(["meanwhile"], "site", str, lock="some.lock")
    memos = [Path(quick._memo([name])).exists() for name in ("before", "meanwhile")]
    assert memos == [True, False]


def test_answers_that_nobody_asked_for_are_forgotten(folder: Folder) -> None:
    folder.publish()
    old = Path(quick._memo(["publish", "elsewhere"]))
    old.write_bytes(b"")
    os.utime(old, (1, 1))
    folder.publish()
    assert (old.exists(), bool(folder.answer())) == (False, True)


def test_memo_holds_no_secret(folder: Folder) -> None:
    folder.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret" * 8)
    folder.publish()
    assert b"s3cret" not in Path(quick._memo(folder.arguments)).read_bytes()
