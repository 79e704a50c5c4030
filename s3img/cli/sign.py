"""``s3img sign ADDRESS``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from s3img.cli import command_options
from s3img.cli.command_options import duration
from s3img.cli.report import one_line

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path


@click.command("sign")
@click.argument("address")
@command_options.address
@click.option("--expires", callback=duration, help="End the address after 7d, 12h or 30m.")
def sign_command(address: str, *, expires: timedelta | None, config_file: Path | None, **options: Any) -> int:  # noqa: ANN401 - click passes what its options say
    """Print ADDRESS of the service, such as /tr:w-300/cat.jpg, with its signature.

    It begins after the endpoint. Where service_url is set, the whole address is printed. Nothing is asked of the
    bucket, and the picture need not be in s3img.lock.
    """
    images = command_options.open_images(config_file, options)
    until = None if expires is None else int(time.time() + expires.total_seconds())
    click.echo(one_line(images.sign(address, expires=until)))
    return 0
