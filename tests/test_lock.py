"""The lock's text form: one line per image, stable, and clear about what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.errors import LockError
from s3img.lock import HEADER, Lock, LockEntry, read_lock, write_lock

if TYPE_CHECKING:
    from pathlib import Path

CAT = LockEntry("img/cat.jpg", "a" * 64, 12345, 3000, 2000, "image/jpeg", "img/cat.aaaaaaaa.jpg")
DOG = LockEntry("img/dog.png", "b" * 64, 99, 30, 20, "image/png", "img/dog.bbbbbbbb.png", "#c0ffee")
LINES = f"""{HEADER}
img/cat.jpg {"a" * 64} 12345 3000x2000 image/jpeg img/cat.aaaaaaaa.jpg -
img/dog.png {"b" * 64} 99 30x20 image/png img/dog.bbbbbbbb.png #c0ffee
"""

NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1) | st.binary(min_size=1).map(
    lambda raw: raw.decode("utf-8", "surrogateescape")
)
ENTRIES = st.builds(
    LockEntry,
    path=NAMES,
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(0, 10**12),
    width=st.integers(0, 99999),
    height=st.integers(0, 99999),
    media_type=st.sampled_from(["image/jpeg", "image/svg+xml", "image/vnd.microsoft.icon"]),
    key=NAMES,
    placeholder=st.sampled_from(["", "#000000", "#c0ffee"]),
)


def test_text_has_one_sorted_line_per_image() -> None:
    assert str(Lock.of([DOG, CAT])) == LINES


def test_text_is_read_back() -> None:
    lock = Lock.parse(LINES)
    assert list(lock) == [CAT, DOG]
    assert lock.get("img/dog.png") == DOG
    assert lock.get("img/cow.png") is None
    assert lock.keys() == {CAT.key, DOG.key}


@given(st.lists(ENTRIES, max_size=6))
def test_any_name_survives(entries: list[LockEntry]) -> None:
    lock = Lock.of(entries)
    text = str(lock)
    assert Lock.parse(text) == lock
    assert text.count("\n") == len(text.splitlines()) == len(lock) + 1


@given(st.lists(ENTRIES, max_size=6))
def test_order_of_building_does_not_matter(entries: list[LockEntry]) -> None:
    distinct = {entry.path: entry for entry in entries}.values()
    assert str(Lock.of(distinct)) == str(Lock.of(reversed(list(distinct))))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("my cat.jpg", "my%20cat.jpg"),
        ("été/猫.jpg", "été/猫.jpg"),
        ('a"b\\c#d%e.jpg', "a%22b%5Cc%23d%25e.jpg"),
        ("a\nb\r\tc.jpg", "a%0Ab%0D%09c.jpg"),
        ("a\u2028b\u202ec.jpg", "a%E2%80%A8b%E2%80%AEc.jpg"),
        ("caf\udce9.jpg", "caf%E9.jpg"),
        ("<<<<<<< a.jpg", "<<<<<<<%20a.jpg"),
    ],
)
def test_path_is_escaped_only_where_needed(path: str, shown: str) -> None:
    entry = LockEntry(path, "a" * 64, 1, 1, 1, "image/png", "k.png")
    assert str(entry).split(" ")[0] == shown
    assert LockEntry.parse(str(entry)) == entry


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_comments_blank_lines_and_line_ends_do_not_matter(ending: str) -> None:
    text = LINES.replace("\nimg/dog", "\n\n# a note\nimg/dog").replace("\n", ending)
    assert Lock.parse(text) == Lock.of([CAT, DOG])


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("img/cat.jpg a", "<<<<<<< HEAD\nimg/cat.jpg a", 2, "merge conflict"),
        ("img/dog.png b", "=======\nimg/dog.png b", 3, "merge conflict"),
        ("img/dog.png b", "||||||| 1234\nimg/dog.png b", 3, "merge conflict"),
        ("#c0ffee\n", "#c0ffee\n>>>>>>> their branch\n", 4, "merge conflict"),
        ("# s3img", "<<<<<<< HEAD\n# s3img", 1, "merge conflict"),
        (" 99 ", " -1 ", 3, "damaged"),
        (" 99 ", "  99 ", 3, "damaged"),
        ("#c0ffee", "#c0ffee extra", 3, "damaged"),
        (" 30x20 ", " 30 20 ", 3, "damaged"),
        (" #c0ffee", "", 3, "damaged"),
        ("img/dog.png b", "img/cat.jpg b", 3, "'img/cat.jpg' has two different lines"),
        (HEADER, "{}", 1, "is no lock"),
        ("lock/1", "lock/2", 1, "Upgrade"),
    ],
)
def test_damage_is_named_by_file_and_line(old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(LockError, match=words) as caught:
        Lock.parse(LINES.replace(old, new, 1), name="web/s3img.lock")
    assert (caught.value.path, caught.value.line) == ("web/s3img.lock", line)
    assert str(caught.value).startswith("web/s3img.lock:")
    assert caught.value.fix


def test_union_merge_of_the_same_line_is_no_conflict() -> None:
    assert Lock.parse(LINES + str(DOG) + "\n") == Lock.of([CAT, DOG])


def test_update_adds_replaces_and_drops() -> None:
    cow = LockEntry("img/cow.gif", "c" * 64, 5, 1, 1, "image/gif", "img/cow.cccccccc.gif")
    assert list(Lock.of([CAT, DOG]).updated([cow], without=["img/cat.jpg"])) == [cow, DOG]


def test_missing_lock_is_an_error_unless_allowed(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="does not exist"):
        read_lock(tmp_path / "s3img.lock")
    assert len(read_lock(tmp_path / "s3img.lock", missing_ok=True)) == 0


@pytest.mark.parametrize(
    ("content", "words"), [(b"\xff\xfe", "no UTF-8"), (b"", "is no lock"), (None, "can't be read")]
)
def test_unreadable_lock_is_an_error(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "s3img.lock"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(LockError, match=words):
        read_lock(path, missing_ok=True)


def test_written_lock_is_read_back_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_lock(tmp_path / "s3img.lock", Lock.of([CAT, DOG]))
    assert read_lock(tmp_path / "s3img.lock") == Lock.of([CAT, DOG])
    assert [file.name for file in tmp_path.iterdir()] == ["s3img.lock"]


def test_lock_that_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LockError, match="can't be written"):
        write_lock(tmp_path / "file" / "s3img.lock", Lock())
