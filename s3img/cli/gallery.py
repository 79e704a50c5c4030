"""``s3img gallery``: the bucket as pages, for the person at this machine."""

from __future__ import annotations

import os
import webbrowser
from typing import TYPE_CHECKING, Any

import click

from s3img.cli.command_options import ADDRESS, host, load_config, lock_path, with_settings
from s3img.config.load import profile_names

if TYPE_CHECKING:
    from pathlib import Path


@click.command("gallery")
@click.option("--port", default=8334, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.")
@click.option("--open/--no-open", "is_opened", default=True, help="Open it in the browser.")
@with_settings(*ADDRESS)
def gallery_command(
    *,
    port: int,
    is_opened: bool,
    config_file: Path | None,
    options: dict[str, Any],
) -> None:
    """Look through the bucket, upload, rename, remove and restore, in the browser of this machine and nowhere else."""
    from s3img.gallery import BucketSwitch, Gallery
    from s3img.gallery.loopback import serve_on_loopback
    from s3img.gallery.loopback_session import LoopbackSession

    session = LoopbackSession()
    lock = lock_path(None, config_file)
    configs = {"": load_config(options, config_file)}
    if host() is None and not options.get("profile") and not os.environ.get("S3IMG_PROFILE"):
        names = profile_names(path=config_file)
        configs |= {name: load_config({**options, "profile": name}, config_file) for name in names}
        if names and not configs[""].bucket:  # the file has nothing but profiles
            del configs[""]
    config = next(iter(configs.values()))
    base = config.bucket.rstrip("/").rpartition("/")[2]
    galleries = {
        name or (base if base and base not in configs else "default"): Gallery(
            one, authorize=session.authorize, lock=lock
        )
        for name, one in configs.items()
    }
    gallery = BucketSwitch(galleries) if len(galleries) > 1 else next(iter(galleries.values()))

    def started(address: str) -> None:
        link = f"{address}/?token={session.token}"
        click.echo(f"The gallery of {config.bucket} (Ctrl-C stops). This link works once:\n{link}", err=True)
        if is_opened:
            webbrowser.open(link)

    try:
        serve_on_loopback(session.wrap(gallery), host="127.0.0.1", port=port, started=started)
    finally:
        gallery.close()
