"""``s3img gc``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s3img.cli.duration import duration
from s3img.cli.folder_options import lock_path
from s3img.cli.host import load_config
from s3img.cli.report import one_line, print_json
from s3img.images import Images
from s3img.publish.result import count

if TYPE_CHECKING:
    from s3img.gc.result import GcResult


@click.command("gc")
@click.option("--apply", is_flag=True, help="Mark and delete; without it, only say what there is to do.")
@click.option("--keep", type=click.Path(path_type=Path), multiple=True, help="A lock whose images stay; repeatable.")
@click.option(
    "--grace", callback=duration, default="7d", show_default=True, help="Wait before a mark, and before the deletion."
)
@click.option(
    "--history", callback=duration, default="30d", show_default=True, help="How long an older build of a site counts."
)
@click.option(
    "--trash", callback=duration, default="30d", show_default=True, help="Keep what is deleted; 0 deletes it at once."
)
@click.option(
    "--restore", metavar="KEY", multiple=True, help="Only put KEY (* for all) back from the trash; repeatable."
)
@click.option("--force", is_flag=True, help="Go on without any reference, and when more than half would go.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Settings file (default: s3img.toml).")
@click.option("--bucket", help="s3://NAME/PREFIX or file:///FOLDER.")
@click.option("--endpoint-url", help="Address of an S3-compatible service.")
@click.option("--workers", type=int, help="Requests at a time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    *,
    keep: tuple[Path, ...],
    config_file: Path | None,
    as_json: bool,
    apply: bool,
    restore: tuple[str, ...],
    **options: Any,  # noqa: ANN401 - click passes what its options say
) -> int:
    """Delete the bucket's images that no site and no lock refers to any more; a dry run unless --apply is given."""
    from s3img.gc.plan import Rules
    from s3img.gc.run import collect

    rules = Rules(**{name: options.pop(name) for name in ("grace", "history", "trash", "force")})
    images = Images(load_config(options, config_file))
    if restore:
        return _restore(images, restore, apply=apply, as_json=as_json)
    result = collect(
        images.open_bucket(),
        kept=_kept(keep, lock_path(None, config_file)),
        rules=rules,
        apply=apply,
        workers=images.config.workers,
    )
    (print_json if as_json else _print)(result)
    return result.exit_code


def _restore(images: Images, patterns: tuple[str, ...], *, apply: bool, as_json: bool) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from s3img.gc.trash import restore

    with ThreadPoolExecutor(images.config.workers) as pool:
        result = restore(images.open_bucket(), patterns, apply=apply, pool=pool)
    if as_json:
        print_json(result)
    else:
        for key in result.restored:
            click.echo(one_line(f"restore {key}"))
        click.echo(str(result))
    if not (result.restored or result.present):
        click.echo("error: nothing in the trash has such a key.", err=True)
        return 1
    return 0


def _kept(files: tuple[Path, ...], own: Path) -> frozenset[str]:
    """Return the keys of the named locks, and of the one that all commands mean, in this folder and where it lies."""
    from s3img.lock import LOCK_NAME, read_lock

    here = [read_lock(path, missing_ok=True).keys() for path in {own, Path(LOCK_NAME)}]
    return frozenset().union(*here, *(read_lock(file).keys() for file in files))


def _print(result: GcResult) -> None:
    for verb, keys in (("mark", result.marked), ("wait", result.waiting), ("delete", result.deleted)):
        for key in keys:
            click.echo(one_line(f"{verb:7}{key}"))
    click.echo(str(result))
    if result.unnamed:
        references = count(result.unnamed, "reference")
        click.echo(f"note: {references} will never expire, being of sites without site_url.", err=True)
    for problem in filter(None, (result.refused and f"Refused: {result.refused}", result.failed)):
        click.echo(f"error: {problem}", err=True)
