"""``flask s3img …``: the commands of ``s3img``, with the app's settings, lock and static folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_s3img.settings import read
from s3img.cli import HostedGroup
from s3img.cli.command_options import Host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import click
    from flask import Flask

    from flask_s3img.app_state import AppState
    from s3img.config import Config


def group_for(app: Flask, state: AppState, overrides: Mapping[str, Any]) -> click.Group:
    """Return the group to add to ``app.cli``."""

    def load(options: Mapping[str, Any], path: Path | None) -> Config:
        return read(app, overrides, options=options, path=path).config

    options = state.options
    host = Host(load, options.lock, state.folders, template=options.app.upload_template, policy=options.policy)
    return HostedGroup("s3img", help="Pictures in the app's bucket.", context_settings={"obj": host})
