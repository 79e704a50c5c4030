"""``s3img cors``."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import click

from s3img.cli import folder_options
from s3img.errors import BucketError, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from s3img.buckets.s3 import S3Bucket
    from s3img.images import Images

_ELSEWHERE = {
    "r2": "In Cloudflare's dashboard: R2, the bucket, Settings, CORS policy; paste the list in CORSRules. (The API "
    "needs a token of the kind «Admin Read & Write».)",
    "b2": "In Backblaze's console: the bucket, CORS Rules; or `b2 bucket update --cors-rules`.",
    "minio": "MinIO has one setting for the whole server: MINIO_API_CORS_ALLOW_ORIGIN.",
    "gcs": "`gcloud storage buckets update gs://BUCKET --cors-file=FILE`, in Google's own form.",
}
_NOT_OFFERED = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405", "AccessDenied", "403"})


@click.command("cors")
@folder_options.remote
@click.option("--origin", "origins", multiple=True, help="Origin whose pages may upload (default: upload_origins).")
@click.option("--apply", is_flag=True, help="Write the merged rules; without it, only show the difference.")
def command(
    *,
    config_file: Path | None,
    as_json: bool,
    origins: tuple[str, ...],
    apply: bool,
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Let pages upload straight into the bucket: merge one rule into its CORS rules, and show what changes."""
    from s3img.buckets import s3_cors
    from s3img.doctor import cors_rules

    given = {"upload_origins": list(origins) or None, **options}
    images = folder_options.open_images(config_file, given)
    bucket, name = _bucket(images)
    try:
        before = s3_cors.read_rules(bucket, name)
        after = cors_rules.merged(before, images.config.upload_origins)
        if apply and after != before:
            s3_cors.write_rules(bucket, name, after)
    except BucketError as error:
        raise _explained(
            error, images, cors_rules.as_json([cors_rules.rule_for(images.config.upload_origins)])
        ) from None
    is_pending = after != before and not apply
    if as_json:
        facts = {"target": images.config.bucket, "changed": after != before, "applied": apply and after != before}
        click.echo(json.dumps({"schema": "s3img.cors/1", **facts, "rules": after}, indent=2))
    else:
        _show(cors_rules.as_json(before), cors_rules.as_json(after), applied=apply)
    return int(is_pending)


def _bucket(images: Images) -> tuple[S3Bucket, str]:
    from s3img.address import S3Address
    from s3img.buckets.s3 import S3Bucket

    address = images.config.address
    if not isinstance(address, S3Address):
        raise ConfigError(["bucket: CORS rules are for buckets of an S3 store: write s3://NAME"])
    if not images.config.upload_origins:
        raise ConfigError(["upload_origins: name the origin of the pages that upload, or give --origin https://HOST"])
    return S3Bucket(address, images.store_options()), address.bucket


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
