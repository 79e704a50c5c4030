"""Moves: objects and what refers to them, in an order that loses nothing, however often it is tried."""

from __future__ import annotations

import errno
import io
import os
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt
from PIL import Image

from s3img import Config, Images
from s3img.buckets import MARKER, open_bucket
from s3img.errors import ConfigError
from s3img.gc.references import ReferenceReader
from s3img.lock import read_lock
from s3img.manage import find_uses, move, moving, plan_move, source_files, usage
from s3img.manage.moving import MoveResult, ReferenceUpdate
from s3img.manage.removal import TRASH
from s3img.manage.sibling_variants import is_rendering
from s3img.manage.source_files import KeyUrls
from s3img.uploads import Uploader, UploadPolicy

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.buckets import Bucket

PUBLIC = "https://img.example.com/x"
HEADERS: dict[str, Any] = {"media_type": "image/png", "cache_control": "max-age=9", "metadata": {"a": "b"}}
RENDER = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render


def png(width: int, height: int) -> bytes:
    """Return a picture that is larger as PNG than in any width and format that is made of it."""
    # The same at any time: the hash of a namesake must not by chance begin as that of a rendering.
    noise = random.Random(width * height).randbytes(width * height)
    pixels = Image.frombytes("L", (width, height), noise).convert("RGB")
    file = io.BytesIO()
    pixels.save(file, "png")
    return file.getvalue()


def put(bucket: Bucket, *keys: str) -> None:
    for key in keys:
        bucket.put(key, key.encode(), **HEADERS)


def keys(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list() if not info.key.startswith(".s3img/")}


def moved(bucket: Bucket, source: str, target: str, *, force: bool = True, **options: Any) -> MoveResult:
    plan = plan_move(bucket, source, target, force=force, lock=options.get("lock"))
    return move(bucket, plan, apply=True, workers=4, **options)


def test_moved_object_keeps_its_bytes_and_headers_and_the_old_one_is_in_the_trash(bucket: Bucket) -> None:
    put(bucket, "a.png", "b.png", "c.png")
    result = moved(bucket, "a.png", "n/ä #1.png")
    assert [(one.old, one.new) for one in result.moved] == [("a.png", "n/ä #1.png")]
    assert keys(bucket) == {"n/ä #1.png", "b.png", "c.png"}
    assert bucket.get("n/ä #1.png") == bucket.get(f"{TRASH}a.png") == b"a.png"
    found, kept = bucket.head("n/ä #1.png"), bucket.head("b.png")
    assert found
    assert kept
    assert (found.media_type, found.cache_control, found.metadata) == (
        kept.media_type,
        kept.cache_control,
        kept.metadata,
    )


@pytest.mark.parametrize(
    ("source", "target", "after"),
    [
        ("i/a.png", "n/", {"n/a.png", "i/b.png", "i/n/c.jpg", "z"}),
        ("i/", "k/", {"k/a.png", "k/b.png", "k/n/c.jpg", "z"}),
        ("i/", "i/old/", {"i/old/a.png", "i/old/b.png", "i/old/n/c.jpg", "z"}),
        ("i/*.png", "k/*.PNG", {"k/a.PNG", "k/b.PNG", "i/n/c.jpg", "z"}),
        ("i/*.png", "k/", {"k/a.png", "k/b.png", "i/n/c.jpg", "z"}),
        ("i/**.*", "**-2.*", {"a-2.png", "b-2.png", "n/c-2.jpg", "z"}),
        ("i/?.png", "i/x?.png", {"i/xa.png", "i/xb.png", "i/n/c.jpg", "z"}),
    ],
)
def test_move_of_a_key_a_folder_and_a_pattern(folder_bucket: Bucket, source: str, target: str, after: set[str]) -> None:
    put(folder_bucket, "i/a.png", "i/b.png", "i/n/c.jpg", "z")
    assert moved(folder_bucket, source, target).failed == ()
    assert keys(folder_bucket) == after


@pytest.mark.parametrize(("source", "target"), [("i/", "k"), ("i/*", "k"), ("i/*.*", "k/*"), ("i/*", "k/?*")])
def test_target_that_does_not_fit_is_refused(folder_bucket: Bucket, source: str, target: str) -> None:
    put(folder_bucket, "i/a.png")
    with pytest.raises(ConfigError, match=r"write k/|wildcards"):
        plan_move(folder_bucket, source, target)


