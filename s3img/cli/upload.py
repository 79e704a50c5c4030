"""``s3img upload FILE…``: pictures of files, folders, addresses, standard input and the clipboard."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import click
import msgspec

from s3img.cli.command_options import ADDRESS, uploader_of, with_images
from s3img.errors import AssetError, FileUnreadable, ImageError, KeyTaken
from s3img.keys import one_line
from s3img.pictures.link_forms import FIELDS, FORMS, PictureLink, link_template

if TYPE_CHECKING:
    from s3img.images import Images
    from s3img.uploads import Uploaded

FORMATS_OF_NAMES: Final = {
    **{
        name: name
        for name in ("avif", "bmp", "gif", "ico", "jpeg", "png", "svg", "tiff", "webp", "heic", "heif", "jxl")
    },
    "jpg": "jpeg",
    "jpe": "jpeg",
    "jfif": "jpeg",
    "tif": "tiff",
}
"""What the ending of a picture's name says that it is; its bytes have the last word."""

_HOPS = 5
"""Redirects that are followed to a picture."""


@click.command("upload")
@click.argument("sources", nargs=-1, metavar="FILE|URL|DIR|-...")
@click.option(
    "--clipboard/--clipboard-free",
    default=False,
    help="Put the picture in the clipboard too; --clipboard-free, the default, leaves the clipboard alone.",
)
@click.option(
    "--template",
    help="Key template, or a name of upload_templates (default: i/{{hash:32}}.{{ext}}, the same address for the same "
    "picture); {{ulid}}, {{year}} and the like give each upload one of its own.",
)
@click.option("--folder", default="", help="What {{dir}} stands for.")
@click.option(
    "--format",
    "form",
    default="url",
    show_default=True,
    help=f"{', '.join([*FORMS, 'key'])}, a name of link_templates, or a template of "
    f"{', '.join(f'{{{name}}}' for name in FIELDS)}.",
)
@click.option(
    "--metadata",
    type=click.Choice(["strip", "reencode", "keep"]),
    help="What to do with EXIF and other metadata (default: strip).",
)
@click.option(
    "--conflict",
    type=click.Choice(["skip-identical", "rename", "error"]),
    help="When the key is taken by another picture (default: skip-identical, which refuses).",
)
@click.option("--max-side", type=int, help="Scale larger pictures down to this many px.")
@click.option(
    "--convert", type=click.Choice(["jpeg", "png", "webp", "avif"]), help="Store pictures of other formats in this one."
)
@click.option(
    "--variants", is_flag=True, default=None, help="Put the widths and formats of the settings beside each picture."
)
@with_images(*ADDRESS)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def upload_command(
    sources: tuple[str, ...],
    *,
    clipboard: bool,
    template: str | None,
    folder: str,
    form: str,
    images: Images,
    as_json: bool,
    **policy: Any,  # noqa: ANN401 - fields of UploadPolicy
) -> int:
    """Put pictures into the bucket and print where they are; - is standard input, a folder all pictures in it.

    Of a folder, hidden files are left out, and pictures of kinds that uploads don't take (SVG, HEIC) are named;
    {{dir}} follows its own folders. An address (https://…) is fetched from this machine.
    """
    if not sources and not clipboard:
        raise click.UsageError("Name a FILE, a URL, a folder or -, or give --clipboard.")
    if "" in sources:  # of a variable that is not set; as a path, it would be all of this folder
        raise click.UsageError("A FILE has no name: write . for this folder.")
    form = images.config.link_templates.get(form, form)
    if form not in {*FORMS, "key"}:
        link_template(form)  # before anything is put
    uploader = uploader_of(images, template, **policy)
    exit_code = 0

    def put(data: bytes, name: str, where: str) -> None:
        saved = uploader.save(data, filename=name, folder=where)
        click.echo(msgspec.json.encode(saved) if as_json else _shown(saved, form))

    for source in sources:
        place = Path(source)
        is_folder = not is_address(source) and place.is_dir()
        for file, below in pictures_in(place, uploader.policy.formats) if is_folder else [(source, "")]:
            name = ""
            try:
                data, name = read_source(str(file), uploader.policy.max_bytes)
                put(data, name, "/".join(filter(None, (folder.rstrip("/"), below))))
            except (AssetError, ImageError, KeyTaken) as error:  # of several files, the one that it is about
                error.message = f"{file}: {error.message}" if name else error.message
                if not is_folder:
                    raise
                # One damaged picture keeps none of the others of its folder out.
                click.echo(one_line(f"Error: {error}"), err=True)
                exit_code = error.exit_code
    if clipboard:
        from s3img.imaging.clipboard import clipboard_picture  # most uploads have no need of it

        put(clipboard_picture(), "clipboard.png", folder)
    return exit_code


