"""What commands share: options, settings, where the lock is, and how results are shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import reduce, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
import msgspec

from s3img.config import LOCK_NAME
from s3img.config.load import load
from s3img.errors import ConfigError
from s3img.images import Images
from s3img.keys import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from s3img.config import Config
    from s3img.config.mkdocs_yml import GeneratorFile
    from s3img.sync.outcome import FileFinding
    from s3img.uploads import Uploader

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

_SETTINGS = {
    "profile": click.option("--profile", help="Profile of the settings file: the table [profiles.NAME]."),
    "bucket": click.option("--bucket", help="s3://NAME/PREFIX or file:///FOLDER."),
    "endpoint_url": click.option("--endpoint-url", help="Address of an S3-compatible service."),
    "public_url": click.option("--public-url", help="Public address of the bucket, with its prefix."),
    "workers": click.option("--workers", type=int, help="Requests at a time."),
    "deadline": click.option("--deadline", type=float, help="Start no more uploads after this many seconds."),
    "variants": click.option(
        "--variants/--no-variants",
        default=None,
        help="Also render the variants of each image; put those that are smaller.",
    ),
    "executor": click.option(
        "--executor",
        help="Where to render: threads (default), processes, dask, dask=tcp://HOST:8786 or MODULE:FUNCTION.",
    ),
    "missing": click.option(
        "--missing", type=click.Choice(["error", "warn", "keep"]), help="What to do about a missing image."
    ),
}
"""The options that are settings, by the names of these."""

PLACE = ("profile", "bucket", "endpoint_url")
REMOTE = (*PLACE, "workers", "deadline")
RENDERING = (*REMOTE, "variants", "executor")
ADDRESS = (*PLACE, "public_url")

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")

with_lock = click.option(
    "--lock", "lock_file", type=click.Path(path_type=Path), help="The lock (default: beside the settings file)."
)


def _or_hosts(ctx: click.Context, param: click.Parameter, value: tuple[Path, ...]) -> tuple[Path, ...]:  # noqa: ARG001 - click's form
    """Return the folders that were named, or those of the program that the command runs in."""
    found = host()
    return value or (found.dirs() if found else ())


dirs = click.argument("dirs", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path), callback=_or_hosts)


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Add ``--config`` and the options of these settings; the command gets ``config_file``, and them as ``options``."""

    def add(command: Command) -> Command:
        @wraps(command)
        def run(**given: Any) -> Any:  # noqa: ANN401 - click passes what its options say
            return command(options={name: given.pop(name) for name in names}, **given)

        made = _CONFIG(reduce(lambda made, name: _SETTINGS[name](made), reversed(names), run))
        return cast("Command", made)

    return add


def with_images(*names: str) -> Callable[[Command], Command]:
    """Add ``--config`` and the options of these settings; the command gets ``images`` under them.

    One that has ``--lock`` gets ``lock`` as well, where it is.
    """

    def add(command: Command) -> Command:
        @wraps(command)
        def run(*, options: dict[str, Any], config_file: Path | None, **given: Any) -> Any:  # noqa: ANN401 - click's form
            given["images"] = Images(load_config(options, config_file))
            if "lock_file" in given:
                given["lock"] = lock_path(given.pop("lock_file"), config_file)
            return command(**given)

        return with_settings(*names)(cast("Command", run))

    return add


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


def uploader_of(images: Images, template: str | None, **policy: Any) -> Uploader:  # noqa: ANN401 - fields of UploadPolicy
    """Return what saves uploads under a template and the fields of the policy that are given (None: not).

    The rest is that of the host program, or follows from the limits of the settings.
    """
    from s3img.uploads import Uploader, UploadPolicy  # most commands upload nothing of that kind
    from s3img.uploads.template import AUTHORS_TEMPLATE

    limits, found = images.config.limits, host()
    usual = found.policy if found else UploadPolicy(max_bytes=limits.input_bytes, max_pixels=limits.input_pixels)
    template = images.config.upload_templates.get(template or "", template)
    return Uploader(
        images.open_bucket(),
        images.config,
        template=template or (found.template if found else "") or AUTHORS_TEMPLATE,
        policy=replace(usual, **{name: value for name, value in policy.items() if value is not None}),
    )


_UNITS = {"m": "minutes", "h": "hours", "d": "days", "": "days"}


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:  # noqa: ARG001 - click's form
    """Read a whole number of days, hours or minutes, as the callback of an option."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,5})([mhd]?)", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a duration: write 7d, 12h or 30m.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
