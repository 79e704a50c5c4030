"""``s3img large-images FILE…`` and ``s3img missing-alt FILE…``: what pre-commit asks before a commit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from s3img.errors import FileUnreadable, ImageError
from s3img.imaging import probe
from s3img.keys import one_line
from s3img.rewrite import find_references, position

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGES: Final = {".html": "text/html", ".htm": "text/html", ".xhtml": "application/xhtml+xml"}
_NO_TEXT: Final = re.compile(rb"!\[\s*\]\(\s*<?$")
"""What stands before the address of a Markdown image without a description."""

files = click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command("large-images")
@files
@click.option(
    "--max-kb", type=click.IntRange(1), default=1000, show_default=True, help="Most kB (1000 bytes) of a file."
)
@click.option("--max-side", type=click.IntRange(0), default=0, help="Most px of the longer side; 0: any number.")
@as_json
def large_images_command(files: tuple[Path, ...], *, max_kb: int, max_side: int, as_json: bool) -> int:
    """Name the image FILES that are too large to be kept in git; exit with 1 when there are any."""
    return _report(list(_large(files, max_kb, max_side)), as_json=as_json)


@click.command("missing-alt")
@files
@as_json
def missing_alt_command(files: tuple[Path, ...], *, as_json: bool) -> int:
    """Name the images of HTML and Markdown FILES that have no alternative text; exit with 1 when there are any.

    A decorative image has alt="", in Markdown as HTML: <img src="line.png" alt="">.
    """
    found = [f"{path}:{line}: {url} has no alt text" for path in files for line, url in images_without_alt(path)]
    return _report(found, as_json=as_json)


def images_without_alt(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and URL of each image of a page or a Markdown text that has no ``alt``.

    In Markdown, ``![](cat.jpg)`` counts as well: it is the way to forget the text. Raise AssetError for a file that
    can't be read.
    """
    data = _read(path)
    for reference in find_references(data, _PAGES.get(path.suffix.lower(), "text/markdown")):
        if reference.kind == "img src":
            is_missing = reference.tag is not None and reference.tag.get("alt") is None
        else:
            is_missing = reference.kind == "markdown image" and bool(_NO_TEXT.search(data[: reference.start][-200:]))
        if is_missing:
            yield position(data, reference.start)[0], reference.url


def _large(files: tuple[Path, ...], max_kb: int, max_side: int) -> Iterator[str]:
    for path in files:
        data = _read(path)
        size = f"{len(data) / 1000:,.0f} kB"
        if len(data) > max_kb * 1000:
            yield f"{path}: has {size}, at most {max_kb:,} kB are allowed"
        elif max_side:
            try:
                info = probe(data)
            except ImageError:  # an SVG, or no image at all: only its bytes count
                continue
            if max(info.width, info.height) > max_side:
                yield f"{path}: has {info.width} x {info.height} px, at most {max_side:,} px are allowed"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileUnreadable(str(path), error) from error


def _report(found: list[str], *, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"schema": "s3img.findings/1", "findings": found}, ensure_ascii=False))
    else:
        for line in found:
            click.echo(one_line(line))
    return int(bool(found))
