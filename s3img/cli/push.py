"""``s3img push [DIR…]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from s3img.cli import folder_options
from s3img.cli.report import RunProgress
from s3img.lock import read_lock

if TYPE_CHECKING:
    from pathlib import Path


@click.command("push")
@folder_options.dirs
@folder_options.remote
@folder_options.rendering
@folder_options.with_lock
@click.option("--verify", is_flag=True, help="List the bucket, and put again what was removed from it.")
@click.option("--dry-run", is_flag=True, help="Only say what there is to do.")
def command(
    dirs: tuple[Path, ...],
    *,
    config_file: Path | None,
    lock_file: Path | None,
    verify: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Put the images that s3img.lock names, as they are now, and no others."""
    images = folder_options.open_images(config_file, options)
    lock = folder_options.lock_path(lock_file, config_file)
    read_lock(lock)  # without one there is nothing to put, which nobody asks for
    with RunProgress() as progress:
        result = images.sync(*dirs, lock=lock, verify=verify, listed_only=True, dry_run=dry_run, progress=progress)
    return folder_options.print_result(result, as_json=as_json)
