"""``s3img config show`` and ``s3img config import FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s3img.cli import folder_options
from s3img.cli.host import host
from s3img.config import Config
from s3img.errors import ConfigError
from s3img.settings import CREDENTIAL_VARIABLES, FILE_NAME, Source, explain

if TYPE_CHECKING:
    from s3img.doctor.foreign import Imported
    from s3img.settings import Setting


@click.group("config")
def command() -> None:
    """Show the settings in force, or import those of another program."""


@command.command("show")
@folder_options.remote
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
def show(
    *,
    config_file: Path | None,
    origin: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> None:
    """Print every setting with its value; secrets are hidden."""
    found = _explained(options, config_file)
    if as_json:
        settings = [dict(zip(("name", "value", "origin", "place"), setting, strict=True)) for setting in found]
        click.echo(json.dumps({"schema": "s3img.config/1", "settings": settings}, indent=2))
        return
    for setting in found:
        value = json.dumps(setting.value, ensure_ascii=False)
        click.echo(f"{setting.name:20} {value:40} {_origin(setting)}" if origin else f"{setting.name} = {value}")


def _explained(options: dict[str, Any], path: Path | None) -> list[Setting]:
    """Explain the settings of this folder, or those of the program that the command runs in."""
    found = host()
    if found is None:
        return explain(options=options, path=path)
    config = found.load(options, path)
    defaults = Config()
    values = {name: getattr(config, name) for name in Config.__struct_fields__}
    own = {name: value for name, value in values.items() if value != getattr(defaults, name)}
    return explain(options=options, host=Source(own, "the app's {}".format), path=path, folder=found.lock.parent)


def _origin(setting: Setting) -> str:
    return f"{setting.origin}: {setting.place}" if setting.place else setting.origin


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--name", default="", help="Which profile or origin, where the file holds several.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=FILE_NAME,
    help="File to write.",
    show_default=True,
)
@click.option("--print", "only_print", is_flag=True, help="Print the file instead of writing it.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def import_settings(file: Path, *, name: str, config_file: Path, only_print: bool, force: bool, as_json: bool) -> None:
    """Read a profile of S3 Image Port or an origin of ImageKit (JSON; - is stdin) and write s3img.toml.

    Credentials in FILE are not written anywhere.
    """
    from s3img.doctor import foreign, settings_file

    found = foreign.read(_read(file), name=name)
    notes = [*found.notes, *_problems(found)]
    text = settings_file.document(found.values, [f"Imported from {found.program}: {found.name}.", *notes])
    if not only_print:
        settings_file.write(config_file, text, force=force)
    if as_json:
        facts = {"file": "" if only_print else str(config_file), "name": found.name, "program": found.program}
        kept = {key: value for key, value in found.values.items() if value}
        variables = list(CREDENTIAL_VARIABLES[:2]) if found.secrets else []
        click.echo(
            json.dumps(
                {"schema": "s3img.import/1", **facts, "settings": kept, "notes": notes, "set": variables}, indent=2
            )
        )
        return
    click.echo(text if only_print else f"Wrote {config_file}.", nl=not only_print)
    _tell(found, notes)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError([f"{file}: can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: is not UTF-8"]) from error


def _problems(found: Imported) -> list[str]:
    """List what is still to be corrected by hand."""
    try:
        Config(**found.values)
    except ConfigError as error:
        return [f"still to do: {problem}." for problem in error.problems]
    return []


def _tell(found: Imported, notes: list[str]) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if found.secrets:
        first, second = CREDENTIAL_VARIABLES[:2]
        fields = " and ".join(found.secrets)
        click.echo(f"Credentials were not taken over: set {first} and {second} to {fields} of the file.", err=True)
    click.echo("Then run `s3img doctor`.", err=True)