def is_address(source: str) -> bool:
    """Tell whether a text is an address of the web and no file."""
    return source.lower().startswith(("http://", "https://"))


def pictures_in(folder: Path, formats: frozenset[str]) -> list[tuple[Path, str]]:
    """Return (file, its folder below this one) of what is called a picture of these formats, in the order of paths.

    What is called a picture of another kind, and a link that leads out of the folder, which somebody else may have
    made, is named on standard error: nobody should think that it was put. Raise AssetError for a folder without one: it
    is more likely the wrong one than meant.
    """
    found, root = [], folder.resolve()
    others: Counter[str] = Counter()
    for file in sorted(folder.rglob("*")):
        below = file.relative_to(folder)
        form = FORMATS_OF_NAMES.get(file.suffix[1:].lower())
        if form is None or any(part.startswith(".") for part in below.parts) or not file.is_file():
            continue
        if not file.resolve().is_relative_to(root):
            click.echo(one_line(f"Left out: {file}: leads out of {folder}."), err=True)
        elif form in formats:
            found.append((file, "" if below.parent == Path() else below.parent.as_posix()))
        else:
            others[form.upper()] += 1
            click.echo(one_line(f"Left out: {file}: {form.upper()} is not taken."), err=True)
    taken = ", ".join(sorted(form.upper() for form in formats))
    if others:
        kinds = ", ".join(f"{number} {form}" for form, number in sorted(others.items()))
        click.echo(one_line(f"{folder}: left out {kinds}; uploads take {taken}."), err=True)
    if not found:
        raise AssetError(f"{folder}: holds no picture.", path=str(folder), fix=f"Name a folder with {taken} files.")
    return found


def read_source(source: str, limit: int) -> tuple[bytes, str]:
    """Return the bytes of a file, an address or standard input, and what they are called; raise AssetError.

    No more than ``limit`` bytes and one are read: what is longer is refused as any upload is.
    """
    if is_address(source):
        data = fetched(source, limit)
        return data, unquote(urlsplit(source).path).rpartition("/")[2]
    try:
        if source == "-":
            return sys.stdin.buffer.read(limit + 1), ""
        with Path(source).open("rb") as file:
            return file.read(limit + 1), Path(source).name
    except OSError as error:
        raise FileUnreadable(source, error, fix="Name a picture.") from error
    except ValueError as error:  # a path with a zero byte
        raise AssetError(f"{source!r}: is not a path.", path=source, fix="Name a picture.") from error


def fetched(url: str, limit: int) -> bytes:
    """Return what is at an address of the web, whose credentials are never shown; raise AssetError for no picture.

    An address of the public network leads nowhere else: who runs its server must not see what is behind this machine.
    """
    from s3img.config.load import without_password
    from s3img.doctor.fetch import fetch, is_in_own_network, reason

    shown, next_url = without_password(url), url
    for _ in range(_HOPS):
        try:
            answer = fetch(next_url, limit=limit + 1, follow=False)
        except OSError as error:
            message = f"{shown}: can't be fetched: {reason(error)}."
            raise AssetError(message, path=shown, fix="Check the address, or save the picture first.") from error
        if answer.status == 200:
            return answer.body
        if not is_address(answer.redirect):
            break
        if is_in_own_network(answer.redirect) and not is_in_own_network(url):
            message = f"{shown}: leads to an address of this machine's own network, which is not followed."
            raise AssetError(message, path=shown, fix="Name that address itself, if you trust it.")
        next_url = answer.redirect
    message = f"{shown}: can't be fetched: the answer is {answer.status}."
    raise AssetError(message, path=shown, fix="Open it in a browser: what needs a login has to be saved first.")


def _shown(saved: Uploaded, form: str) -> str:
    name = saved.filename or saved.key.rpartition("/")[2]
    if form == "html" and saved.variants:
        return str(saved.picture(Path(name).stem))
    key, name = one_line(saved.key), one_line(name)  # each picture is one line, whatever its name holds
    link = PictureLink(url=saved.url, key=key, name=name, width=saved.width, height=saved.height)
    return key if form == "key" else link.text(form)
