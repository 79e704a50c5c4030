"""``s3img size 1000x500 w-300``."""

from __future__ import annotations

import re

import click

from s3img.cli.host import load_config
from s3img.transform import Transform


def _size(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:  # noqa: ARG001 - click's form
    """Read ``1000x500``."""
    match = re.fullmatch(r"([1-9]\d{0,5})[xX]([1-9]\d{0,5})", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no size: write px as 1000x500.")
    return int(match[1]), int(match[2])


@click.command("size")
@click.argument("size", metavar="WIDTHxHEIGHT", callback=_size)
@click.argument("transform")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(size: tuple[int, int], transform: str, *, as_json: bool) -> None:
    """Print the size in px that TRANSFORM gives to a picture of SIZE."""
    config = load_config({}, None)
    parsed = Transform.parse(transform, presets=config.presets, limits=config.limits)
    width, height = parsed.output_size(size, limits=config.limits)
    if as_json:
        import json

        click.echo(json.dumps({"schema": "s3img.size/1", "transform": str(parsed), "width": width, "height": height}))
    else:
        click.echo(f"{width}x{height}")
