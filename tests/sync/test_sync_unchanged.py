"""A sync of a folder in which nothing has changed asks nobody and loads little; after a change it does what is right."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from s3img import Config, Images
from s3img.limits import Limits
from s3img.lock import read_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3img.sync.outcome import SyncResult

NEEDLESS = ("PIL", "boto3", "obstore", "rich", "filelock", "concurrent.futures", "logging")
NEEDLESS_OWN = (
    "s3img.rewrite",
    "s3img.imaging",
    "s3img.buckets",
    "s3img.transfer",
    "s3img.pictures",
    "s3img.publish.publisher",
    "s3img.lock",
)


class Place:
    """The current folder: images that were synced to a bucket beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, object] = {}
        for name in ("a.png", "sub/b.png"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((16, 16), 9).save(folder / name)
        time.sleep(0.06)  # the stat of a younger file proves nothing
        self.sync()

    def sync(self, cache: str = "cache", **options: object) -> SyncResult:
        bucket = (self.folder.parent / "bucket").as_uri()
        config = Config(bucket=bucket, cache_dir=str(self.folder.parent / cache), **self.settings)  # type: ignore[arg-type]
        return Images(config).sync(**options)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("CI", raising=False)
    return Place(tmp_path / "project")


def test_second_sync_asks_nobody_and_says_so(place: Place) -> None:
    result = place.sync()
    assert (result.images, result.uploaded, result.present, result.lock_changed) == (2, 0, 2, False)
    assert (result.requests, result.verified, result.exit_code) == ({}, "cache", 0)


def test_second_sync_opens_no_image(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: (opened.append(str(path)), original(path, *rest))[1])
    (place.folder / "a.png").touch()  # a run that has to read an image does open it
    time.sleep(0.06)
    place.sync()
    assert [path for path in opened if path.endswith(".png")]
    opened.clear()
    place.sync()
    assert opened == []


def test_second_sync_loads_little(place: Place) -> None:
    script = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from s3img.__main__ import main; main()"
    environ = {**os.environ, "S3IMG_BUCKET": (place.folder.parent / "bucket").as_uri()}
    environ["S3IMG_CACHE_DIR"] = str(place.folder.parent / "cache")
    done = subprocess.run(
        [sys.executable, "-c", script, "sync"],
        env=environ,
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    said, loaded = done.stdout.splitlines()[0], done.stdout.splitlines()[-1].split()
    assert "2 images" in said
    assert "0 put (0 bytes), 2 present; s3img.lock unchanged." in said
    assert [name for name in loaded if name in NEEDLESS or name.startswith(NEEDLESS_OWN)] == []


def edit_keeping_size_and_time(place: Place) -> None:
    path = place.folder / "a.png"
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the time of change tells, too


def append_to_lock(place: Place) -> None:
    with (place.folder / "s3img.lock").open("a") as lock:
        lock.write("\n")


def remove_state(place: Place) -> None:
    for path in (place.folder.parent / "cache" / "sync").glob("*.json"):
        path.unlink()


CHANGES: dict[str, Callable[[Place], object]] = {
    "an image edited, size and time kept": edit_keeping_size_and_time,
    "an image touched": lambda place: (place.folder / "a.png").touch(),
    "a new image": lambda place: Image.new("L", (8, 8)).save(place.folder / "sub" / "new.png"),
    "an image removed": lambda place: (place.folder / "a.png").unlink(),
    "a link": lambda place: (place.folder / "link.png").symlink_to("a.png"),
    "a pipe named like an image": lambda place: os.mkfifo(place.folder / "pipe.png"),
    "no image": lambda place: (place.folder / "broken.png").write_bytes(b"no image"),
    "the lock edited": append_to_lock,
    "the lock removed": lambda place: (place.folder / "s3img.lock").unlink(),
    "no state": remove_state,
    "other keys": lambda place: place.settings.update(key_template="{{hash:16}}.{{ext}}"),
    "variants": lambda place: place.settings.update(variants=True, widths=(8,)),
    "stricter limits": lambda place: place.settings.update(limits=Limits(input_pixels=100)),
    "a file where the cache was": lambda place: (place.folder.parent / "cache" / "sync").rename(
        place.folder.parent / "x"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_the_answer_is_that_of_a_sync_without_memory(change: str, place: Place, tmp_path: Path) -> None:
    CHANGES[change](place)
    time.sleep(0.06)
    found = [place.sync()]
    lock = read_lock(place.folder / "s3img.lock")
    stored = {path.name for path in (tmp_path / "bucket").rglob("*.png")}
    found += [place.sync(), place.sync("another cache", verify=True)]
    assert [(r.images, r.exit_code, r.problems, r.kept) for r in found[1:]] == [
        (r.images, r.exit_code, r.problems, r.kept) for r in found[:-1]
    ]
    assert (found[2].uploaded, found[2].lock_changed) == (0, False)
    assert read_lock(place.folder / "s3img.lock") == lock
    assert {path.name for path in (tmp_path / "bucket").rglob("*.png")} == stored


@pytest.mark.parametrize("options", [{"verify": True}, {"prune": True}, {"listed_only": True}])
def test_other_options_are_another_question(options: dict[str, bool], place: Place) -> None:
    (place.folder / "a.png").unlink()
    place.sync()
    result = place.sync(**options)
    assert result.kept == (0 if options.get("prune") else 1)
    assert ("list" in result.requests) is options.get("verify", False)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[", b'{"schema":"s3img.transfer-state/1","listed":"x"}', bytes(range(100))]
)
def test_damaged_state_is_none(data: bytes, place: Place) -> None:
    (state,) = (place.folder.parent / "cache" / "sync").glob("*.json")
    state.write_bytes(data)
    result = place.sync()
    assert (result.exit_code, result.uploaded, result.present, result.verified) == (0, 0, 2, "list")


def test_second_sync_removes_what_a_killed_one_left_in_the_cache(place: Place) -> None:
    folder = place.folder.parent / "cache" / "sync"
    old, fresh = folder / ".s3img-old.tmp", folder / ".s3img-new.tmp"
    for file in (old, fresh):
        file.write_bytes(b"x")
    os.utime(old, (1, 1))
    assert place.sync().requests == {}
    assert (old.exists(), fresh.exists()) == (False, True)


def test_findings_are_named_each_time(place: Place) -> None:
    (place.folder / "broken.png").write_bytes(b"no image")
    for _ in range(3):
        result = place.sync()
        assert (result.exit_code, [problem.path for problem in result.problems]) == (1, ["broken.png"])


def test_image_changed_while_others_are_sent_is_synced_by_the_next(place: Place) -> None:
    def meanwhile(*_: object) -> None:
        Image.effect_noise((17, 17), 9).save("a.png")

    Image.effect_noise((18, 18), 9).save("c.png")
    assert place.sync(progress=meanwhile).uploaded == 1
    time.sleep(0.06)
    assert (place.sync().uploaded, place.sync().uploaded) == (1, 0)


def test_image_added_while_others_are_sent_is_synced_by_the_next(place: Place) -> None:
    Image.effect_noise((18, 18), 9).save("c.png")
    assert place.sync(progress=lambda *_: Image.new("L", (8, 8)).save("d.png")).uploaded == 1
    time.sleep(0.06)
    assert (place.sync().uploaded, place.sync().uploaded) == (1, 0)
