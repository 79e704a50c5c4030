"""``s3img gc`` and ``s3img cors``: what the bucket no longer needs, and who may write into it."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s3img.cli.command_options import (
    PLACE,
    REMOTE,
    as_json,
    duration,
    load_config,
    with_images,
    with_lock,
    with_settings,
)
from s3img.cli.report import print_json
from s3img.errors import BucketError, ConfigError
from s3img.images import Images
from s3img.keys import one_line
from s3img.publish.result import count

if TYPE_CHECKING:
    from s3img.buckets.s3.s3_bucket import S3Bucket
    from s3img.config import Config
    from s3img.gc.rules import GcResult


@click.command("gc")
@click.option("--apply", is_flag=True, help="Mark and delete; without it, only say what there is to do.")
@click.option("--keep", type=click.Path(path_type=Path), multiple=True, help="A lock whose images stay; repeatable.")
@click.option(
    "--grace",
    callback=duration,
    default="7d",
    show_default=True,
    help="Wait this long before an image is marked, and again before it is deleted.",
)
@click.option(
    "--history",
    callback=duration,
    default="30d",
    show_default=True,
    help="How long the images of a site's older builds stay.",
)
@click.option(
    "--trash",
    callback=duration,
    default="30d",
    show_default=True,
    help="Keep deleted images in the trash this long; 0: no trash.",
)
@click.option(
    "--restore", metavar="KEY", multiple=True, help="Only put KEY (* for all) back from the trash; repeatable."
)
@click.option(
    "--force", is_flag=True, help="Go on even if nothing refers to any image, or more than half would be deleted."
)
@with_images(*PLACE, "workers")
@with_lock
@as_json
def gc_command(
    *,
    keep: tuple[Path, ...],
    images: Images,
    lock: Path,
    as_json: bool,
    apply: bool,
    restore: tuple[str, ...],
    **rules: Any,  # noqa: ANN401 - the fields of Rules
) -> int:
    """Delete the bucket's images that no site and no lock refers to any more; a dry run unless --apply is given."""
    from s3img.gc.clean_up import collect
    from s3img.gc.rules import Rules

    if restore:
        from s3img.cli.manage import show_restored

        return show_restored(images, restore, apply=apply, as_json=as_json)
    result = collect(
        images.open_bucket(),
        kept=_kept(keep, lock),
        spared=_keys_of_transforms(images.config),
        rules=Rules(**rules),
        apply=apply,
        workers=images.config.workers,
    )
    (print_json if as_json else _print)(result)
    return result.exit_code


def _kept(files: tuple[Path, ...], own: Path) -> frozenset[str]:
    """Return the keys of the named locks, and of the one that all commands mean, in this folder and where it lies."""
    from s3img.lock import LOCK_NAME, read_lock

    here = [read_lock(path, missing_ok=True).keys() for path in {own, Path(LOCK_NAME)}]
    return frozenset().union(*here, *(read_lock(file).keys() for file in files))


def _keys_of_transforms(config: Config) -> frozenset[str]:
    """Return the keys that the settings' own transforms name: pictures and fonts of layers, default images."""
    from s3img.transform import Transform

    texts = [*config.presets.values(), *config.allowed, *(rule.s3img for rule in config.rules)]
    transforms = [
        Transform.parse(text, presets=config.presets, limits=config.limits).with_fonts(config.fonts)
        for text in texts
        if text not in {"", "off", "url"}
    ]
    defaults = (transform.output.default_image for transform in transforms)
    return frozenset(filter(None, [*defaults, *(key for transform in transforms for key in transform.inputs)]))


