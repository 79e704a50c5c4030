"""``s3img config show``, ``s3img config import FILE`` and ``s3img init``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from s3img.cli import SuggestingGroup
from s3img.cli.command_options import REMOTE, as_json, host, with_settings
from s3img.cli.doctor import Shown
from s3img.config import Config
from s3img.config.address import S3Address
from s3img.config.load import CREDENTIAL_VARIABLES, FILE_NAME, SettingsSource, explain
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from s3img.config.load import Setting
    from s3img.doctor import Report
    from s3img.doctor.foreign_settings import Imported


@click.group("config", cls=SuggestingGroup)
def config_command() -> None:
    """Show the settings in force, or import those of another program."""


@config_command.command("show")
@with_settings(*REMOTE)
@as_json
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
def show(*, config_file: Path | None, origin: bool, as_json: bool, options: dict[str, Any]) -> None:
    """Print every setting with its value; secrets are hidden."""
    found = _explained(options, config_file)
    if as_json:
        settings = [dict(zip(("name", "value", "origin", "place"), setting, strict=True)) for setting in found]
        click.echo(json.dumps({"schema": "s3img.config.model/1", "settings": settings}, indent=2))
        return
    for setting in found:
        value = json.dumps(setting.value, ensure_ascii=False)
        where = f"{setting.origin}: {setting.place}" if setting.place else setting.origin
        click.echo(f"{setting.name:20} {value:40} {where}" if origin else f"{setting.name} = {value}")


def _explained(options: dict[str, Any], path: Path | None) -> list[Setting]:
    """Explain the settings of this folder, or those of the program that the command runs in."""
    found = host()
    if found is None:
        return explain(options=options, path=path)
    config = found.load(options, path)
    defaults = Config()
    values = {name: getattr(config, name) for name in Config.__struct_fields__}
    own = {name: value for name, value in values.items() if value != getattr(defaults, name)}
    return explain(
        options=options, host=SettingsSource(own, "the app's {}".format), path=path, folder=found.lock.parent
    )


_FILE = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=FILE_NAME,
    show_default=True,
    help="File to write.",
)
_FORCE = click.option("--force", is_flag=True, help="Replace a file that is there.")


@config_command.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--name", default="", help="Which profile or origin, where the file holds several.")
@_FILE
@click.option("--print", "only_print", is_flag=True, help="Print the file instead of writing it.")
@_FORCE
@as_json
def import_settings(file: Path, *, name: str, config_file: Path, only_print: bool, force: bool, as_json: bool) -> None:
    """Read the settings of another program and write s3img.toml.

    FILE (- is stdin) is a profile of S3 Image Port, an origin of ImageKit, the data.json of PicGo or PicList, or the
    configuration of Sveltia CMS. Credentials in it are not written anywhere.
    """
    from s3img.doctor import foreign_settings, settings_file

    found = foreign_settings.read(_read(file), name=name)
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


_OWN = ("provider", "bucket", "account", "region", "endpoint_url", "public_url", "aws_profile", "upload_origins")


@click.command("init")
@click.option("--provider", help="Service that holds the bucket: aws, r2, b2, minio … (docs/providers.md).")
@click.option("--bucket", help="NAME, s3://NAME/PREFIX or file:///FOLDER; without it everything is asked for.")
@click.option("--account", help="Your account, if it is part of the service's address (R2).")
@click.option("--region", help="Region of the bucket.")
@click.option("--endpoint-url", help="Address of the service, if --provider does not know it.")
@click.option("--public-url", help="Public address of the bucket, with its prefix.")
@click.option("--aws-profile", help="Profile of the AWS configuration files.")
@click.option(
    "--upload-origin",
    "upload_origins",
    multiple=True,
    help="Origin (https://app.example.com) whose pages upload; repeatable.",
)
@_FILE
@click.option("--policy", is_flag=True, help="Only print the policies; test and write nothing.")
@click.option("--no-test", is_flag=True, help="Write the file without testing the settings.")
@_FORCE
@as_json
def init_command(
    *,
    config_file: Path,
    policy: bool,
    no_test: bool,
    force: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Ask for a bucket, test it with doctor, and write s3img.toml."""
    from s3img.doctor import settings_file

    is_asking = not given["bucket"]
    if is_asking and as_json:
        raise click.UsageError("--json asks nothing: give --bucket.")
    if config_file.exists() and not (force or policy):
        if not (is_asking and click.confirm(f"{config_file} exists. Replace it?", err=True)):
            raise settings_file.exists(config_file)
        force = True
    values = _asked(given) if is_asking else _named(given)
    config = Config(**values)
    if policy:
        _print_policies(config, as_json=as_json)
        return 0
    report = None if no_test else _tested(config, is_quiet=as_json)
    has_failed = report is not None and report.exit_code > 1
    question = f"Something fails. Write {config_file} all the same?"
    is_written = not has_failed or (is_asking and click.confirm(question, err=True))
    if is_written:
        settings_file.write(config_file, settings_file.document(values), force=force)
    if as_json:
        _print_policies(config, as_json=True, file=str(config_file) if is_written else "", report=report)
    elif is_written:
        click.echo(f"Wrote {config_file}.", err=True)
    if isinstance(config.address, S3Address):  # not the documents themselves, which would hide what has failed
        again = "" if is_asking else " --bucket …"
        click.echo(f"`s3img init{again} --policy` prints what the key and visitors have to be allowed.", err=True)
    if not is_written:
        click.echo(f"{config_file} was not written: fix what failed above, or give --no-test.", err=True)
    return report.exit_code if report else 0


