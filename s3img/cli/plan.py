"""``s3img plan [DIR…]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from s3img.cli import folder_options
from s3img.cli.report import print_json

if TYPE_CHECKING:
    from pathlib import Path


@click.command("plan")
@folder_options.dirs
@folder_options.remote
@folder_options.rendering
@folder_options.with_lock
@click.option("--verify", is_flag=True, help="List the bucket, whatever is known of it.")
@click.option("--prune", is_flag=True, help="Plan to drop lines of images that are not on disk.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when there is something to do.")
def command(
    dirs: tuple[Path, ...],
    *,
    config_file: Path | None,
    lock_file: Path | None,
    verify: bool,
    prune: bool,
    exit_code: bool,
    as_json: bool,  # noqa: ARG001 - a plan is JSON in any case
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Print what sync would do, as JSON that s3img apply takes."""
    images = folder_options.open_images(config_file, options)
    lock = folder_options.lock_path(lock_file, config_file)
    plan = images.plan(*dirs, lock=lock, verify=verify, prune=prune)
    print_json(plan)
    folder_options.print_findings(plan.problems)
    return int(bool(plan.problems) or (exit_code and not plan.is_empty))
