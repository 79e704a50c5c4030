"""Encoding: apart from decoding, and to AVIF apart from all other formats, so that nothing quick waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3img.service.engine.entry import Entry, Words

if TYPE_CHECKING:
    from concurrent.futures import Future

    from s3img.imaging import Drawn
    from s3img.service.engine.lanes import Lane, Room
    from s3img.service.engine.model import Budget
    from s3img.service.engine.timing import Stopwatch

_SLOW: Final = "avif"


class Encoders:
    """Encode pictures in the places of two lanes; of those that wait decoded, ``room`` bounds the bytes."""

    def __init__(self, quick: Lane, slow: Lane, room: Room) -> None:
        self.lanes = (quick, slow)
        self._room = room

    def begin(self, drawn: Drawn, budget: Budget, watch: Stopwatch) -> Entry | Future[Entry]:
        """Return what will be the result, or the result itself of a picture that there is no room for.

        The caller, who has drawn it, keeps its place for that until then. Raise what `Lane.start` raises, and
        ``ImageError``.
        """
        lane = self.lanes[drawn.format == _SLOW]
        memory = drawn.memory
        future = lane.start(lambda: _entry(drawn), budget, watch)
        if not self._room.take(memory):
            return lane.finish(future, budget)
        future.add_done_callback(lambda _: self._room.give(memory))
        return future

    def finish(self, begun: Entry | Future[Entry], budget: Budget) -> Entry:
        """Return the result; raise `DeadlineExceeded` and ``ImageError``."""
        return begun if isinstance(begun, Entry) else self.lanes[0].finish(begun, budget)


def _entry(drawn: Drawn) -> Entry:
    rendered = drawn.encode()
    return Entry(Words(rendered.media_type, rendered.width, rendered.height), rendered.data, len(rendered.data))
