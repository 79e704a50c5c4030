"""``s3img sync [DIR…]``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from s3img.cli import folder_options
from s3img.cli.report import RunProgress

if TYPE_CHECKING:
    from pathlib import Path


@click.command("sync")
@folder_options.dirs
@folder_options.remote
@folder_options.rendering
@folder_options.with_lock
@click.option("--verify", is_flag=True, help="List the bucket, and put again what was removed from it.")
@click.option("--prune", is_flag=True, help="Drop lines of images that are not on disk.")
@click.option("--dry-run", is_flag=True, help="Only say what there is to do.")
def command(
    dirs: tuple[Path, ...],
    *,
    config_file: Path | None,
    lock_file: Path | None,
    verify: bool,
    prune: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Put the images of folders into the bucket as they are, and write s3img.lock."""
    images = folder_options.open_images(config_file, options)
    lock = folder_options.lock_path(lock_file, config_file)
    is_usual = sys.argv[1:2] == ["sync"] and not (as_json or verify or dry_run)
    asked = sys.argv[1:] if is_usual else []  # see s3img.__main__
    with RunProgress() as progress:
        result = images.sync(
            *dirs, lock=lock, verify=verify, prune=prune, dry_run=dry_run, progress=progress, command=asked
        )
    return folder_options.print_result(result, as_json=as_json)
