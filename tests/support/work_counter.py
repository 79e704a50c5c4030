"""Count the work that a call does, where time would depend on the machine."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from collections.abc import Callable


class Work:
    """What was counted since `work_of` began; inputs that count what is done with them add to it."""

    done = 0


def work_of(run: Callable[[], object], *, refusals: tuple[type[Exception], ...] = (S3ImgError,)) -> int:
    """Return the lines of this project that a call executes, and what its input has counted; pass over ``refusals``."""
    Work.done = 0

    def trace(frame: Any, event: str, _argument: object) -> Any:
        if "s3img" not in frame.f_code.co_filename:
            return None
        Work.done += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(*refusals):
            run()
    finally:
        sys.settrace(before)
    return Work.done
