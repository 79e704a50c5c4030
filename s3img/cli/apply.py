"""``s3img apply PLAN``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from s3img.cli import folder_options
from s3img.cli.report import RunProgress
from s3img.errors import AssetError
from s3img.folder_sync.result import FolderPlan


@click.command("apply")
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path, allow_dash=True))
@folder_options.remote
@folder_options.rendering
@folder_options.with_lock
def command(
    plan_file: Path,
    *,
    config_file: Path | None,
    lock_file: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Do what the file PLAN (- for stdin) says, if the images are still those that it was made for."""
    images = folder_options.open_images(config_file, options)
    plan = _read(plan_file)
    lock = folder_options.lock_path(lock_file, config_file)
    with RunProgress() as progress:
        result = images.apply(plan, lock=lock, progress=progress)
    return folder_options.print_result(result, as_json=as_json)


def _read(path: Path) -> FolderPlan:
    try:
        with click.open_file(str(path), "rb") as file:
            return msgspec.json.decode(file.read(), type=FolderPlan)
    except OSError as error:
        raise AssetError(f"{path}: can't be read: {error.strerror}.", path=str(path)) from error
    except msgspec.MsgspecError as error:
        fix = "Make a new one with s3img plan."
        raise AssetError(f"{path}: is no plan: {error}.", path=str(path), fix=fix) from error
