"""``s3img picgo``: uploads from editors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from s3img.cli import command_options
from s3img.cli.command_options import host as find_host
from s3img.cli.command_options import load_config
from s3img.images import Images

if TYPE_CHECKING:
    from pathlib import Path


@click.command("picgo")
@click.option("--port", default=36677, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.")
@click.option("--token", envvar="S3IMG_PICGO_TOKEN", default="", help="Secret that every request has to carry.")
@click.option("--template", help="Key template, or a name of upload_templates (default: i/{{hash:32}}.{{ext}}).")
@click.option("--max-side", type=int, help="Scale larger pictures down to this many px.")
@command_options.address
def picgo_command(
    *,
    port: int,
    token: str,
    template: str | None,
    max_side: int | None,
    config_file: Path | None,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> None:
    """Take uploads of editors (Typora, Obsidian, VS Code, …) on 127.0.0.1, as PicGo and PicList do."""
    from s3img.gallery.loopback import serve_on_loopback
    from s3img.gallery.picgo_protocol import PicGoServer
    from s3img.imaging.clipboard import clipboard_picture
    from s3img.uploads import Uploader, UploadPolicy
    from s3img.uploads.template import AUTHORS_TEMPLATE

    images = Images(load_config(options, config_file))
    limits, found = images.config.limits, find_host()
    policy = found.policy if found else UploadPolicy(max_bytes=limits.input_bytes, max_pixels=limits.input_pixels)
    if max_side is not None:
        policy = replace(policy, max_side=max_side)
    template = images.config.upload_templates.get(template or "", template)
    template = template or (found.template if found else "") or AUTHORS_TEMPLATE
    uploader = Uploader(images.open_bucket(), images.config, template=template, policy=policy)
    server = PicGoServer(
        uploader, token=token, log=lambda line: click.echo(line, err=True), clipboard=clipboard_picture
    )
    serve_on_loopback(
        server,
        host="127.0.0.1",
        port=port,
        started=lambda address: click.echo(f"Taking uploads on {address}/upload (Ctrl-C stops).", err=True),
    )
