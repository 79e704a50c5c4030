"""How a shard treats a store that has too much to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3img.buckets import open_bucket
from s3img.bulk.shard_worker import ATTEMPTS, LONGEST, SHORTEST, Pace
from s3img.errors import BucketError, StoreBusy, Unreachable

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def pace(self) -> Pace:
        return Pace(sleep=self.sleep, clock=lambda: self.now, jitter=lambda _, most: most)


def failing(times: int) -> object:
    left = [times]

    def work() -> str:
        if left[0]:
            left[0] -= 1
            raise StoreBusy("SlowDown")
        return "made"

    return work


def test_busy_store_is_asked_again_after_pauses_that_grow() -> None:
    clock = Clock()
    pace = clock.pace()
    assert pace.run(failing(3)) == "made"  # type: ignore[arg-type]
    assert clock.pauses == pytest.approx([SHORTEST, 2 * SHORTEST, 4 * SHORTEST])
    assert pace.waited == pytest.approx(7 * SHORTEST)


def test_success_shortens_the_next_pause() -> None:
    clock = Clock()
    pace = clock.pace()
    pace.run(failing(3))  # type: ignore[arg-type]
    for _ in range(3):
        pace.run(lambda: None)
    clock.pauses.clear()
    pace.run(failing(1))  # type: ignore[arg-type]
    assert clock.pauses == pytest.approx([SHORTEST])


def test_pause_of_one_request_is_that_of_all() -> None:
    clock = Clock()
    pace = clock.pace()
    with pytest.raises(StoreBusy):
        pace.run(failing(ATTEMPTS))  # type: ignore[arg-type]
    assert sum(clock.pauses) == pytest.approx(pace.waited)
    assert max(clock.pauses) == pytest.approx(LONGEST)


def test_refusals_of_one_moment_are_one_refusal() -> None:
    """Of requests that were under way together, the second to be refused tells nothing new."""
    clock = Clock()
    pace = clock.pace()
    other = failing(1)
    tries = []

    def work() -> str:
        tries.append(clock.now)
        if len(tries) > 1:
            return "made"
        clock.now += 0.001
        pace.run(other)  # type: ignore[arg-type] # is refused once while this request is under way
        raise StoreBusy("SlowDown")

    assert pace.run(work) == "made"
    assert clock.pauses == pytest.approx([SHORTEST])


def test_pauses_are_bounded_under_a_third_of_refusals() -> None:
    """Each request of which three in ten are refused costs a fraction of a second, not more and more."""
    clock = Clock()
    pace = clock.pace()
    for number in range(1_000):
        pace.run(failing(int(number % 10 in {0, 3, 6})))  # type: ignore[arg-type]
    assert pace.waited / 1_000 < 0.3


def test_failure_without_a_word_is_tried_again_too() -> None:
    """What an answer to HEAD tells of a busy store."""
    clock = Clock()
    found = iter([BucketError("503"), BucketError("503"), "made"])

    def work() -> str:
        answer = next(found)
        if isinstance(answer, BucketError):
            raise answer
        return answer

    assert clock.pace().run(work) == "made"


def test_other_errors_are_not_tried_again() -> None:
    clock = Clock()

    def work() -> None:
        raise Unreachable("nobody answers")

    with pytest.raises(Unreachable):
        clock.pace().run(work)
    assert clock.pauses == []


def test_what_a_folder_says_of_its_disk_is_told_at_once(tmp_path: Path) -> None:
    clock, bucket = Clock(), open_bucket(tmp_path.as_uri())
    bucket.put("a", b"x", media_type="image/png")
    with pytest.raises(BucketError, match="A file stands where"):
        clock.pace().run(lambda: bucket.put("a/b", b"x", media_type="image/png"))
    assert clock.pauses == []
