"""What a publish run shows: a progress bar on a terminal, the report, or one JSON object."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

import click
import msgspec

from s3img.keys import one_line
from s3img.publish.result import ProgressLines, PublishResult, size_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class RunProgress:
    """Show a bar for each stage of a run on a terminal, and elsewhere a line every ten seconds."""

    def __init__(self) -> None:
        self._bars = _bars() if sys.stderr.isatty() else None
        self._lines = ProgressLines(lambda line: click.echo(line, err=True))
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Move the bar of a stage."""
        if self._bars is None:
            self._lines(stage, done, total)
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage.capitalize(), total=total)
        self._bars.update(self._tasks[stage], completed=done, total=total)


def _bars() -> Progress:
    """Make the bars; rich takes 60 ms to import, which a run without a terminal does not pay."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    times = TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *times)
    return Progress(*columns, console=Console(stderr=True), transient=True)


def print_json(result: msgspec.Struct) -> None:
    """Print the result as one JSON object; a byte of a name that is not UTF-8 is escaped as a lone surrogate."""
    try:
        data = msgspec.json.format(msgspec.json.encode(result), indent=2)
    except UnicodeEncodeError:
        import json  # such names are rare

        data = json.dumps(msgspec.to_builtins(result), indent=2).encode()
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()


def print_report(result: PublishResult) -> None:
    """Print problems to stderr, then the sums and a table of formats to stdout."""
    for problem in result.problems:
        click.echo(one_line(f"{problem.severity}: {problem}"), err=True)
    click.echo(str(result))
    if result.formats and not result.dry_run:
        click.echo(f"{'format':8}{'variants':>9}{'bytes':>11}{'dropped':>9}")
        for row in result.formats:
            click.echo(f"{row.format:8}{row.variants:9}{size_text(row.bytes):>11}{row.dropped:9}")
