"""``s3img ls``, ``rm``, ``mv``, ``restore`` and ``used``: the objects of the bucket, managed by their keys."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s3img.cli.command_options import REMOTE, as_json, duration, with_images, with_lock
from s3img.cli.report import print_json
from s3img.errors import ConfigError
from s3img.keys import one_line
from s3img.lock import read_lock
from s3img.manage import (
    ObjectFilter,
    find_uses,
    move,
    plan_move,
    remove,
    restore_from_trash,
    search,
    sort_objects,
)
from s3img.manage.moving import MoveResult, ReferenceUpdate
from s3img.manage.object_search import is_own, parse_size
from s3img.manage.removal import TRASH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3img.buckets import ObjectInfo
    from s3img.config import Config
    from s3img.images import Images
    from s3img.manage.object_search import SortKey
    from s3img.manage.removal import RemoveResult

_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what there is to do.")
_FORCE = click.option("--force", is_flag=True, help="Go on even if it is more than half of the bucket.")


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Read a date, a time (ISO 8601; UTC unless it says otherwise) or how long ago (7d, 12h, 30m)."""
    if value is None:
        return None
    if re.fullmatch(r"\d{1,5}[mhd]", value):
        ago = duration(ctx, param, value)
        return datetime.now(UTC) - ago if ago else None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        message = f"{value!r} is not a date: write 2026-11-28, 2026-11-28T18:00 or 7d for seven days ago."
        raise click.BadParameter(message) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def byte_size(ctx: click.Context, param: click.Parameter, value: str) -> int:  # noqa: ARG001 - click's form
    """Read a number of bytes."""
    try:
        return parse_size(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


@click.command("ls")
@click.argument("prefix", default="")
@click.option("--long", "is_long", is_flag=True, help="With date and address.")
@click.option("--search", "text", default="", help="Only keys that have all these words anywhere in them.")
@click.option("--since", callback=moment, help="Only what was put at or after this date, or in the last 7d, 12h, 30m.")
@click.option("--until", callback=moment, help="Only what was put before.")
@click.option("--type", "types", multiple=True, help="Only this type: jpg, png, webp, … or image; repeatable.")
@click.option("--min-size", callback=byte_size, default="0", help="Only from this size on: bytes, or 500K, 2M, 1G.")
@click.option("--max-size", callback=byte_size, default="0", help="Only up to this size.")
@click.option("--sort", "by", type=click.Choice(["name", "date", "size"]), default="name", show_default=True)
@click.option("--reverse", is_flag=True, help="The last first.")
@click.option("--limit", type=click.IntRange(1), help="No more than so many.")
@click.option("--trash", is_flag=True, help="What was removed and can be restored.")
@with_images(*REMOTE)
@as_json
def ls_command(
    prefix: str,
    *,
    images: Images,
    as_json: bool,
    is_long: bool,
    reverse: bool,
    limit: int | None,
    trash: bool,
    by: SortKey,
    **filters: Any,  # noqa: ANN401 - those of `ObjectFilter`
) -> int:
    """Print the keys in the bucket that start with PREFIX, with their bytes."""
    wanted = ObjectFilter.of(**filters)
    named = f"{TRASH if trash else ''}{prefix}"
    # What s3img keeps for itself is shown to those who ask for it by its name.
    listed = (info for info in images.objects(named) if is_own(named) or not is_own(info.key))
    found = sort_objects(search(listed, wanted), by, reverse=reverse, limit=limit or 0)
    if as_json:
        objects = [
            {"key": key, "bytes": info.size, "modified": info.modified.isoformat(), "etag": info.etag}
            for info in found
            for key in [info.key.removeprefix(TRASH) if trash else info.key]
        ]
        click.echo(json.dumps({"schema": "s3img.ls/1", "target": images.config.bucket, "objects": objects}, indent=2))
        return 0
    for line in listing_lines(found, images.config, is_long=is_long, trash=trash):
        click.echo(one_line(line))
    return 0


def listing_lines(infos: Iterable[ObjectInfo], config: Config, *, is_long: bool, trash: bool) -> Iterable[str]:
    """Yield a line for each object."""
    from s3img.urls import object_url

    base = config.base_url if is_long and not trash else ""
    for info in infos:
        key = info.key.removeprefix(TRASH) if trash else info.key
        date = f"{info.modified.astimezone(UTC):%Y-%m-%d %H:%M} " if is_long else ""
        yield f"{info.size:>12} {date}{key}" + (f"  {object_url(base, key)}" if base else "")


@click.command("rm")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--prefix", "prefixes", multiple=True, help="All keys that start with this; repeatable.")
@click.option("--no-trash", is_flag=True, help="Delete at once, without a copy that s3img restore could bring back.")
@_FORCE
@_DRY_RUN
@with_images(*REMOTE)
@as_json
def rm_command(
    keys: tuple[str, ...],
    *,
    prefixes: tuple[str, ...],
    no_trash: bool,
    force: bool,
    dry_run: bool,
    images: Images,
    as_json: bool,
) -> int:
    """Remove objects to the trash: KEYs, folders (img/) or patterns (img/*.png; ** also goes into folders)."""
    if not keys and not prefixes:
        raise click.UsageError("Name a KEY, or give --prefix.")
    result = remove(
        images.open_bucket(),
        [*keys, *(prefix if prefix.endswith("/") or not prefix else f"{prefix}**" for prefix in prefixes)],
        apply=not dry_run,
        to_trash=not no_trash,
        force=force,
        workers=images.config.workers,
    )
    return show(result, (f"remove {key}" for key in result.done), as_json=as_json)


@click.command("restore")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@_DRY_RUN
@with_images(*REMOTE)
@as_json
def restore_command(keys: tuple[str, ...], *, dry_run: bool, images: Images, as_json: bool) -> int:
    """Put objects back from the trash: KEYs, folders, patterns, or '*' for all; s3img ls --trash lists them."""
    return show_restored(images, keys, apply=not dry_run, as_json=as_json)


def show_restored(images: Images, keys: Iterable[str], *, apply: bool, as_json: bool) -> int:
    """Put objects back from the trash, and show what came of it; return the exit code."""
    result = restore_from_trash(images.open_bucket(), keys, apply=apply, workers=images.config.workers)
    return show(result, (f"restore {key}" for key in result.done), as_json=as_json)


def show(result: RemoveResult | MoveResult, done: Iterable[str], *, as_json: bool) -> int:
    """Show what a command did: a line for each thing done, the sum, notes and errors; return the exit code."""
    if as_json:
        print_json(result)
        return result.exit_code
    for line in done:
        click.echo(one_line(line))
    click.echo(str(result))
    for note in result.notes if isinstance(result, MoveResult) else ():
        click.echo(one_line(f"note: {note}"), err=True)
    for problem in result.failed:
        click.echo(one_line(f"error: {problem}"), err=True)
    if result.refused:
        click.echo(f"error: Refused: {result.refused}", err=True)
    return result.exit_code


@click.command("mv")
@click.argument("source")
@click.argument("target")
@click.option(
    "--update",
    "places",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Rewrite references in the Markdown and HTML of this folder, and the lock; repeatable.",
)
@_FORCE
@_DRY_RUN
@with_images(*REMOTE)
@as_json
@with_lock
def mv_command(
    source: str,
    target: str,
    *,
    places: tuple[Path, ...],
    force: bool,
    dry_run: bool,
    images: Images,
    lock: Path,
    as_json: bool,
) -> int:
    """Move the object SOURCE to the key TARGET; folders end in /, and * in SOURCE stands for the same in TARGET."""
    from markdown_it import MarkdownIt  # what the proof renders with

    locked = read_lock(lock, missing_ok=True)
    for place in places:
        if not place.exists():
            raise ConfigError([f"--update: {place} does not exist: name the folder of your pages"])
    render = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render
    bucket = images.open_bucket()
    plan = plan_move(bucket, source, target, lock=locked, force=force)
    update = ReferenceUpdate(images.config, places, lock, render) if places else None
    result = move(bucket, plan, apply=not dry_run, update=update, lock=locked, workers=images.config.workers)
    moved = [f"move {one.old} -> {one.new}" for one in result.moved]
    return show(result, [*moved, *(f"rewrite {file}" for file in result.files)], as_json=as_json)


@click.command("used")
@click.argument("key")
@click.argument("places", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path))
@with_images(*REMOTE)
@as_json
@with_lock
def used_command(key: str, *, places: tuple[Path, ...], images: Images, lock: Path, as_json: bool) -> int:
    """Say where KEY is used: in the lock, in builds that the bucket knows, in pages and sources below DIR (here)."""
    uses = find_uses(
        [key],
        bucket=images.open_bucket(),
        lock=read_lock(lock, missing_ok=True),
        lock_folder=lock.absolute().parent,
        places=places or (Path(),),
        config=images.config,
    )
    if as_json:
        found = [{"kind": use.kind, "place": use.place, "url": use.url} for use in uses]
        facts = {"schema": "s3img.used/1", "target": images.config.bucket, "key": key, "uses": found}
        click.echo(json.dumps(facts, indent=2))
        return 0
    for use in uses:
        click.echo(one_line(str(use)))
    if not uses:
        click.echo(f"{one_line(key)} is used nowhere that was looked.", err=True)
    return 0
