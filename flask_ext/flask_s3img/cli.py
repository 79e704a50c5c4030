"""``flask s3img …``: the commands of ``s3img``, with the app's settings, lock and static folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask.cli import AppGroup

from flask_s3img.settings import read
from s3img import cli
from s3img.cli.command_options import Host
from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import click
    from flask import Flask

    from flask_s3img.app_state import AppState
    from s3img.config import Config

_OWN_PROGRAM = frozenset({"demo", "gallery", "init", "markdown", "picgo", "publish", "serve"})
"""Commands that have nothing to do with an app."""


class _Group(AppGroup, cli.SuggestingGroup):
    """Give the commands of ``s3img``, loaded when they are used, their exit codes and their errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in cli.group.list_commands(ctx) if name not in _OWN_PROGRAM]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return cli.group.get_command(ctx, cmd_name) if cmd_name not in _OWN_PROGRAM else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it returns is the exit code."""
        try:
            code = super().invoke(ctx)
        except S3ImgError as error:
            code = cli.explain(error)
        ctx.exit(code or 0)


def group_for(app: Flask, state: AppState, overrides: Mapping[str, Any]) -> click.Group:
    """Return the group to add to ``app.cli``."""

    def load(options: Mapping[str, Any], path: Path | None) -> Config:
        return read(app, overrides, options=options, path=path).config

    options = state.options
    host = Host(load, options.lock, state.folders, template=options.app.upload_template, policy=options.policy)
    return _Group("s3img", help="Pictures in the app's bucket.", context_settings={"obj": host})
