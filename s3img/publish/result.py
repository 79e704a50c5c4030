"""What a publish run tells: how far it is, and in the end what it found, did and could not do."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Severity = Literal["error", "warning", "note"]

POLICY: dict[str, Severity | None] = {"error": "error", "warn": "warning", "keep": None}
"""What a missing image counts as under each value of the setting ``missing``."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """One problem: where (page; line and column from 1, 0 without one), what is wrong, and how to fix it.

    ``url`` is the reference that it is about, as the page has it, "" where it is about no single one.
    """

    page: str
    line: int
    column: int
    code: str
    message: str
    severity: Severity = "warning"
    url: str = ""

    @property
    def place(self) -> str:
        """Return page, line and column as editors read them."""
        return self.page + (f":{self.line}:{self.column}" if self.line else "")

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class FormatRow(msgspec.Struct, frozen=True):
    """Sum up one format: variants in use, their bytes, and those left out for not being smaller."""

    format: str
    variants: int
    bytes: int
    dropped: int


class PublishResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report a run.

    Bytes before are those of the images' files, bytes after those of the widest picture that a current browser is
    offered of each: no visitor loads more. ``site_bytes`` is what was written into the site beside its pages. Of a dry
    run, ``rendered`` counts what would be.
    """

    schema: str = "s3img.publish/1"
    target: str
    pages: int = 0
    pages_changed: int = 0
    images: int = 0
    variants: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    site_bytes: int = 0
    rendered: int = 0
    uploaded: int = 0
    present: int = 0
    dropped: int = 0
    removed: int = 0
    requests: dict[str, int] = {}
    formats: tuple[FormatRow, ...] = ()
    problems: tuple[Problem, ...] = ()
    failed: tuple[str, ...] = ()
    exit_code: int = 0
    seconds: float = 0.0
    dry_run: bool = False

    def __str__(self) -> str:
        where = f" to {self.target}" if self.target else " inside the site"
        what = f"{count(self.images, 'image')}, {count(self.variants, 'variant')}{where}"
        pages = f"{self.pages_changed} of {count(self.pages, 'page')} changed in {self.seconds:.2f} s."
        if self.dry_run:
            return f"Would publish {what}, {self.rendered} of them to be rendered; {count(self.pages, 'page')} read."
        done = f"{self.rendered} rendered, {self.uploaded} put, {self.present} present, {self.dropped} dropped"
        before, after = size_text(self.bytes_before), size_text(self.bytes_after)
        saved = f" A visitor loads at most {after} of images instead of {before}." if self.bytes_before else ""
        grown = f" The site's folder grew by {size_text(self.site_bytes)}." if self.site_bytes else ""
        failed = f" {count(len(self.failed), 'object')} failed: pages keep the local images." if self.failed else ""
        return f"Published {what} ({done}).{saved}{grown} {pages}{failed}"

    @property
    def ok(self) -> bool:
        """Tell whether everything that was asked for is done."""
        return self.exit_code == 0


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size_text(size: float) -> str:
    """Return bytes for people to read."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


class ProgressLines:
    """Write a line every ``seconds``, for logs, where no bar can be drawn: how far a stage is, and the time left.

    A first build of a large site is not silent, and a quick one is. The largest pictures are rendered first, so the
    first steps say little about the pace: the time left is told once a tenth of the stage is done.
    """

    def __init__(
        self, write: Callable[[str], object], *, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._seconds = seconds
        self._clock = clock
        self._due = clock() + seconds
        self._stage, self._began, self._before = "", clock(), 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Note how far a stage has come; the signature is that of `Progress`."""
        now = self._clock()
        if stage != self._stage:  # its first step is over already: the pace counts from there
            self._stage, self._began, self._before = stage, now, done
        if now < self._due:
            return
        self._due = now + self._seconds
        steps = done - self._before
        left = (now - self._began) / steps * (total - done) if steps > 0 and steps * 10 >= total else 0.0
        self._write(f"{stage.capitalize()}: {done} of {total}" + (f", about {time_text(left)} left" if left else ""))


def time_text(seconds: float) -> str:
    """Return a time for people to read: seconds up to two minutes, then minutes."""
    return f"{math.ceil(seconds)} s" if seconds <= 120 else f"{math.ceil(seconds / 60)} min"
