"""What commands share: options, settings, where the lock is, and how results are shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from s3img.cli.report import print_json
from s3img.config import LOCK_NAME
from s3img.config.load import load
from s3img.errors import ConfigError
from s3img.images import Images
from s3img.keys import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from s3img.config import Config
    from s3img.config.mkdocs_yml import GeneratorFile
    from s3img.sync.outcome import FileFinding, SyncResult

    Loader = Callable[[Mapping[str, Any], Path | None], Config]


class Host(msgspec.Struct, frozen=True):
    """What a host program knows better: how settings are read, where the lock is, which folders hold images.

    ``template`` and ``policy`` are those of its uploads. It is the ``obj`` of a click context above the command's.
    """

    load: Loader
    lock: Path
    dirs: Callable[[], tuple[Path, ...]]
    template: str = ""
    policy: Any = None  # UploadPolicy, which is loaded when it is used


def host() -> Host | None:
    """Return the host of the running command, None on its own."""
    context = click.get_current_context(silent=True)
    return context.find_object(Host) if context else None


def load_config(options: Mapping[str, Any], path: Path | None) -> Config:
    """Read the settings; ``options`` are the command line's, ``path`` names a file. Raise ConfigError."""
    found = host()
    if found is None:
        return load(options=options, path=path)
    given = dict(options)
    if given.pop("profile", None):
        raise ConfigError(["--profile: the program's own settings are in use here, which have no profiles"])
    return found.load(given, path)


Command = TypeVar("Command", bound="Callable[..., Any]")

_CONFIG = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Settings file (default: s3img.toml)."
)

_PROFILE = click.option("--profile", help="Profile of the settings file: the table [profiles.NAME].")

_BUCKET = click.option("--bucket", help="s3://NAME/PREFIX or file:///FOLDER.")

_ENDPOINT = click.option("--endpoint-url", help="Address of an S3-compatible service.")

_PUBLIC_URL = click.option("--public-url", help="Public address of the bucket, with its prefix.")

_WORKERS = click.option("--workers", type=int, help="Requests at a time.")

_DEADLINE = click.option("--deadline", type=float, help="Start no more uploads after this many seconds.")

_VARIANTS = click.option(
    "--variants/--no-variants", default=None, help="Also render the variants of each image; put those that are smaller."
)

EXECUTOR = click.option(
    "--executor", help="Where to render: threads (default), processes, dask, dask=tcp://HOST:8786 or MODULE:FUNCTION."
)

_LOCK = click.option(
    "--lock", "lock_file", type=click.Path(path_type=Path), help="The lock (default: beside the settings file)."
)

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _or_hosts(ctx: click.Context, param: click.Parameter, value: tuple[Path, ...]) -> tuple[Path, ...]:  # noqa: ARG001 - click's form
    """Return the folders that were named, or those of the program that the command runs in."""
    found = host()
    return value or (found.dirs() if found else ())


dirs = click.argument("dirs", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path), callback=_or_hosts)


def remote(command: Command) -> Command:
    """Add the options of a command that may talk to the bucket."""
    return reduce(
        lambda made, option: option(made), (_JSON, _DEADLINE, _WORKERS, _ENDPOINT, _BUCKET, _PROFILE, _CONFIG), command
    )


def address(command: Command) -> Command:
    """Add the options of a command that only says where things are."""
    return reduce(lambda made, option: option(made), (_PUBLIC_URL, _ENDPOINT, _BUCKET, _PROFILE, _CONFIG), command)


def rendering(command: Command) -> Command:
    """Add the options of a command that may render variants."""
    return _VARIANTS(EXECUTOR(command))


def local(command: Command) -> Command:
    """Add the options of a command that does not."""
    return reduce(lambda made, option: option(made), (_JSON, _CONFIG), command)


def with_lock(command: Command) -> Command:
    """Add the option that names the lock."""
    return _LOCK(command)


def open_images(config_file: Path | None, options: dict[str, Any] | None = None) -> Images:
    """Read the settings from every place."""
    return Images(load_config(options or {}, config_file))


def generator_file(config_file: Path | None) -> GeneratorFile | None:
    """Return the settings of mkdocs.yml or zensical.toml in this folder, for commands that work on a built site.

    None where the command line names a settings file, or the command runs in another program.
    """
    from s3img.config.mkdocs_yml import read_generator_file  # of sites only

    return None if config_file or host() else read_generator_file(Path())


def lock_path(lock_file: Path | None, config_file: Path | None) -> Path:
    """Return where the lock is: as named, as the host says, beside the settings file, or in this folder."""
    if found := host():
        return lock_file or found.lock
    named = os.environ.get("S3IMG_CONFIG")
    settings = config_file or (Path(named) if named else None)
    return lock_file or (settings.parent if settings else Path()) / LOCK_NAME


def print_findings(findings: Iterable[FileFinding]) -> None:
    """Print findings to stderr, a line each."""
    for finding in findings:
        click.echo(one_line(f"{finding.severity}: {finding}"), err=True)


def print_result(result: SyncResult, *, as_json: bool) -> int:
    """Show what a sync did; return its exit code."""
    if as_json:
        print_json(result)
    else:
        print_findings(result.problems + result.notes)
        click.echo(str(result))
    return result.exit_code


_UNITS = {"m": "minutes", "h": "hours", "d": "days", "": "days"}


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:  # noqa: ARG001 - click's form
    """Read a whole number of days, hours or minutes, as the callback of an option."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,5})([mhd]?)", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a duration: write 7d, 12h or 30m.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
