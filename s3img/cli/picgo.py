"""``s3img picgo``: uploads from editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from s3img.cli.command_options import ADDRESS, uploader_of, with_images

if TYPE_CHECKING:
    from s3img.images import Images


@click.command("picgo")
@click.option("--port", default=36677, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.")
@click.option("--token", envvar="S3IMG_PICGO_TOKEN", default="", help="Secret that every request has to carry.")
@click.option("--template", help="Key template, or a name of upload_templates (default: i/{{hash:32}}.{{ext}}).")
@click.option("--max-side", type=int, help="Scale larger pictures down to this many px.")
@with_images(*ADDRESS)
def picgo_command(
    *,
    port: int,
    token: str,
    template: str | None,
    max_side: int | None,
    images: Images,
) -> None:
    """Take uploads of editors (Typora, Obsidian, VS Code, …) on 127.0.0.1, as PicGo and PicList do."""
    from s3img.gallery.loopback import serve_on_loopback
    from s3img.gallery.picgo_protocol import PicGoServer
    from s3img.imaging.clipboard import clipboard_picture

    server = PicGoServer(
        uploader_of(images, template, max_side=max_side),
        token=token,
        log=lambda line: click.echo(line, err=True),
        clipboard=clipboard_picture,
    )
    serve_on_loopback(
        server,
        host="127.0.0.1",
        port=port,
        started=lambda address: click.echo(f"Taking uploads on {address}/upload (Ctrl-C stops).", err=True),
    )
