"""``s3img render [PREFIX…]``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s3img.cli.command_options import REMOTE, as_json, with_images, with_lock
from s3img.cli.report import print_json
from s3img.keys import one_line

if TYPE_CHECKING:
    from s3img.bulk.shard_report import RenderReport, ShardReport
    from s3img.bulk.shards import ShardPart
    from s3img.images import Images

_SECONDS = 10.0
"""How often a run tells how far it is."""


def _part(ctx: click.Context, param: click.Parameter, value: str | None) -> ShardPart | None:  # noqa: ARG001 - click's form
    from s3img.bulk.shards import ShardPart

    return ShardPart.parse(value) if value else None


@click.command("render")
@click.argument("prefixes", nargs=-1, metavar="[PREFIX]...")
@click.option("--tr", "transforms", multiple=True, metavar="TRANSFORM", help="Render for the service: n-NAME, w-300.")
@click.option("--variants", is_flag=True, help="Render the variants that published pages show.")
@click.option("--accept", "accepts", multiple=True, metavar="CLASS", help="Browsers to render for: avif, webp, plain.")
@click.option("--origin", default="", help="Where the pictures are: the name of one of the service's origins.")
@click.option("--executor", default="threads", help="threads (default), processes, dask, dask=URL, MODULE:NAME.")
@click.option("--processes", "count", type=click.IntRange(0, 4096), default=0, help="Workers (default: processors).")
@click.option("--shard", "part", metavar="I/N", callback=_part, help="Do one of N parts; the others run elsewhere.")
@click.option("--inventory", type=click.Path(path_type=Path), help="An S3 inventory in place of the listing.")
@click.option("--run", default="", help="Name of the checkpoints (default: made of the request).")
@click.option("--again", is_flag=True, help="Look at every picture, also where an earlier run has finished.")
@click.option("--dry-run", is_flag=True, help="Only say what there is to do, and what it may cost.")
@click.option("--max-cost", type=click.FloatRange(min=0), help="Begin nothing that may cost more (USD).")
@click.option("--status", metavar="RUN", help="Only say what a run has done so far.")
@with_images(*REMOTE)
@as_json
@with_lock
def render_command(
    *,
    executor: str,
    count: int,
    dry_run: bool,
    status: str | None,
    images: Images,
    lock: Path,
    as_json: bool,
    **wanted: Any,  # noqa: ANN401 - the fields of BulkRequest
) -> int:
    """Render what is missing for every picture below PREFIXes of the bucket, into the bucket."""
    from s3img.bulk.bulk_run import BulkRequest  # with all that renders, which other commands do without

    if status is not None:
        return _print(images.render_status(status, variants=wanted["variants"]), as_json=as_json)
    wanted = {name: value for name, value in wanted.items() if value not in (None, "", ())}
    request = BulkRequest(**wanted, lock=lock)
    if dry_run:
        found = images.estimate_render(request)
        print_json(found) if as_json else click.echo(str(found))
        return 0
    progress = None if as_json else RenderLines()
    report = images.render_many(request, executor=executor, workers=count, progress=progress)
    return _print(report, as_json=as_json)


class RenderLines:
    """Tell on stderr every ten seconds how far a run is."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, total: ShardReport) -> None:
        """Look at the sum so far."""
        if time.monotonic() - self._told >= _SECONDS:
            self._told = time.monotonic()
            text = f"{total.pictures:,} pictures, {total.rendered:,} rendered, {total.failed:,} failed"
            click.echo(text, err=True)


def _print(report: RenderReport, *, as_json: bool) -> int:
    if as_json:
        print_json(report)
    else:
        for error in report.done.errors:
            click.echo(one_line(f"error: {error}"), err=True)
        if report.done.failed > len(report.done.errors):
            causes = ", ".join(f"{number:,} {code}" for code, number in report.done.causes.items())
            click.echo(f"error: {report.done.failed:,} pictures failed in all: {causes}.", err=True)
        click.echo(str(report))
    return report.exit_code
