"""Words, dates, types and sizes of a search."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.buckets import ObjectInfo
from s3img.errors import ConfigError
from s3img.manage import ObjectFilter, search, sort_objects
from s3img.manage.object_search import parse_size

DAYS = [datetime(2026, 11, day, tzinfo=UTC) for day in range(1, 30)]


def info(key: str, size: int = 1, day: int = 1) -> ObjectInfo:
    return ObjectInfo(key, size, "e", DAYS[day - 1])


def found(wanted: ObjectFilter, *keys: str) -> list[str]:
    return [one.key for one in search(map(info, keys), wanted)]


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("CAT", "img/cat.jpg"),
        ("2026 cat", "cats/x/2026.png"),
        ("strasse", "Straße/1.jpg"),
        ("café", "cafe\u0301.jpg"),
        ("cafe", "Café.jpg"),
        ("\uff21\uff22\uff23", "abc.jpg"),
        ("図書", "写真/図書館.webp"),
        ("", "anything"),
    ],
)
def test_search_finds_words_without_regard_to_case_and_unicode_form(typed: str, key: str) -> None:
    assert found(ObjectFilter.of(typed), key) == [key]


def test_search_needs_every_word() -> None:
    assert found(ObjectFilter.of("cat dog"), "cat.jpg", "dog/cat.jpg") == ["dog/cat.jpg"]


@given(st.text(min_size=1))
def test_search_finds_a_key_by_itself(key: str) -> None:
    assert found(ObjectFilter.of(key), key) == [key]


def test_search_by_date_takes_the_first_moment_and_not_the_last() -> None:
    wanted = ObjectFilter(since=DAYS[1], until=DAYS[3])
    assert [one.modified for one in search([info("a", day=day) for day in (1, 2, 3, 4)], wanted)] == DAYS[1:3]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("jpeg", ["a.jpg", "b.JPEG"]),
        ("image/jpeg", ["a.jpg", "b.JPEG"]),
        (".png", ["c.png"]),
        ("image", ["a.jpg", "b.JPEG", "c.png"]),
    ],
)
def test_search_by_type_knows_its_spellings(name: str, keys: list[str]) -> None:
    assert found(ObjectFilter.of(types=[name]), "a.jpg", "b.JPEG", "c.png", "d.pdf", "e") == keys


def test_search_by_type_refuses_what_is_none() -> None:
    with pytest.raises(ConfigError, match="write jpg"):
        ObjectFilter.of(types=["*.jpg"])


def test_search_by_size_keeps_to_both_bounds() -> None:
    wanted = ObjectFilter(min_size=2, max_size=3)
    assert [one.size for one in search([info("a", size) for size in (1, 2, 3, 4)], wanted)] == [2, 3]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 0),
        ("0", 0),
        ("1234", 1234),
        ("500K", 500_000),
        ("1.5 MB", 1_500_000),
        (" 2g ", 2_000_000_000),
        ("1TB", 10**12),
    ],
)
def test_size_is_read_as_people_write_it(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["-1", "1.K", "K", "1e3", "1 MiB", "٣", "1" * 16, "1KK"])
def test_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="500K"):
        parse_size(text)


def test_sort_with_a_limit_is_the_beginning_of_the_whole() -> None:
    infos = [info(name, size, day) for name, size, day in (("b", 3, 1), ("a", 1, 3), ("c", 2, 2))]
    for by in ("name", "date", "size"):
        for reverse in (False, True):
            whole = sort_objects(infos, by, reverse=reverse)  # type: ignore[arg-type]
            assert sort_objects(iter(infos), by, reverse=reverse, limit=2) == whole[:2]  # type: ignore[arg-type]
    assert [one.key for one in sort_objects(infos, "date")] == ["b", "c", "a"]
