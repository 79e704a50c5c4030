"""``s3img publish SITE_DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from s3img.cli.command_options import (
    ADDRESS,
    REMOTE,
    as_json,
    generator_file,
    lock_path,
    with_images,
    with_lock,
    with_settings,
)
from s3img.cli.report import RunProgress, print_json, print_report
from s3img.config.load import load
from s3img.config.mkdocs_yml import with_theme_sizes
from s3img.images import Images


@click.command("publish")
@click.argument("site_dir", type=click.Path(path_type=Path))
@with_settings(*REMOTE, "public_url", "missing", "executor")
@click.option("--site-url", help="Address that the site is served at; its path is the prefix of /absolute references.")
@click.option(
    "--remove-local",
    is_flag=True,
    default=None,
    help="Delete the site's own copies of images once all pages load them from the bucket.",
)
@click.option(
    "--check-public/--no-check-public", default=None, help="Ask for one object as a visitor would before pages change."
)
@click.option("--require-upload", is_flag=True, help="Fail (exit 4) when there are no credentials for the bucket.")
@click.option("--dry-run", is_flag=True, help="Only say what there is to do.")
@with_lock
@as_json
def publish_command(
    site_dir: Path,
    *,
    config_file: Path | None,
    lock_file: Path | None,
    require_upload: bool,
    dry_run: bool,
    as_json: bool,
    options: dict[str, Any],
    **others: Any,  # noqa: ANN401 - settings, too
) -> int:
    """Put a built site's images into the bucket and make its pages point there.

    Without a bucket, the images and their variants stay inside the site.

    Settings that mkdocs.yml or zensical.toml has for the plugin s3img count here, too.
    """
    generator = generator_file(config_file)
    if generator:
        config_file = generator.config_file
        require_upload = require_upload or generator.require_upload
    config = load(options=options | others, path=config_file, host=generator.source if generator else None)
    images = Images(with_theme_sizes(config, generator.theme) if generator else config)
    beside = lock_path(None, config_file)
    lock = lock_file or (beside if beside.exists() else None)
    with RunProgress() as progress:
        result = images.publish(site_dir, dry_run=dry_run, require_upload=require_upload, lock=lock, progress=progress)
    (print_json if as_json else print_report)(result)
    return result.exit_code


@click.command("markdown")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), help="Folder that the images lie below (default: here)."
)
@with_images(*ADDRESS, "missing")
@click.option("--dry-run", is_flag=True, help="Only say what there is to do.")
@as_json
def markdown_command(files: tuple[Path, ...], *, root: Path, images: Images, dry_run: bool, as_json: bool) -> int:
    """Put the images of Markdown FILES into the bucket and write their public URLs into the text."""
    from markdown_it import MarkdownIt  # what the proof renders with

    renderer = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    result = images.publish_sources(files, root=root, render=renderer.render, dry_run=dry_run)
    (print_json if as_json else print_report)(result)
    return result.exit_code
