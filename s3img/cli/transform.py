"""``s3img transform IN OUT --tr TR``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from s3img.atomic import write_atomically
from s3img.cli.host import load_config
from s3img.errors import AssetError
from s3img.imaging import MEDIA_TYPES, render
from s3img.transform import Transform

_BY_SUFFIX = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".avif": "avif", ".gif": "gif"}


@click.command("transform")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("result", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--tr", "text", default="", help="Transform, such as w-300,h-200; OUT's suffix gives the format.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(source: Path, result: Path, *, text: str, as_json: bool) -> None:
    """Render the image IN to the file OUT."""
    config = load_config({}, None)
    transform = Transform.parse(text, presets=config.presets, limits=config.limits)
    wanted = _BY_SUFFIX.get(result.suffix.lower())
    if transform.format == "auto" and wanted:
        transform = transform.then(Transform.parse(f"f-{wanted}"))
    rendered = render(source, transform, profile="build", limits=config.limits)
    _check_suffix(result, rendered.media_type)
    try:
        write_atomically(result, rendered.data)
    except OSError as error:
        raise AssetError(f"{result}: can't be written: {error.strerror}.", path=str(result)) from error
    facts = {"path": str(result), "media_type": rendered.media_type, "width": rendered.width, "height": rendered.height}
    if as_json:
        click.echo(json.dumps({"schema": "s3img.transform/1", **facts, "bytes": len(rendered.data)}))
    else:
        click.echo(f"{result}: {rendered.media_type}, {rendered.width}x{rendered.height}, {len(rendered.data)} bytes")


def _check_suffix(result: Path, media_type: str) -> None:
    """Refuse a name that says another format than the bytes: browsers and servers go by it."""
    named = _BY_SUFFIX.get(result.suffix.lower())
    if named and MEDIA_TYPES[named] != media_type:
        message = f"{result} would hold {media_type}."
        raise AssetError(message, path=str(result), fix="Change the suffix, or f- in the transform.")
