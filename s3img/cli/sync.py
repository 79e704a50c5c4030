"""``s3img sync [DIR…]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from s3img.cli import command_options
from s3img.cli.command_options import REMOTE, RENDERING, as_json, load_config, with_images, with_lock, with_settings
from s3img.cli.report import RunProgress, print_json
from s3img.config.load import load
from s3img.errors import DECODE_ERRORS, AssetError, FileUnreadable
from s3img.images import Images
from s3img.keys import one_line
from s3img.publish.result import count
from s3img.sync.outcome import SyncPlan, SyncResult

_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what there is to do.")
_VERIFY = click.option("--verify", is_flag=True, help="List the bucket, and put again what was removed from it.")


@click.command("sync")
@command_options.dirs
@with_images(*RENDERING)
@as_json
@with_lock
@_VERIFY
@click.option("--prune", is_flag=True, help="Drop lines of images that are not on disk.")
@_DRY_RUN
def sync_command(dirs: tuple[Path, ...], *, images: Images, as_json: bool, **options: Any) -> int:  # noqa: ANN401 - click's form
    """Put the images of folders into the bucket as they are, and write s3img.lock."""
    return _synced(images, dirs, as_json=as_json, **options)


@click.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@with_images(*RENDERING)
@as_json
@with_lock
@_DRY_RUN
def add_command(files: tuple[Path, ...], *, images: Images, as_json: bool, **options: Any) -> int:  # noqa: ANN401 - click's form
    """Put single image FILES into the bucket and their lines into s3img.lock."""
    return _synced(images, files, as_json=as_json, **options)


@click.command("push")
@command_options.dirs
@with_images(*RENDERING)
@as_json
@with_lock
@_VERIFY
@_DRY_RUN
def push_command(dirs: tuple[Path, ...], *, images: Images, lock: Path, as_json: bool, **options: Any) -> int:  # noqa: ANN401 - click's form
    """Put the images that s3img.lock names, as they are now, and no others."""
    from s3img.lock import read_lock  # the other commands may have nothing to do, and then need none

    read_lock(lock)  # without one there is nothing to put, which nobody asks for
    return _synced(images, dirs, lock=lock, listed_only=True, as_json=as_json, **options)


def _synced(images: Images, places: tuple[Path, ...], *, as_json: bool, **options: Any) -> int:  # noqa: ANN401 - those of `Images.sync`
    with RunProgress() as progress:
        result = images.sync(*places, progress=progress, **options)
    return _shown(result, as_json=as_json)


def _shown(result: SyncResult, *, as_json: bool) -> int:
    if as_json:
        print_json(result)
    else:
        command_options.print_findings(result.problems + result.notes)
        click.echo(str(result))
    return result.exit_code


@click.command("pull")
@command_options.dirs
@with_images(*REMOTE)
@as_json
@with_lock
@click.option("--overwrite", is_flag=True, help="Replace images that differ from the lock.")
def pull_command(dirs: tuple[Path, ...], *, images: Images, lock: Path, overwrite: bool, as_json: bool) -> int:
    """Restore the images of s3img.lock that are not on disk from the bucket."""
    result = images.pull(*dirs, lock=lock, overwrite=overwrite)
    if as_json:
        print_json(result)
    else:
        command_options.print_findings(result.findings)
        click.echo(str(result))
    return result.exit_code


@click.command("plan")
@command_options.dirs
@with_images(*RENDERING)
@as_json
@with_lock
@click.option("--verify", is_flag=True, help="List the bucket, whatever is known of it.")
@click.option("--prune", is_flag=True, help="Plan to drop lines of images that are not on disk.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when there is something to do.")
def plan_command(
    dirs: tuple[Path, ...],
    *,
    images: Images,
    lock: Path,
    verify: bool,
    prune: bool,
    exit_code: bool,
    as_json: bool,  # noqa: ARG001 - a plan is JSON in any case
) -> int:
    """Print what sync would do, as JSON that s3img apply takes."""
    plan = images.plan(*dirs, lock=lock, verify=verify, prune=prune)
    print_json(plan)
    command_options.print_findings(plan.problems)
    return int(bool(plan.problems) or (exit_code and not plan.is_empty))


@click.command("apply")
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path, allow_dash=True))
@with_images(*RENDERING)
@as_json
@with_lock
def apply_command(plan_file: Path, *, images: Images, lock: Path, as_json: bool) -> int:
    """Do what the file PLAN (- for stdin) says, if the images are still those that it was made for."""
    plan = _read(plan_file)
    with RunProgress() as progress:
        result = images.apply(plan, lock=lock, progress=progress)
    return _shown(result, as_json=as_json)


def _read(path: Path) -> SyncPlan:
    try:
        with click.open_file(str(path), "rb") as file:
            return msgspec.json.decode(file.read(), type=SyncPlan)
    except OSError as error:
        raise FileUnreadable(str(path), error) from error
    except DECODE_ERRORS as error:
        fix = "Make a new one with s3img plan."
        raise AssetError(f"{path}: is not a plan: {error}.", path=str(path), fix=fix) from error


@click.command("check")
@command_options.dirs
@with_settings()
@as_json
@with_lock
@click.option("--pages", metavar="SITE", type=click.Path(path_type=Path), help="Check this built site as well.")
@click.option("--allow-missing", is_flag=True, help="Pass images that are in the lock and not on disk.")
def check_command(
    dirs: tuple[Path, ...],
    *,
    config_file: Path | None,
    lock_file: Path | None,
    pages: Path | None,
    allow_missing: bool,
    as_json: bool,
    options: dict[str, Any],
) -> int:
    """Compare s3img.lock with the images on disk and with a built site; the bucket is not asked.

    Without a lock, --pages SITE checks the pages alone: each image that they refer to is in the site, or was published
    with it.
    """
    generator = command_options.generator_file(config_file) if pages else None
    if generator:  # its site_url says which addresses of the pages mean the site itself
        config_file = generator.config_file
        images = Images(load(path=config_file, host=generator.source))
    else:
        images = Images(load_config(options, config_file))
    lock: Path | None = command_options.lock_path(lock_file, config_file)
    if pages and not dirs and not lock_file and lock and not lock.exists():
        lock = None
    result = images.check(*dirs, lock=lock, allow_missing=allow_missing, pages=pages)
    if as_json:
        print_json(result)
    else:
        for finding in result.findings:
            click.echo(one_line(str(finding)))
        checked, findings = count(result.images, "image"), count(len(result.findings), "finding")
        against = f"against {result.lock}" if lock else f"in {pages}, without a lock"
        click.echo(f"{checked} checked {against}, {findings}.", err=True)
    return result.exit_code
