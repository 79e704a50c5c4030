"""Bound the time of a render, checked between its steps."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from s3img.imaging.probing import too_large


@dataclass(frozen=True, slots=True)
class Deadline:
    """Run out ``seconds`` after it was made."""

    seconds: float
    start: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise ``ImageTooLarge`` once the time is up."""
        if time.monotonic() - self.start > self.seconds:
            raise too_large("seconds", f"Rendering takes more than {self.seconds:g} s", self.seconds)
