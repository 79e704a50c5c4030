"""A second `s3img sync` answers at once, without settings or click, until anything that it depends on changes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from s3img import Images
from s3img.config import Config
from s3img.sync import quick
from s3img.sync.look import Look, UnusualError, hand_on, look

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_RUN = """
import sys
from s3img.__main__ import main
sys.argv = ["s3img", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print("click" in sys.modules)
"""


class Place:
    """A folder with images and a bucket, in which a sync is settled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "S3IMG_BUCKET": (folder / "bucket").as_uri(),
            "S3IMG_CACHE_DIR": str(folder / "cache"),
            "XDG_CACHE_HOME": str(folder / "home"),
        }
        for name in ("a.png", "sub/b.png"):
            (folder / "img" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((16, 16), 9).save(folder / "img" / name)
        time.sleep(0.06)  # younger files prove nothing
        self.sync()

    def sync(self, *arguments: str) -> tuple[str, bool]:
        """Return what a sync prints, and whether it was the real one."""
        command = [sys.executable, "-c", _RUN, "sync", *(arguments or ["img"])]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=True)
        text, was_real = done.stdout.strip().rsplit("\n", 1)
        return text, was_real == "True"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_second_sync_answers_at_once(place: Place) -> None:
    text, was_real = place.sync()
    assert was_real is False
    assert "2 images" in text
    assert "0 put (0 bytes), 2 present; s3img.lock unchanged." in text


def test_a_lock_named_by_the_command_is_no_hindrance(place: Place) -> None:
    assert place.sync("--lock", "named.lock", "img")[1] is True
    assert place.sync("--lock", "named.lock", "img")[1] is False
    (place.folder / "named.lock").unlink()
    assert place.sync("--lock", "named.lock", "img")[1] is True


def test_the_answer_is_that_of_the_real_one(place: Place) -> None:
    quick = place.sync()
    for memo in (place.folder / "home" / "s3img" / "quick").iterdir():
        memo.unlink()
    assert place.sync() == (quick[0], True)


def edited(place: Place) -> None:
    path = place.folder / "img" / "a.png"
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the time of change tells, too


def conflicting(place: Place) -> None:
    with (place.folder / "s3img.lock").open("a") as lock:
        lock.write("\n")


CHANGES: dict[str, Callable[[Place], object]] = {
    "an image edited, size and time kept": edited,
    "an image touched": lambda place: (place.folder / "img" / "a.png").touch(),
    "a new image": lambda place: Image.new("L", (8, 8)).save(place.folder / "img" / "sub" / "new.png"),
    "an image removed": lambda place: (place.folder / "img" / "a.png").unlink(),
    "a link": lambda place: (place.folder / "img" / "link.png").symlink_to("a.png"),
    "the lock edited": conflicting,
    "the lock removed": lambda place: (place.folder / "s3img.lock").unlink(),
    "no state": lambda place: [path.unlink() for path in (place.folder / "cache" / "sync").glob("*.json")],
    "new settings": lambda place: (place.folder / "s3img.toml").write_text("workers = 3\n"),
    "other project settings": lambda place: (place.folder / "pyproject.toml").write_text("[tool.s3img]\nworkers = 3\n"),
    "another environment": lambda place: place.environment.update(S3IMG_WORKERS="3"),
    "other credentials": lambda place: place.environment.update(AWS_PROFILE="other"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_the_real_sync_runs(change: str, place: Place) -> None:
    CHANGES[change](place)
    assert place.sync()[1] is True


@pytest.mark.parametrize("arguments", [["img", "--verify"], ["img", "--json"], ["img/sub"], ["img", "--dry-run"]])
def test_another_command_line_is_another_question(arguments: list[str], place: Place) -> None:
    assert place.sync(*arguments)[1] is True


def test_a_listing_of_yesterday_is_not_believed(place: Place) -> None:
    (memo,) = (place.folder / "home" / "s3img" / "quick").iterdir()
    begin, end, rest = memo.read_bytes().split(b"\0", 2)
    memo.write_bytes(b"\0".join([begin, b"%f" % (time.time() - 1), rest]))
    assert (place.sync()[1], float(end) - float(begin)) == (True, 86_400)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\0\0\0", b"0\0" + b"9" * 20 + b"\0x\0/\0/\0/\0", bytes(range(100))])
def test_a_damaged_memo_is_none(data: bytes, place: Place) -> None:
    (memo,) = (place.folder / "home" / "s3img" / "quick").iterdir()
    memo.write_bytes(data)
    assert place.sync()[1] is True


def test_a_sync_with_findings_is_never_quick(place: Place) -> None:
    (place.folder / "img" / "broken.png").write_bytes(b"no image")
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "s3img", "sync", "img"],
            cwd=place.folder,
            env={**os.environ, **place.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "broken.png" in done.stderr + done.stdout) == (1, True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Images:
    """Open a project in this process, whose folder is the current one."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    for name in ("a.png", "b.png"):
        Image.effect_noise((16, 16), 9).save(name)
    time.sleep(0.06)
    return Images(Config(bucket=(tmp_path / "bucket").as_uri(), cache_dir=str(tmp_path / "cache")))


def test_a_lock_among_the_images_is_no_hindrance(project: Images) -> None:
    project.sync(command=["sync"])
    assert "2 images" in quick.answer(["sync"])


def test_an_image_changed_while_others_are_sent_is_synced_by_the_next(project: Images) -> None:
    def meanwhile(*_: object) -> None:
        Image.effect_noise((17, 17), 9).save("a.png")

    result = project.sync(command=["sync"], progress=meanwhile)
    time.sleep(0.06)
    assert (result.exit_code, quick.answer(["sync"])) == (0, "")
    assert project.sync(command=["sync"]).uploaded == 1
    assert "2 images" in quick.answer(["sync"])


def test_an_image_added_while_others_are_sent_is_synced_by_the_next(project: Images) -> None:
    project.sync(command=["sync"], progress=lambda *_: Image.new("L", (8, 8)).save("c.png"))
    time.sleep(0.06)
    assert quick.answer(["sync"]) == ""
    assert project.sync(command=["sync"]).uploaded == 1


def test_a_look_is_handed_on_once_and_for_the_same_folders(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    seen = Look([str(tmp_path)])
    hand_on([str(tmp_path)], seen)
    assert look([str(tmp_path)]) is seen
    assert look([str(tmp_path)]) is not seen
    hand_on([str(tmp_path / "other")], seen)
    assert look([str(tmp_path)]) is not seen


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_look_refuses_what_a_stat_does_not_prove(kind: str, tmp_path: Path) -> None:
    if kind == "link":
        (tmp_path / "a").symlink_to(tmp_path)
    else:
        os.mkfifo(tmp_path / "a")
    with pytest.raises(UnusualError):
        Look([str(tmp_path)])


def test_a_pipe_named_like_an_image_does_not_stop_a_sync(project: Images) -> None:
    os.mkfifo("pipe.png")
    assert project.sync(command=["sync"]).images == 2
