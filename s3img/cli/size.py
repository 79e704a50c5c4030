"""``s3img size 1000x500 w-300``."""

from __future__ import annotations

import re

import click

from s3img.settings import load
from s3img.transform import Transform


class _Size(click.ParamType[tuple[int, int]]):
    name = "WIDTHxHEIGHT"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        match = re.fullmatch(r"([1-9]\d{0,5})[xX]([1-9]\d{0,5})", value) if isinstance(value, str) else None
        if match is None:
            self.fail(f"{value!r} is no size: write px as 1000x500.", param, ctx)
        return int(match[1]), int(match[2])


@click.command("size")
@click.argument("size", type=_Size())
@click.argument("transform")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(size: tuple[int, int], transform: str, *, as_json: bool) -> None:
    """Print the size in px that TRANSFORM gives to a picture of SIZE."""
    config = load()
    parsed = Transform.parse(transform, presets=config.presets, limits=config.limits)
    width, height = parsed.output_size(size, limits=config.limits)
    if as_json:
        import json

        click.echo(json.dumps({"schema": "s3img.size/1", "transform": str(parsed), "width": width, "height": height}))
    else:
        click.echo(f"{width}x{height}")
