"""``s3img probe FILE…``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from s3img.cli.host import load_config
from s3img.errors import S3ImgError
from s3img.imaging import probe


@click.command("probe")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(files: tuple[Path, ...], *, as_json: bool) -> int:
    """Print what each FILE is, by its bytes; exit 1 when one is no usable image."""
    limits = load_config({}, None).limits
    found: list[dict[str, Any]] = []
    for file in files:
        try:
            info = probe(file, limits=limits)
        except S3ImgError as error:
            found.append({"path": str(file), "error": str(error)})
        else:
            facts = {"media_type": info.media_type, "width": info.width, "height": info.height, "frames": info.frames}
            found.append({"path": str(file), **facts, "alpha": info.alpha})
    if as_json:
        click.echo(json.dumps({"schema": "s3img.probe/1", "files": found}))
    else:
        _print(found)
    return 1 if any("error" in row for row in found) else 0


def _print(found: list[dict[str, Any]]) -> None:
    for row in found:
        if "error" in row:
            click.echo(f"error: {row['error']}", err=True)
            continue
        extra = [f"{row['frames']} frames"] if row["frames"] > 1 else []
        extra += ["alpha"] if row["alpha"] else []
        click.echo(", ".join([f"{row['path']}: {row['media_type']}", f"{row['width']}x{row['height']}", *extra]))
