"""``s3img pull [DIR…]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from s3img.cli import folder_options
from s3img.cli.report import print_json

if TYPE_CHECKING:
    from pathlib import Path


@click.command("pull")
@folder_options.dirs
@folder_options.remote
@folder_options.with_lock
@click.option("--overwrite", is_flag=True, help="Replace images that differ from the lock.")
def command(
    dirs: tuple[Path, ...],
    *,
    config_file: Path | None,
    lock_file: Path | None,
    overwrite: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Restore the images of s3img.lock that are not on disk from the bucket."""
    images = folder_options.open_images(config_file, options)
    lock = folder_options.lock_path(lock_file, config_file)
    result = images.pull(*dirs, lock=lock, overwrite=overwrite)
    if as_json:
        print_json(result)
    else:
        folder_options.print_findings(result.findings)
        click.echo(str(result))
    return result.exit_code
