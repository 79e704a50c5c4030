"""``s3img add FILE…``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from s3img.cli import folder_options
from s3img.cli.report import RunProgress


@click.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@folder_options.remote
@folder_options.rendering
@folder_options.with_lock
@click.option("--dry-run", is_flag=True, help="Only say what there is to do.")
def command(
    files: tuple[Path, ...],
    *,
    config_file: Path | None,
    lock_file: Path | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Put single image FILES into the bucket and their lines into s3img.lock."""
    images = folder_options.open_images(config_file, options)
    lock = folder_options.lock_path(lock_file, config_file)
    with RunProgress() as progress:
        result = images.sync(*files, lock=lock, dry_run=dry_run, progress=progress)
    return folder_options.print_result(result, as_json=as_json)
