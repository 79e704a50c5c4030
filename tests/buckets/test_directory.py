"""What is special about a folder: whole files, nothing outside, clear errors."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from s3img.buckets import open_bucket
from s3img.buckets.directory import DirectoryBucket
from s3img.errors import AccessDenied, BucketError, InvalidPrefix


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "not there yet" / "store"


@pytest.fixture
def bucket(folder: Path) -> DirectoryBucket:
    return DirectoryBucket(folder)


def put(bucket: DirectoryBucket, key: str, data: bytes = b"data") -> None:
    bucket.put(key, data, media_type="image/png")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_object_is_a_plain_file(bucket: DirectoryBucket, folder: Path) -> None:
    put(bucket, "a/100% #1.png")
    assert (folder / "a" / "100% #1.png").read_bytes() == b"data"


def test_the_name_is_the_address(tmp_path: Path) -> None:
    assert open_bucket("file:///srv/a%20b").name == "file:///srv/a%20b"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_reads(bucket: DirectoryBucket, folder: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        put(bucket, "a.png")
    finally:
        os.umask(before)
    assert (folder / "a.png").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    "key", ["../a", "a/../../b", "/etc/passwd", "a//b", "./a", "a/.", "a/..", "a/", "a\0b", "a\udc80b"]
)
@pytest.mark.parametrize("action", ["put", "get", "head", "delete"])
def test_a_key_that_is_no_path_below_the_folder_is_refused(bucket: DirectoryBucket, action: str, key: str) -> None:
    calls = {"put": lambda: put(bucket, key), "delete": lambda: bucket.delete([key])}
    with pytest.raises(BucketError) as caught:
        calls.get(action, lambda: getattr(bucket, action)(key))()
    assert (caught.value.code, caught.value.action, caught.value.key) == ("InvalidKey", action, key)


def test_a_prefix_does_not_lead_outside(bucket: DirectoryBucket) -> None:
    with pytest.raises(InvalidPrefix, match=r"'\.\.'.*Name a folder"):
        list(bucket.list("../"))


def test_a_prefix_too_long_for_the_file_system_is_named(bucket: DirectoryBucket) -> None:
    put(bucket, "a.png")
    with pytest.raises(InvalidPrefix, match="ENAMETOOLONG"):
        list(bucket.list("a" * 300 + "/"))


@pytest.mark.parametrize("action", ["put", "get", "head", "delete"])
@pytest.mark.parametrize("key", ["link/secret", "link.png"])
def test_links_are_not_followed(bucket: DirectoryBucket, folder: Path, tmp_path: Path, action: str, key: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "link.png").symlink_to(tmp_path / "outside" / "secret")
    calls = {"put": lambda: put(bucket, key), "delete": lambda: bucket.delete([key])}
    with pytest.raises(BucketError, match="symbolic link"):
        calls.get(action, lambda: getattr(bucket, action)(key))()
    assert (list(bucket.list()), (tmp_path / "outside" / "secret").read_bytes()) == ([], b"secret")


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    put(DirectoryBucket(tmp_path / "link"), "a/b.png")
    assert files(tmp_path / "real") == {"a/b.png"}


def test_a_link_loop_does_not_hang_a_listing(bucket: DirectoryBucket, folder: Path) -> None:
    put(bucket, "a/b.png")
    (folder / "a" / "loop").symlink_to(folder)
    assert [info.key for info in bucket.list()] == ["a/b.png"]


def test_a_name_longer_than_the_file_system_allows_is_explained(bucket: DirectoryBucket) -> None:
    with pytest.raises(BucketError, match="Shorten") as caught:
        put(bucket, "é" * 128)
    assert caught.value.code == "ENAMETOOLONG"


def test_a_name_as_long_as_the_file_system_allows_is_stored(bucket: DirectoryBucket) -> None:
    put(bucket, "x" * 255)
    assert bucket.get("x" * 255) == b"data"


@pytest.mark.parametrize(("first", "second", "words"), [("a", "a/b", "A file stands"), ("a/b", "a", "A folder stands")])
def test_a_file_and_a_folder_of_one_name_are_explained(
    bucket: DirectoryBucket, first: str, second: str, words: str
) -> None:
    put(bucket, first)
    with pytest.raises(BucketError, match=words):
        put(bucket, second)
    assert bucket.get(first) == b"data"


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs Linux's /sys, which nobody can write to")
def test_a_folder_that_may_not_be_written_is_explained() -> None:
    with pytest.raises(AccessDenied, match="folder") as caught:
        put(DirectoryBucket(Path("/sys/kernel/s3img")), "a.png")
    assert (caught.value.action, caught.value.key) == ("put", "a.png")


def test_a_failed_put_leaves_the_old_object_and_no_other_file(bucket: DirectoryBucket, folder: Path) -> None:
    put(bucket, "a.png", b"old")
    with pytest.raises(Exception, match="changed"):
        bucket.put("a.png", b"new", media_type="image/png", sha256="0" * 64)
    assert (bucket.get("a.png"), files(folder)) == (b"old", {"a.png"})


def test_a_reader_sees_only_whole_objects(bucket: DirectoryBucket) -> None:
    bodies = [bytes([number]) * 3_000_000 for number in range(8)]
    put(bucket, "a.png", bodies[0])
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(bucket.get("a.png"))

    reader = threading.Thread(target=read)
    reader.start()
    for body in bodies:
        put(bucket, "a.png", body)
    stop.set()
    reader.join(30)
    assert seen <= set(bodies)


def test_a_killed_put_leaves_no_object(folder: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "endless"
    os.mkfifo(fifo)
    code = (
        "import sys, pathlib; from s3img.buckets.directory import DirectoryBucket as D;"
        "D(pathlib.Path(sys.argv[1])).put('a.png', pathlib.Path(sys.argv[2]), media_type='image/png')"
    )
    with subprocess.Popen([sys.executable, "-c", code, folder, fifo]) as process, fifo.open("wb") as pipe:
        pipe.write(b"x" * 3_000_000)
        process.kill()
        process.wait(30)
    assert list(DirectoryBucket(folder).list()) == []
    assert [name.startswith(".s3img-") for name in files(folder)] == [True]


def test_a_listing_removes_what_killed_runs_left_and_spares_the_rest(bucket: DirectoryBucket, folder: Path) -> None:
    put(bucket, "a.png")
    old, new = folder / ".s3img-0.tmp", folder / ".s3img-1.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    assert [info.key for info in bucket.list()] == ["a.png"]
    assert files(folder) == {"a.png", ".s3img-1.tmp"}


def test_names_that_are_not_text_are_left_out_of_a_listing(bucket: DirectoryBucket, folder: Path) -> None:
    put(bucket, "a.png")
    try:
        (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(b"latin-1")
    except OSError:
        pytest.skip("this file system takes only names that are UTF-8")
    (folder / os.fsdecode(b"caf\xe9")).mkdir()
    (folder / os.fsdecode(b"caf\xe9") / "b.png").write_bytes(b"latin-1")
    assert [info.key for info in bucket.list()] == ["a.png"]


def test_a_head_of_a_folder_is_none(bucket: DirectoryBucket) -> None:
    put(bucket, "a/b.png")
    assert bucket.head("a") is None


def test_a_delete_of_a_folders_name_is_no_error(bucket: DirectoryBucket) -> None:
    put(bucket, "a/b.png")
    bucket.delete(["a", "a/b.png/c.png", "x" * 300])
    assert [info.key for info in bucket.list()] == ["a/b.png"]


def test_a_new_object_needs_no_hard_links(bucket: DirectoryBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:  # as FAT and exFAT do
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    bucket.put("a.png", b"first", media_type="image/png", only_new=True)
    with pytest.raises(BucketError) as caught:
        bucket.put("a.png", b"second", media_type="image/png", only_new=True)
    assert (caught.value.reason, bucket.get("a.png")) == ("condition-failed", b"first")
    assert [info.key for info in bucket.list()] == ["a.png"]


def test_a_name_is_free_again_where_a_new_object_could_not_be_moved_there(
    bucket: DirectoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refuse)
        patched.setattr(os, "replace", refuse)
        with pytest.raises(BucketError):
            bucket.put("a.png", b"first", media_type="image/png", only_new=True)
    assert [info.key for info in bucket.list()] == []
    bucket.put("a.png", b"second", media_type="image/png", only_new=True)
    assert bucket.get("a.png") == b"second"


def test_a_listing_keeps_files_that_only_begin_like_temporary_ones(bucket: DirectoryBucket, folder: Path) -> None:
    put(bucket, ".s3img-logo.png")
    os.utime(folder / ".s3img-logo.png", (0, 0))
    assert [info.key for info in bucket.list()] == [".s3img-logo.png"]
    assert bucket.head(".s3img-logo.png") is not None