@pytest.mark.parametrize("target", ["../a.png", "a//b.png", "/a.png", "a\\b.png", ".s3img/x.png", "a\n.png", "é" * 600])
def test_key_that_no_object_should_have_is_refused(folder_bucket: Bucket, target: str) -> None:
    put(folder_bucket, "a.png")
    assert [problem.code for problem in moved(folder_bucket, "a.png", target).failed] == ["bad-key"]
    assert keys(folder_bucket) == {"a.png"}


def test_key_with_stars_is_itself_before_it_is_a_pattern(folder_bucket: Bucket) -> None:
    put(folder_bucket, "*.png", "a.png")
    assert [one.old for one in moved(folder_bucket, "*.png", "star.png").moved] == ["*.png"]


def test_collision_moves_nothing_at_all(bucket: Bucket) -> None:
    put(bucket, "i/a.png", "i/b.png", "k/b.png", "z")
    result = moved(bucket, "i/", "k/")
    assert [(problem.key, problem.code) for problem in result.failed] == [("i/b.png", "key-taken")]
    assert (result.moved, keys(bucket)) == ((), {"i/a.png", "i/b.png", "k/b.png", "z"})


def test_two_objects_for_one_key_are_a_collision(folder_bucket: Bucket) -> None:
    put(folder_bucket, "i/a.png", "j/a.png")
    result = moved(folder_bucket, "**/a.png", "k/")
    assert [problem.code for problem in result.failed] == ["key-taken", "key-taken"]


def test_more_than_half_of_the_bucket_needs_force(folder_bucket: Bucket) -> None:
    put(folder_bucket, "i/a.png", "i/b.png", "z")
    result = moved(folder_bucket, "i/", "k/", force=False)
    assert result.exit_code == 1
    assert "--force" in result.refused
    assert keys(folder_bucket) == {"i/a.png", "i/b.png", "z"}


def test_move_that_was_killed_after_copying_is_finished_by_the_next(bucket: Bucket) -> None:
    put(bucket, "a.png", "x", "y")
    bucket.put("b.png", b"a.png", **HEADERS)
    assert moved(bucket, "a.png", "b.png").failed == ()
    assert keys(bucket) == {"b.png", "x", "y"}


def test_moved_object_of_s3img_is_spared_by_a_clean_up(bucket: Bucket) -> None:
    bucket.put("a.png", b"a", media_type="image/png", metadata=MARKER)
    put(bucket, ".s3img/refs/unnamed/x", "z")
    moved(bucket, "a.png", "b.png")
    assert [reference.keys for reference in ReferenceReader(bucket).read()] == [frozenset({"b.png"})]


def test_variants_of_an_upload_move_along_and_those_of_a_namesake_stay(folder_bucket: Bucket) -> None:
    config = Config(bucket=folder_bucket.name, public_url=PUBLIC, widths=[64, 128])
    policy = UploadPolicy(variants=True)
    uploader = Uploader(folder_bucket, config, template="i/{{stem}}.{{ext}}", policy=policy)
    saved = uploader.save(png(300, 200), filename="cat.png")
    assert saved.variants
    namesake = saved.variants[0].key.replace(".w-", "0.w-")
    put(folder_bucket, namesake, "z1", "z2")
    result = moved(folder_bucket, "i/cat.png", "j/dog.png", force=False)
    ends = {variant.key.removeprefix("i/cat") for variant in saved.variants}
    assert result.failed == ()
    assert {one.new for one in result.moved if one.is_variant} == {f"j/dog{end}" for end in ends}
    assert keys(folder_bucket) == {"j/dog.png", namesake, "z1", "z2"} | {f"j/dog{end}" for end in ends}


