"""``s3img init``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from s3img.address import S3Address
from s3img.cli.doctor import Shown
from s3img.config import Config
from s3img.errors import ConfigError
from s3img.settings import FILE_NAME

if TYPE_CHECKING:
    from s3img.doctor import Report

_OWN = ("provider", "bucket", "account", "region", "endpoint_url", "public_url", "aws_profile", "upload_origins")


@click.command("init")
@click.option("--provider", help="Service that holds the bucket: aws, r2, b2, minio … (docs/providers.md).")
@click.option("--bucket", help="NAME, s3://NAME/PREFIX or file:///FOLDER; without it everything is asked for.")
@click.option("--account", help="Account, where the service has it in its address (R2).")
@click.option("--region", help="Region of the bucket.")
@click.option("--endpoint-url", help="Address of a service of your own.")
@click.option("--public-url", help="Public address of what the bucket names.")
@click.option("--aws-profile", help="Profile of the AWS configuration files.")
@click.option("--upload-origin", "upload_origins", multiple=True, help="Origin whose pages upload; repeatable.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=FILE_NAME,
    show_default=True,
    help="File to write.",
)
@click.option("--policy", is_flag=True, help="Only print the policies; test and write nothing.")
@click.option("--no-test", is_flag=True, help="Write the file without testing the settings.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; nothing is asked.")
def command(
    *,
    config_file: Path,
    policy: bool,
    no_test: bool,
    force: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Ask for a bucket, test it with doctor, write s3img.toml, and print the policies that it needs."""
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
        _print(config, as_json=as_json)
        return 0
    report = None if no_test else _tested(config, is_quiet=as_json)
    is_written = not _has_failed(report) or (is_asking and _wants_it_all_the_same(config_file))
    if is_written:
        settings_file.write(config_file, settings_file.document(values), force=force)
    _print(config, as_json=as_json, file=str(config_file) if is_written else "", report=report)
    if not is_written:
        click.echo(f"{config_file} was not written: mend the above, or give --no-test.", err=True)
    return report.exit_code if report else 0


def _tested(config: Config, *, is_quiet: bool) -> Report:
    from s3img.doctor import examine

    shown = Shown(sys.stderr)
    report = examine(config, tell=None if is_quiet else shown)
    if not is_quiet:
        shown.sum_up(report)
    return report


def _has_failed(report: Report | None) -> bool:
    return report is not None and report.exit_code > 1


def _wants_it_all_the_same(file: Path) -> bool:
    return click.confirm(f"Something fails. Write {file} all the same?", err=True)


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options as they are; a bare name is a bucket."""
    values = {name: given[name] for name in _OWN if given.get(name)}
    if "://" not in values["bucket"] and not values["bucket"].startswith("file:"):
        values["bucket"] = f"s3://{values['bucket']}"
    return values


def _asked(given: dict[str, Any]) -> dict[str, Any]:
    """Ask for what is not given, in the order in which one answer leads to the next question."""
    from s3img import providers

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
    values["public_url"] = given["public_url"] or ask("Public address of what the bucket names", _usual(values))
    return _named(values)


def _usual(values: dict[str, Any]) -> str:
    try:
        return Config(**_named(values)).base_url
    except ConfigError:
        return ""


def _print(config: Config, *, as_json: bool, file: str = "", report: Report | None = None) -> None:
    """Print what was made, and the documents to copy into the console of the service."""
    from s3img.doctor.cors_rules import rule_for
    from s3img.doctor.policies import access_policy, public_policy

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
    if file:
        click.echo(f"Wrote {file}.", err=True)
    titles = {
        "policy": "The least that the key of s3img must be allowed (an IAM policy, or its like):",
        "public_policy": "To let everyone read the pictures (bucket policy):",
        "cors": "Only for uploads from browsers (CORS, `s3img cors`):",
    }
    if documents and "public_policy" not in documents:
        click.echo(f"{config.store.title} makes pictures public by {config.store.public_by}.", err=True)
    for name, value in documents.items():
        click.echo(titles[name], err=True)
        click.echo(json.dumps(value, indent=2))
