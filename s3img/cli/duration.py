"""Durations on the command line: ``7d``, ``12h``, ``30m``."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "": "days"}


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:  # noqa: ARG001 - click's form
    """Read a whole number of days, hours or minutes, as the callback of an option."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,5})([mhd]?)", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration: write 7d, 12h or 30m.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