def _tested(config: Config, *, is_quiet: bool) -> Report:
    from s3img.doctor import examine

    shown = Shown(sys.stderr)
    report = examine(config, on_finding=None if is_quiet else shown)
    if not is_quiet:
        shown.sum_up(report)
    return report


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options as they are; a bare name is a bucket."""
    values = {name: given[name] for name in _OWN if given.get(name)}
    if "://" not in values["bucket"] and not values["bucket"].startswith("file:"):
        values["bucket"] = f"s3://{values['bucket']}"
    return values


def _asked(given: dict[str, Any]) -> dict[str, Any]:
    """Ask for what is not given, in the order in which one answer leads to the next question."""
    from s3img.config import providers

    def ask(question: str, default: str = "") -> str:
        return str(click.prompt(question, default=default, show_default=bool(default), err=True)).strip()

    names = [provider.name for provider in providers.PROVIDERS]
    click.echo(f"Services: {', '.join(names)}; empty for another one, or for a folder.", err=True)
    name = given["provider"] or ask("Service")
    service = providers.named(name) if name else providers.OTHER
    values = {**given, "provider": name, "bucket": ask("Bucket (NAME, s3://NAME/PREFIX or file:///FOLDER)")}
    if not values["bucket"]:
        raise ConfigError(["bucket: is needed: without one there is nothing to set up"])
    is_folder = values["bucket"].startswith("file:")
    if not is_folder and not given["endpoint_url"] and (service.is_self_hosted or not name):
        values["endpoint_url"] = ask("Address of the service (https://…)")
    for parameter in ("account", "region"):
        if (
            not is_folder
            and not given[parameter]
            and (parameter in service.needs or (parameter, name) == ("region", "aws"))
        ):
            values[parameter] = ask(parameter.capitalize(), service.region if parameter == "region" else "")
    values["public_url"] = given["public_url"] or ask("Public address of the bucket, with its prefix", _usual(values))
    return _named(values)


def _usual(values: dict[str, Any]) -> str:
    try:
        return Config(**_named(values)).base_url
    except ConfigError:
        return ""


def _print_policies(config: Config, *, as_json: bool, file: str = "", report: Report | None = None) -> None:
    """Print the documents to copy into the console of the service."""
    from s3img.doctor.cors_rules import rule_for
    from s3img.doctor.settings_file import access_policy, public_policy

    documents: dict[str, Any] = {}
    if isinstance(config.address, S3Address):
        origins = config.upload_origins
        documents["policy"] = access_policy(config.address, cors=bool(origins))
        if "policy" in config.store.public_by:
            documents["public_policy"] = public_policy(config.address)
        documents["cors"] = {"CORSRules": [rule_for(origins or ("https://www.example.com",))]}
    if as_json:
        facts = {"schema": "s3img.init/1", "file": file, "report": msgspec.to_builtins(report), **documents}
        click.echo(json.dumps(facts, indent=2))
        return
    titles = {
        "policy": "The least that the key of s3img must be allowed (an IAM policy, or its like):",
        "public_policy": "To let everyone read the pictures (bucket policy):",
        "cors": "Only for uploads from browsers (CORS, `s3img cors`):",
    }
    if not documents:
        click.echo("A folder needs no policies.", err=True)
    elif "public_policy" not in documents:
        click.echo(f"{config.store.title} makes pictures public by {config.store.public_by}.", err=True)
    for name, value in documents.items():
        click.echo(titles[name], err=True)
        click.echo(json.dumps(value, indent=2))
