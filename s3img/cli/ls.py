"""``s3img ls [PREFIX]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from s3img.cli import folder_options
from s3img.cli.report import one_line

if TYPE_CHECKING:
    from pathlib import Path


@click.command("ls")
@click.argument("prefix", default="")
@folder_options.remote
def command(
    prefix: str,
    *,
    config_file: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Print the keys in the bucket that start with PREFIX, with their bytes."""
    images = folder_options.open_images(config_file, options)
    found = sorted((info.key, info.size) for info in images.objects(prefix))
    if as_json:
        import json

        objects = [{"key": key, "bytes": size} for key, size in found]
        click.echo(json.dumps({"schema": "s3img.ls/1", "target": images.config.bucket, "objects": objects}, indent=2))
    else:
        for key, size in found:
            click.echo(one_line(f"{size:>12} {key}"))
    return 0
