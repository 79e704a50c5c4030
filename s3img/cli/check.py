"""``s3img check [DIR…]``."""

from __future__ import annotations

from pathlib import Path

import click

from s3img.cli import folder_options
from s3img.cli.report import one_line, print_json
from s3img.publish.result import count


@click.command("check")
@folder_options.dirs
@folder_options.local
@folder_options.with_lock
@click.option("--pages", metavar="SITE", type=click.Path(path_type=Path), help="Check this built site as well.")
@click.option("--allow-missing", is_flag=True, help="Pass images that are in the lock and not on disk.")
def command(
    dirs: tuple[Path, ...],
    *,
    config_file: Path | None,
    lock_file: Path | None,
    pages: Path | None,
    allow_missing: bool,
    as_json: bool,
) -> int:
    """Compare s3img.lock with the images on disk and with a built site; the bucket is not asked."""
    images = folder_options.open_images(config_file)
    lock = folder_options.lock_path(lock_file, config_file)
    result = images.check(*dirs, lock=lock, allow_missing=allow_missing, pages=pages)
    if as_json:
        print_json(result)
    else:
        for finding in result.findings:
            click.echo(one_line(str(finding)))
        checked, findings = count(result.images, "image"), count(len(result.findings), "finding")
        click.echo(f"{checked} checked against {result.lock}, {findings}.", err=True)
    return result.exit_code
