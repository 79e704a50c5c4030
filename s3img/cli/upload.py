"""``s3img upload FILE…``: single pictures, and those of folders."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from s3img.cli import command_options
from s3img.cli.command_options import host, load_config
from s3img.cli.report import one_line
from s3img.errors import AssetError, ImageError, KeyTaken
from s3img.images import Images
from s3img.pictures.link_forms import FIELDS, FORMS, PictureLink, link_template

if TYPE_CHECKING:
    from s3img.uploads import Uploaded, Uploader

_SUFFIXES = frozenset((".avif", ".gif", ".jpeg", ".jpg", ".png", ".webp"))
"""Of the formats that uploads take; what a file is, its bytes say."""

_POLICY = ("metadata", "conflict", "max_side", "variants")


@click.command("upload")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--template",
    help="Key template (default: i/{{hash:32}}.{{ext}}, the same address for the same picture); {{ulid}}, {{year}} and "
    "the like give each upload one of its own.",
)
@click.option("--folder", default="", help="What {{dir}} stands for.")
@click.option(
    "--format",
    "form",
    default="url",
    show_default=True,
    help=f"{', '.join([*FORMS, 'key'])}, or a template of {', '.join(f'{{{name}}}' for name in FIELDS)}.",
)
@click.option("--metadata", type=click.Choice(["strip", "reencode", "keep"]), help="What becomes of EXIF: strip.")
@click.option(
    "--conflict",
    type=click.Choice(["skip-identical", "rename", "error"]),
    help="When the key is taken by another picture (default: skip-identical, which refuses).",
)
@click.option("--max-side", type=int, help="Scale larger pictures down to this many px.")
@click.option(
    "--variants", is_flag=True, default=None, help="Put the widths and formats of the settings beside each picture."
)
@command_options.address
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def upload_command(
    files: tuple[Path, ...],
    *,
    template: str | None,
    folder: str,
    form: str,
    config_file: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Put pictures into the bucket and print where they are; - is standard input, a folder all pictures in it.

    Of a folder, hidden files and those that are called no picture are left out; {{dir}} follows its own folders.
    """
    given = {name: value for name in _POLICY if (value := options.pop(name)) is not None}
    if form not in {*FORMS, "key"}:
        link_template(form)  # before anything is put
    uploader = _uploader(Images(load_config(options, config_file)), template, given)
    exit_code = 0
    for place in files:
        for file, below in pictures_in(place) if place.is_dir() else [(place, "")]:
            data, name = _read(file), "" if str(file) == "-" else file.name
            try:
                saved = uploader.save(data, filename=name, folder="/".join(filter(None, (folder.rstrip("/"), below))))
            except (ImageError, KeyTaken) as error:  # of several files, the one that it is about
                error.message = f"{file}: {error.message}" if name else error.message
                if not place.is_dir():
                    raise
                # One damaged picture keeps none of the others of its folder out.
                click.echo(one_line(f"Error: {error}"), err=True)
                exit_code = error.exit_code
                continue
            click.echo(msgspec.json.encode(saved) if as_json else _shown(saved, form))
    return exit_code


def pictures_in(folder: Path) -> list[tuple[Path, str]]:
    """Return (file, its folder below this one) of what is called a picture, in the order of paths.

    Raise AssetError for a folder without one: it is more likely the wrong one than meant.
    """
    found = []
    for file in sorted(folder.rglob("*")):
        below = file.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in below.parts)
        if file.suffix.lower() in _SUFFIXES and not is_hidden and file.is_file():
            found.append((file, "" if below.parent == Path() else below.parent.as_posix()))
    if not found:
        message = f"{folder}: holds no picture."
        raise AssetError(message, path=str(folder), fix=f"Name a folder with {', '.join(sorted(_SUFFIXES))} files.")
    return found


def _uploader(images: Images, template: str | None, given: dict[str, Any]) -> Uploader:
    """Return what saves under the given options, those of the host program, and the limits of the settings."""
    from s3img.uploads import Uploader, UploadPolicy
    from s3img.uploads.template import AUTHORS_TEMPLATE

    limits = images.config.limits
    found = host()
    policy = found.policy if found else UploadPolicy(max_bytes=limits.input_bytes, max_pixels=limits.input_pixels)
    template = template or (found.template if found else "") or AUTHORS_TEMPLATE
    return Uploader(images.open_bucket(), images.config, template=template, policy=replace(policy, **given))


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise AssetError(f"{file}: can't be read: {error.strerror}.", path=str(file), fix="Name a picture.") from error


def _shown(saved: Uploaded, form: str) -> str:
    name = saved.filename or saved.key.rpartition("/")[2]
    if form == "html" and saved.variants:
        return str(saved.picture(Path(name).stem))
    key, name = one_line(saved.key), one_line(name)  # each picture is one line, whatever its name holds
    link = PictureLink(url=saved.url, key=key, name=name, width=saved.width, height=saved.height)
    return key if form == "key" else link.text(form)
