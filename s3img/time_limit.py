"""A bound on the whole time of a call that has none of its own."""

from __future__ import annotations

from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class TimeExceeded(TimeoutError):
    """The time of a call is over; a socket's own time-out, which the call may raise, is another TimeoutError."""


def call_within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what ``call`` returns, or raise what it raises; raise TimeExceeded after ``seconds``.

    A socket's time-out bounds each wait for bytes, so a server that sends one byte a second never meets it. The call
    goes on in a thread of its own after the time is up; it is a daemon, so that it can't hold up the program's end.
    """
    outcome: Queue[tuple[Result, None] | tuple[None, BaseException]] = Queue(1)

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:
            outcome.put((None, error))

    Thread(target=run, daemon=True, name="s3img-request").start()
    try:
        result, error = outcome.get(timeout=seconds)
    except Empty:
        raise TimeExceeded(f"no whole answer within {seconds:.0f} s") from None
    if error is not None:
        try:
            raise error
        finally:
            del error  # its traceback leads here, and from here to it
    return result  # type: ignore[return-value] # of the pair without an error