def _print(result: GcResult) -> None:
    lists = (("young", result.young), ("mark", result.marked), ("wait", result.waiting), ("delete", result.deleted))
    for verb, keys in lists:
        for key in keys:
            click.echo(one_line(f"{verb:7}{key}"))
    click.echo(str(result))
    if result.unnamed:
        builds = count(result.unnamed, "build")
        text = f"note: {builds} published without site_url. What such a build shows stays for ever: set it and publish."
        click.echo(text, err=True)
    for problem in filter(None, (result.refused and f"Refused: {result.refused}", result.failed)):
        click.echo(f"error: {problem}", err=True)


_ELSEWHERE = {
    "r2": "In Cloudflare's dashboard: R2, the bucket, Settings, CORS policy; paste the list in CORSRules. (The API "
    "needs a token of the kind «Admin Read & Write».)",
    "b2": "In Backblaze's console: the bucket, CORS Rules; or `b2 bucket update --cors-rules`.",
    "minio": "MinIO has one setting for the whole server: MINIO_API_CORS_ALLOW_ORIGIN.",
    "gcs": "`gcloud storage buckets update gs://BUCKET --cors-file=FILE`, in Google's own form.",
}

_NOT_OFFERED = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405", "AccessDenied", "403"})


@click.command("cors")
@with_settings(*REMOTE)
@as_json
@click.option("--origin", "origins", multiple=True, help="Origin whose pages may upload (default: upload_origins).")
@click.option("--apply", is_flag=True, help="Write the merged rules; without it, only show the difference.")
def cors_command(
    *,
    config_file: Path | None,
    as_json: bool,
    origins: tuple[str, ...],
    apply: bool,
    options: dict[str, Any],
) -> int:
    """Let pages upload straight into the bucket: merge one rule into its CORS rules, and show what changes."""
    from s3img.buckets.s3 import facts
    from s3img.doctor import cors_rules

    given = {"upload_origins": list(origins) or None, **options}
    images = Images(load_config(given, config_file))
    bucket, name = _bucket(images)
    try:
        before = facts.read_rules(bucket, name)
        after = cors_rules.merged(before, images.config.upload_origins)
        if apply and after != before:
            facts.write_rules(bucket, name, after)
    except BucketError as error:
        raise _explained(
            error, images, cors_rules.as_json([cors_rules.rule_for(images.config.upload_origins)])
        ) from None
    is_pending = after != before and not apply
    if as_json:
        changes = {"target": images.config.bucket, "changed": after != before, "applied": apply and after != before}
        click.echo(json.dumps({"schema": "s3img.cors/1", **changes, "rules": after}, indent=2))
    else:
        _show(cors_rules.as_json(before), cors_rules.as_json(after), applied=apply)
    return int(is_pending)


def _bucket(images: Images) -> tuple[S3Bucket, str]:
    from s3img.buckets import S3Options
    from s3img.buckets.s3.s3_bucket import S3Bucket
    from s3img.config.address import S3Address

    address = images.config.address
    if not isinstance(address, S3Address):
        raise ConfigError(["bucket: CORS rules are for buckets of an S3 store: write s3://NAME"])
    if not images.config.upload_origins:
        raise ConfigError(["upload_origins: name the origin of the pages that upload, or give --origin https://HOST"])
    return S3Bucket(address, S3Options.from_config(images.config)), address.bucket


def _show(before: str, after: str, *, applied: bool) -> None:
    if before == after:
        click.echo("Nothing is missing: the bucket's CORS rules allow these origins.")
        return
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "in the bucket", "merged", lineterm="")
    click.echo("\n".join(lines))
    click.echo("Applied." if applied else "Not applied: run it again with --apply.", err=True)


def _explained(error: BucketError, images: Images, document: str) -> BucketError:
    """Say where the rule can be set by hand, if the store has no request for it or does not allow it."""
    if error.code not in _NOT_OFFERED:
        return error
    where = _ELSEWHERE.get(images.config.store.name, "Set it where the store is administered.")
    kind = type(error)
    fix = f"{error.fix} {where} The rule is:\n{document}"
    return kind(error.message, code=error.code, action=error.action, bucket=error.bucket, fix=fix)
