"""``s3img serve``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from s3img.cli.command_options import PLACE, load_config, lock_path, with_lock, with_settings

if TYPE_CHECKING:
    from pathlib import Path


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8333, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.")
@click.option("--access", type=click.Choice(["signed", "named", "sizes", "open"]), help="What needs no signature.")
@click.option("--insecure", is_flag=True, help="Let access = open serve anybody anything; for development only.")
@with_settings(*PLACE)
@with_lock
def serve_command(
    *,
    host: str,
    port: int,
    access: str | None,
    insecure: bool,
    config_file: Path | None,
    lock_file: Path | None,
    options: dict[str, Any],
) -> None:
    """Run the transform service for development; production: gunicorn --threads 100 's3img.service:create_app()'."""
    from s3img.lock import read_lock
    from s3img.service import TransformService
    from s3img.service.factory import INSECURE, is_on, log_to_stderr, refuse_open, serve
    from s3img.service.start_page import StartPage

    config = load_config({**options, "access": access}, config_file)
    refuse_open(config, insecure=insecure or is_on(os.environ.get(INSECURE, "")))
    log_to_stderr()
    lock = read_lock(lock_path(lock_file, config_file), missing_ok=True)
    service = TransformService(config, lock=lock)
    service.start()
    try:
        serve(
            StartPage(service, config, os.environ),
            host=host,
            port=port,
            started=lambda address: click.echo(
                f"Serving on {address} (Ctrl-C stops); open it to see addresses. For production: "
                "gunicorn --threads 100 's3img.service:create_app()'.",
                err=True,
            ),
        )
    finally:
        service.close()