def test_rendering_is_known_by_its_hash_alone() -> None:
    digest, other = "a" * 64, "b" * 64
    from s3img.keys import variant_digest

    name = variant_digest(digest, "w-640,f-webp,q-80")[:8]
    assert is_rendering(digest, name, 640, "webp")
    assert not is_rendering(other, name, 640, "webp")
    assert not is_rendering(digest, name, 320, "webp")
    assert not is_rendering(digest, name, 640, "avif")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Images:
    """A folder that was synced with its variants, and pages that show what is in the bucket."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "static").mkdir()
    (tmp_path / "static/cat.png").write_bytes(png(300, 200))
    images = Images(Config(bucket=(tmp_path / "bucket").as_uri(), public_url=PUBLIC, widths=[64], variants=True))
    assert images.sync("static").exit_code == 0
    return images


def update_of(images: Images, place: Path) -> ReferenceUpdate:
    return ReferenceUpdate(images.config, (place,), place / "s3img.lock", RENDER)


def test_references_and_the_lock_follow(project: Images, tmp_path: Path) -> None:
    bucket, lock = project.open_bucket(), read_lock(tmp_path / "s3img.lock")
    key = next(iter(lock)).key
    old = f"{PUBLIC}/{key}"
    docs = tmp_path / "docs"
    docs.mkdir()
    page = f'<p>é<img src="{old}?v=1" srcset="{old} 1x, //img.example.com/x/{key} 2x">\r\n<a href="{old}">x</a></p>'
    text = f"![cat]({old})\n\n    ![code]({old})\n\n[full]: {old}\n\n![c][full] `{old}`\n"
    (docs / "a.html").write_text(page, encoding="utf-8", newline="")
    (docs / "b.md").write_text(text)
    (docs / "c.rst").write_text(f".. image:: {old}\n")
    result = moved(bucket, key, "n/the cat.png", update=update_of(project, tmp_path), lock=lock)
    new = f"{PUBLIC}/n/the%20cat.png"
    assert (docs / "a.html").read_bytes().decode() == page.replace(key, "n/the%20cat.png")
    assert (
        docs / "b.md"
    ).read_text() == f"![cat]({new})\n\n    ![code]({old})\n\n[full]: {new}\n\n![c][full] `{old}`\n"
    assert next(iter(read_lock(tmp_path / "s3img.lock"))).key == "n/the cat.png"
    assert (result.lock_lines, result.exit_code) == (1, 0)
    left = {note.place.removeprefix(str(docs)) for note in result.notes if note.place.startswith(str(docs))}
    assert left == {"/b.md:3:13", "/b.md:7:13", "/c.rst:1:12"}


def test_variants_that_the_lock_finds_by_their_path_stay(project: Images, tmp_path: Path) -> None:
    bucket, lock = project.open_bucket(), read_lock(tmp_path / "s3img.lock")
    entry = next(iter(lock))
    variants = lock.keys() - {entry.key}
    assert variants
    result = moved(bucket, "static/", "n/", update=update_of(project, tmp_path), lock=lock)
    after = read_lock(tmp_path / "s3img.lock")
    assert result.failed == ()
    assert {note.place for note in result.notes} == variants
    assert after.keys() <= keys(bucket)
    assert "/n/cat." in project.url("static/cat.png", lock=tmp_path / "s3img.lock")


def test_move_whose_references_were_not_reached_is_run_again(project: Images, tmp_path: Path) -> None:
    bucket, lock = project.open_bucket(), read_lock(tmp_path / "s3img.lock")
    key = next(iter(lock)).key
    (tmp_path / "a.md").write_text(f"![cat]({PUBLIC}/{key})\n")
    first = moved(bucket, key, "n.png", lock=lock)
    assert [note.place for note in first.notes if "--update" in note.message] == [key]
    again = moved(bucket, key, "n.png", update=update_of(project, tmp_path), lock=lock)
    assert (again.exit_code, again.moved, again.lock_lines, again.references) == (0, (), 1, 1)
    assert (tmp_path / "a.md").read_text() == f"![cat]({PUBLIC}/n.png)\n"


@pytest.mark.skipif(sys.platform == "win32", reason="nobody may make links there")
def test_source_behind_a_link_that_is_named_is_written_and_the_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    (tmp_path / "link.md").symlink_to("a.md")
    (found,) = source_files.source_files([tmp_path / "link.md"])
    assert (found.path, found.kind) == ((tmp_path / "a.md").resolve(), "markdown")
    assert [file.path.name for file in source_files.source_files([tmp_path])] == ["a.md"]


def test_move_removes_what_killed_ones_left_beside_the_lock_and_sources(project: Images, tmp_path: Path) -> None:
    bucket, lock = project.open_bucket(), read_lock(tmp_path / "s3img.lock")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("no picture\n")
    left = [tmp_path / ".s3img-1.tmp", tmp_path / "docs/.s3img-2.tmp"]
    for file in left:
        file.write_bytes(b"half")
        os.utime(file, (1, 1))
    moved(bucket, next(iter(lock)).key, "n.png", lock=lock, update=update_of(project, tmp_path))
    assert [file for file in left if file.exists()] == []


def test_object_stays_while_a_source_cannot_be_rewritten(
    project: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, lock = project.open_bucket(), read_lock(tmp_path / "s3img.lock")
    key = next(iter(lock)).key
    (tmp_path / "a.md").write_text(f"![cat]({PUBLIC}/{key})\n")

    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(source_files, "write_atomically", full_disk)
        result = moved(bucket, key, "n.png", update=update_of(project, tmp_path), lock=lock)
    assert (result.exit_code, result.moved, [p.code for p in result.failed]) == (1, (), ["file-unwritable"])
    assert {key, "n.png"} <= keys(bucket)
    again = moved(bucket, key, "n.png", update=update_of(project, tmp_path), lock=read_lock(tmp_path / "s3img.lock"))
    assert (again.exit_code, len(again.moved), again.references) == (0, 1, 1)
    assert key not in keys(bucket)


def test_dry_run_says_what_would_be_rewritten_and_writes_nothing(project: Images, tmp_path: Path) -> None:
    bucket, lock = project.open_bucket(), read_lock(tmp_path / "s3img.lock")
    key = next(iter(lock)).key
    (tmp_path / "a.md").write_text(f"![cat]({PUBLIC}/{key})\n")
    before = keys(bucket)
    plan = plan_move(bucket, key, "n.png", lock=lock)
    result = move(bucket, plan, update=update_of(project, tmp_path), lock=lock)
    assert (result.applied, result.references, result.lock_lines) == (False, 1, 1)
    assert keys(bucket) == before
    assert key in (tmp_path / "a.md").read_text()
    assert next(iter(read_lock(tmp_path / "s3img.lock"))).key == key


def test_uses_are_found_in_the_lock_builds_pages_and_text(project: Images, tmp_path: Path) -> None:
    bucket, lock = project.open_bucket(), read_lock(tmp_path / "s3img.lock")
    key = next(iter(lock)).key
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text(f"![cat]({PUBLIC}/{key})\n\n![also](../static/cat.png) ![no](cat.png)\n")
    (tmp_path / "b.html").write_text('<img src="/static/cat.png">')
    (tmp_path / "c.toml").write_text(f'logo = "{PUBLIC}/{key}"\n')
    uses = find_uses([key], bucket=bucket, lock=lock, lock_folder=tmp_path, places=[tmp_path], config=project.config)
    assert [(use.kind, use.place.removeprefix(f"{tmp_path}/")) for use in uses] == [
        ("lock", "static/cat.png"),
        ("source", "b.html:1:11"),
        ("source", "docs/a.md:1:8"),
        ("source", "docs/a.md:3:9"),
        ("text", "c.toml:1:9"),
    ]


def test_use_of_a_picture_whose_name_is_not_utf8_is_found(tmp_path: Path) -> None:
    file = source_files.SourceFile(tmp_path / "a.html", "text/html")
    (tmp_path / "a.html").write_text('<img src="%FF.png">')
    uses = usage.uses_in_file(file, frozenset({"k"}), source_files.KeyUrls(Config()), {"\udcff.png": "k"}, tmp_path)
    assert [(use.kind, use.key) for use in uses] == [("source", "k")]


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (f"{PUBLIC}/a%20b.png?v=1#x", "a b.png"),
        ("http://IMG.example.com/x/a.png", "a.png"),
        ("//img.example.com/x/a.png", "a.png"),
        ("https://tr.example.com/tr:w-300,h-3/i/a.png", "i/a.png"),
        ("https://tr.example.com/i/a.png?tr=w-300", "i/a.png"),
        ("https://other.example.com/x/a.png", None),
        (f"{PUBLIC}/", None),
        ("https://img.example.com/xa.png", None),
    ],
)
def test_address_leads_to_its_key(url: str, key: str | None) -> None:
    urls = KeyUrls(Config(bucket="s3://bucket/x", public_url=PUBLIC, service_url="https://tr.example.com"))
    found = urls.read(url)
    assert (found.key if found else None) == key
    if found:
        assert urls.read(found.at("n/é.png")) == type(found)(found.head, "n/é.png", found.tail)


def test_object_that_changes_while_it_moves_is_not_removed(
    folder_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder_bucket, "a.png", "x", "y")
    plan = plan_move(folder_bucket, "a.png", "b.png")
    real = moving.copy_object

    def meddling(bucket: Bucket, key: str, to: str, **options: Any) -> Any:
        found = real(bucket, key, to, **options)
        if to == "b.png":
            bucket.put("a.png", b"somebody else's", media_type="image/png")
        return found

    monkeypatch.setattr(moving, "copy_object", meddling)
    result = move(folder_bucket, plan, apply=True)
    assert [problem.code for problem in result.failed] == ["object-changed"]
    assert folder_bucket.get("a.png") == b"somebody else's"


def test_bucket_opened_anew_has_what_was_moved(folder_bucket: Bucket) -> None:
    put(folder_bucket, "a.png", "x")
    moved(folder_bucket, "a.png", "b.png")
    assert open_bucket(folder_bucket.name).get("b.png") == b"a.png"
