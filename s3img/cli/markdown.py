"""``s3img markdown FILE…``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from s3img.cli.report import print_json, print_report
from s3img.images import Images
from s3img.settings import load


@click.command("markdown")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path(), help="Folder that the images lie below (default: here)."
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Settings file (default: s3img.toml).")
@click.option("--bucket", help="s3://NAME/PREFIX or file:///FOLDER.")
@click.option("--endpoint-url", help="Address of an S3-compatible service.")
@click.option("--public-url", help="Public address of what --bucket names.")
@click.option("--missing", type=click.Choice(["error", "warn", "keep"]), help="What a missing image means.")
@click.option("--dry-run", is_flag=True, help="Only say what there is to do.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    files: tuple[Path, ...],
    *,
    root: Path,
    config_file: Path | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Put the images of Markdown FILES into the bucket and write their public URLs into the text."""
    from markdown_it import MarkdownIt  # what the proof renders with

    images = Images(load(options=options, path=config_file))
    renderer = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    result = images.publish_sources(files, root=root, render=renderer.render, dry_run=dry_run)
    (print_json if as_json else print_report)(result)
    return result.exit_code
