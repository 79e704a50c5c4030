"""``s3img transform IN OUT --tr TR``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s3img.atomic import remove_stale_in, write_atomically
from s3img.cli.command_options import load_config
from s3img.errors import AssetError, FileUnwritable, S3ImgError
from s3img.images import Images
from s3img.imaging import MEDIA_TYPES, probe
from s3img.imaging.probing import too_large
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3img.config import Config

_BY_SUFFIX = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".avif": "avif", ".gif": "gif"}


@click.command("transform")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("result", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--tr", "text", default="", help="Transform, such as w-300,h-200; OUT's suffix gives the format.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def transform_command(source: Path, result: Path, *, text: str, as_json: bool) -> None:
    """Render the image IN to the file OUT; pictures and fonts of layers are files beside IN, or keys of the bucket."""
    from s3img.imaging import render  # loads Pillow, which `size` and `probe` do without

    config = load_config({}, None)
    transform = Transform.parse(text, presets=config.presets, limits=config.limits)
    wanted = _BY_SUFFIX.get(result.suffix.lower())
    if transform.format == "auto" and wanted:
        transform = transform.then(Transform.parse(f"f-{wanted}"))
    transform = transform.with_fonts(config.fonts)
    inputs = layer_files(transform.inputs, source.parent, config)
    if not transform.is_located:
        from s3img.imaging.detectors import Detectors

        transform = Detectors.of(config.focus_detectors).located(transform, source, inputs, config.limits)
    rendered = render(source, transform, profile="build", limits=config.limits, inputs=inputs)
    _check_suffix(result, rendered.media_type)
    try:
        write_atomically(result, rendered.data)
        remove_stale_in([result.parent])
    except OSError as error:
        raise FileUnwritable(str(result), error) from error
    facts = {"path": str(result), "media_type": rendered.media_type, "width": rendered.width, "height": rendered.height}
    if as_json:
        click.echo(json.dumps({"schema": "s3img.transform/1", **facts, "bytes": len(rendered.data)}))
    else:
        click.echo(f"{result}: {rendered.media_type}, {rendered.width}x{rendered.height}, {len(rendered.data)} bytes")


def layer_files(names: Iterable[str], folder: Path, config: Config) -> dict[str, Path | bytes]:
    """Return the pictures and fonts of layers: files of a folder, or objects of the configured bucket.

    Raise AssetError for one that is neither, and BucketError.
    """
    found: dict[str, Path | bytes] = {name: folder / name for name in names}
    missing = [name for name in found if not (folder / name).is_file()]
    if not missing:
        return found
    if not config.bucket:
        message = f"layer {missing[0]!r}: there is no file {folder / missing[0]}."
        raise AssetError(message, path=missing[0], fix="Put it beside the picture, or name the bucket that has it.")
    bucket = Images(config).open_bucket()
    for name in missing:
        info = bucket.head(name)
        if info is None:
            message = f"layer {name!r}: there is no file {folder / name}, and {bucket.name} has no such key."
            raise AssetError(message, path=name, fix="Correct the name in the transform.")
        if info.size > config.limits.input_bytes:
            raise too_large("input_bytes", f"Layer {name!r} has {info.size:,} bytes", config.limits.input_bytes)
        found[name] = bucket.get(name)
    return found


def _check_suffix(result: Path, media_type: str) -> None:
    """Refuse a name that says another format than the bytes: browsers and servers go by it."""
    named = _BY_SUFFIX.get(result.suffix.lower())
    if named and MEDIA_TYPES[named] != media_type:
        message = f"{result} would hold {media_type}."
        raise AssetError(message, path=str(result), fix="Change the suffix, or f- in the transform.")


def _size(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:  # noqa: ARG001 - click's form
    """Read ``1000x500``."""
    match = re.fullmatch(r"([1-9]\d{0,5})[xX]([1-9]\d{0,5})", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a size: write px as 1000x500.")
    return int(match[1]), int(match[2])


@click.command("size")
@click.argument("size", metavar="WIDTHxHEIGHT", callback=_size)
@click.argument("transform")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def size_command(size: tuple[int, int], transform: str, *, as_json: bool) -> None:
    """Print the size in px that TRANSFORM gives to a picture of WIDTHxHEIGHT px."""
    config = load_config({}, None)
    parsed = Transform.parse(transform, presets=config.presets, limits=config.limits)
    width, height = parsed.output_size(size, limits=config.limits)
    if as_json:
        import json

        click.echo(json.dumps({"schema": "s3img.size/1", "transform": str(parsed), "width": width, "height": height}))
    else:
        click.echo(f"{width}x{height}")


@click.command("probe")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def probe_command(files: tuple[Path, ...], *, as_json: bool) -> int:
    """Print what each FILE is, by its bytes; exit 1 when one is not a usable image."""
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
