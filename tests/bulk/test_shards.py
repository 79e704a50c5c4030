"""Shards: what a listing is cut into, whatever its length, and how little of it changes with the bucket."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.bulk import shards as shards_module
from s3img.bulk.shards import BulkJob, Shard, ShardItem, ShardPart, cut, is_picture, with_lines
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = BulkJob("run", "bucket", b"{}" + b" " * 2_000, "s3img 1", ("w-300",), (("image/webp",),))

ITEMS = st.lists(
    st.builds(
        ShardItem,
        st.text(min_size=1, max_size=1_024),
        st.text("0123456789abcdef", max_size=40),
        st.integers(0, 3 * 10**9),
    ),
    max_size=60,
)


def items(count: int, size: int = 1_000, name: str = "2026/{:07}.jpg") -> list[ShardItem]:
    return [ShardItem(name.format(number), f"{number:032x}", size) for number in range(count)]


@given(ITEMS)
def test_shards_have_every_picture_once_in_order_within_the_bounds(found: list[ShardItem]) -> None:
    shards = [*cut(found, JOB)]
    assert [item for shard in shards for item in shard.items] == found
    for shard in shards:
        assert len(pickle.dumps(shard)) <= 64 << 10
        assert len(shard.items) == 1 or shard.bytes <= shards_module.MOST_BYTES


def test_shard_has_about_500_pictures() -> None:
    sizes = [len(shard.items) for shard in cut(items(20_000), JOB)]
    assert 400 <= sum(sizes) / len(sizes) <= 600
    assert max(sizes) <= shards_module.MOST


def test_shard_has_at_most_a_gigabyte() -> None:
    assert [len(shard.items) for shard in cut(items(5, size=400_000_000), JOB)] == [2, 2, 1]


def test_shard_of_long_keys_stays_small() -> None:
    shards = [*cut(items(1_000, name="é" * 500 + "{:07}.jpg"), JOB)]
    assert max(len(pickle.dumps(shard)) for shard in shards) <= 64 << 10


def test_id_is_the_same_for_the_same_pictures_and_the_same_work() -> None:
    one, other = (Shard(JOB, tuple(items(3))) for _ in range(2))
    assert one.id == other.id
    assert pickle.loads(pickle.dumps(one)).id == one.id
    changed = items(3)
    changed[1] = msgspec.structs.replace(changed[1], etag="0" * 32)
    assert Shard(JOB, tuple(changed)).id != one.id
    assert Shard(msgspec.structs.replace(JOB, transforms=("w-301",)), one.items).id != one.id


def test_new_picture_changes_only_its_own_shard() -> None:
    found = items(10_000)
    before = {shard.id for shard in cut(found, JOB)}
    after = {shard.id for shard in cut([*found[:100], ShardItem("2026/new.jpg", "e", 5), *found[100:]], JOB)}
    assert len(after - before) <= 2
    assert len(before) > 15


def test_memory_does_not_grow_with_the_listing() -> None:
    """Each key of 10,000,000 may cost nothing that stays; see tests/bulk/test_bulk_memory.py for all of them."""

    def listing(count: int) -> Iterator[ShardItem]:
        return (ShardItem(f"{number:012}.jpg", "0" * 32, 1_000) for number in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        for shard in cut(listing(count), JOB):
            assert shard.id
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(20_000) < 2 * peak(4_000)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_shard_belongs_to_one_part(count: int) -> None:
    parts = [ShardPart(number, count) for number in range(1, count + 1)]
    for shard in cut(items(6_000), JOB):
        assert sum(part.has(shard) for part in parts) == 1


@given(st.integers(1, 999_999), st.integers(1, 999_999))
def test_part_round_trips(one: int, other: int) -> None:
    part = ShardPart(min(one, other), max(one, other))
    assert ShardPart.parse(str(part)) == part


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "1/0", "1", "a/b", "-1/3", "1/3/5", "1.0/2"])
def test_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write 1/8 to 8/8"):
        ShardPart.parse(text)


@pytest.mark.parametrize("key", ["cat.jpg", "a/b/CAT.JPEG", "x.heic", "cat.5b1e09aa.jpg", "w-640.webp", "a.w-640.png"])
def test_picture_is_told_by_its_ending(key: str) -> None:
    assert is_picture(key)


@pytest.mark.parametrize(
    "key",
    ["cat.5b1e09aa.w-640.avif", "cat.5b1e09aa.o.jpg", "cat.svg", "a.txt", "jpg", ".s3img/results/a/b.jpg", "a.jpg/"],
)
def test_rendering_or_other_object_is_no_picture(key: str) -> None:
    assert not is_picture(key)


def test_lines_of_the_lock_go_with_their_pictures() -> None:
    found = [*with_lines(items(2), {items(2)[1].key: "the line"})]
    assert [item.line for item in found] == ["", "the line"]


def test_halves_have_all_pictures_and_know_that_they_are_pieces() -> None:
    one, other = Shard(JOB, tuple(items(5))).halves()
    assert [*one.items, *other.items] == items(5)
    assert one.is_piece
    assert other.is_piece
