"""``s3img url IMAGE [TRANSFORM]`` and ``s3img sign ADDRESS``: addresses to paste."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

import click

from s3img.cli.command_options import ADDRESS, duration, with_images, with_lock
from s3img.errors import AssetError, ConfigError, LockError
from s3img.keys import one_line
from s3img.pictures.link_forms import markdown_image
from s3img.sync.tree import relative

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from s3img.images import Images
    from s3img.pictures.catalog import Catalog


@click.command("url")
@click.argument("image")
@click.argument("transform", default="")
@with_images(*ADDRESS)
@with_lock
@click.option(
    "--format",
    "form",
    type=click.Choice(["url", "markdown", "html"]),
    default="url",
    show_default=True,
    help="html is a whole <picture>.",
)
@click.option("--alt", default="", help="Text that stands for the picture in markdown and html.")
@click.option("--expires", callback=duration, help="End a signed address of the service after 7d, 12h or 30m.")
def url_command(
    image: str,
    transform: str,
    *,
    form: str,
    alt: str,
    expires: timedelta | None,
    images: Images,
    lock: Path,
) -> int:
    """Print the public address of IMAGE, or of what TRANSFORM (w-300,h-200) makes of it.

    IMAGE is a file, or a path as s3img.lock has it; the file need not be on disk, and nothing is asked of the bucket.
    """
    if not lock.exists():
        message = f"{lock.name}: does not exist."
        raise LockError(message, path=str(lock), fix=f"Write it with s3img sync. {_unlocked(image, transform)}")
    catalog = images.catalog(lock)
    name = _name(image, lock, catalog)
    try:
        catalog.entry(name)
    except AssetError as error:
        raise AssetError(error.message, path=error.path, fix=f"{error.fix} {_unlocked(image, transform)}") from error
    if form == "html":
        if expires is not None:
            raise click.UsageError("--expires goes with --format url and markdown: a <picture> has many addresses.")
        click.echo(catalog.picture(name, alt=alt, transform=transform))
        return 0
    url = catalog.url(name, transform) if expires is None else _expiring(catalog, name, transform, expires)
    click.echo(markdown_image(url, alt) if form == "markdown" else one_line(url))
    return 0


@click.command("sign")
@click.argument("address")
@with_images(*ADDRESS)
@click.option("--expires", callback=duration, help="End the address after 7d, 12h or 30m.")
def sign_command(address: str, *, expires: timedelta | None, images: Images) -> int:
    """Print ADDRESS of the service, such as /tr:w-300/cat.jpg, with its signature.

    It begins after the endpoint. Where service_url is set, the whole address is printed. Nothing is asked of the
    bucket, and the picture need not be in s3img.lock.
    """
    until = None if expires is None else int(time.time() + expires.total_seconds())
    click.echo(one_line(images.sign(address, expires=until)))
    return 0


def _unlocked(image: str, transform: str) -> str:
    """Return what makes an address of a picture that is in the bucket and in no lock, such as an upload."""
    address = f"/tr:{transform or 'w-300'}/{image.lstrip('/')}"
    return f"For a picture that is only in the bucket: s3img sign {shlex.quote(address)} (an address of the service)."


def _expiring(catalog: Catalog, name: str, transform: str, after: timedelta) -> str:
    """Return an address that ends; raise ConfigError for one that can't."""
    url = catalog.url(name, transform, expires=int(time.time() + after.total_seconds()))
    if url == catalog.url(name, transform):
        raise ConfigError(["--expires: only signed addresses of the service end: set service_url and signing_keys"])
    return url


def _name(image: str, lock: Path, catalog: Catalog) -> str:
    """Return what the lock calls an image: paths are seen from this folder, or from the lock's."""
    below = relative(image, lock.parent)
    return below if below in catalog.lock else image
