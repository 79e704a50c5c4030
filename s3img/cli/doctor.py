"""``s3img doctor``."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec

from s3img.cli.command_options import REMOTE, as_json, load_config, lock_path, with_lock, with_settings
from s3img.cli.report import print_json
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3img.doctor import Finding, Report


@click.command("doctor")
@with_settings(*REMOTE, "public_url")
@as_json
@with_lock
@click.option("--leave-probe", is_flag=True, help="Put the probe object even if it can't be deleted again.")
def doctor_command(
    *,
    config_file: Path | None,
    lock_file: Path | None,
    leave_probe: bool,
    as_json: bool,
    options: dict[str, Any],
) -> int:
    """Find out whether the set-up works; if not, name the cause and how to fix it. Leaves nothing behind."""
    from s3img.doctor import examine, unusable

    shown = Shown(sys.stdout)
    on_finding = None if as_json else shown
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the probe object is removed then, too
    try:
        config = load_config(options, config_file)
        lock = lock_path(lock_file, config_file)
        report = examine(config, lock=lock, leave=leave_probe, on_finding=on_finding)
    except ConfigError as error:
        report = unusable(error, on_finding=on_finding)
    finally:
        signal.signal(signal.SIGTERM, before)
    if as_json:
        print_json(report)
    else:
        shown.sum_up(report)
    return report.exit_code


class Shown:
    """Show findings while they are made, in colour on a terminal; probes skipped for one reason share a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._print = _colours(stream) if stream.isatty() else self._plain
        self._skipped: list[Finding] = []

    def __call__(self, finding: Finding) -> None:
        """Show one finding, or keep a skipped one until the next that says something else."""
        if self._skipped and (finding.status, finding.message) != ("skip", self._skipped[0].message):
            self.flush()
        if finding.status == "skip":
            self._skipped.append(finding)
        else:
            self._print(finding)

    def flush(self) -> None:
        """Show the skipped probes that are left."""
        if self._skipped:
            names = ", ".join(finding.probe for finding in self._skipped[1:])
            message = f"{self._skipped[0].message}{f' (also {names})' if names else ''}"
            self._print(msgspec.structs.replace(self._skipped[0], message=message))
            self._skipped.clear()

    def sum_up(self, report: Report) -> None:
        """Show the counts, and what to fix first."""
        self.flush()
        click.echo(str(report), file=self._stream)
        if report.first:
            click.echo(f"Fix this first: {report.first.code} ({report.first.probe}).", file=self._stream)

    def _plain(self, finding: Finding) -> None:
        click.echo(f"{finding.status:5}{finding.probe:12} {finding.message}", file=self._stream)
        if finding.fix:
            click.echo(f"{'':17} Fix: {finding.fix}", file=self._stream)
            click.echo(f"{'':17} {finding.code}: {finding.link}", file=self._stream)


def _colours(stream: TextIO) -> Callable[[Finding], None]:
    from rich.console import Console  # takes 60 ms, which a pipe does not pay
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, file=stream)
    looks = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red"), "skip": ("·", "dim")}

    def show(finding: Finding) -> None:
        sign, style = looks[finding.status]
        row = Table.grid(padding=(0, 1))
        row.add_column(width=13)
        row.add_row(Text(f"{sign} {finding.probe}", style), Text(finding.message, "dim" if sign == "·" else ""))
        if finding.fix:
            row.add_row("", Text.assemble(("Fix: ", "bold"), finding.fix))
            row.add_row("", Text(f"{finding.code}: {finding.link}", "dim"))
        console.print(row)

    return show
