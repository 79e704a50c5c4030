"""What a publish run found, did and could not do."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import msgspec

from s3img.pictures.choices import Image, Strip

if TYPE_CHECKING:
    from s3img.assets import Asset
    from s3img.pictures.editor import Editor, RenderInventory
    from s3img.pictures.variants import Variant
    from s3img.publish.pages import SiteSurvey
    from s3img.transfer.render import ObjectUploader

Severity = Literal["error", "warning", "note"]

POLICY: dict[str, Severity | None] = {"error": "error", "warn": "warning", "keep": None}
"""What a missing image counts as under each value of the setting ``missing``."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """Name one thing that went wrong: where (page, line and column from 1, 0 without one), what, and the mending.

    ``url`` is the reference that it is about, as the page has it, "" where it is about no single one.
    """

    page: str
    line: int
    column: int
    code: str
    message: str
    severity: Severity = "warning"
    url: str = ""

    @property
    def place(self) -> str:
        """Return page, line and column as editors read them."""
        return self.page + (f":{self.line}:{self.column}" if self.line else "")

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class FormatRow(msgspec.Struct, frozen=True):
    """Sum up one format: variants in use, their bytes, and those left out for not being smaller."""

    format: str
    variants: int
    bytes: int
    dropped: int


class PublishResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report a run.

    Bytes are those of the images' files before, and of the widest picture that a current browser is offered after. Of a
    dry run, ``rendered`` counts what would be.
    """

    schema: str = "s3img.publish/1"
    target: str
    pages: int = 0
    pages_changed: int = 0
    images: int = 0
    variants: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    rendered: int = 0
    uploaded: int = 0
    present: int = 0
    dropped: int = 0
    removed: int = 0
    requests: dict[str, int] = {}
    formats: tuple[FormatRow, ...] = ()
    problems: tuple[Problem, ...] = ()
    failed: tuple[str, ...] = ()
    exit_code: int = 0
    seconds: float = 0.0
    dry_run: bool = False

    def __str__(self) -> str:
        where = f" to {self.target}" if self.target else " inside the site"
        what = f"{count(self.images, 'image')}, {count(self.variants, 'variant')}{where}"
        pages = f"{self.pages_changed} of {count(self.pages, 'page')} changed in {self.seconds:.2f} s."
        if self.dry_run:
            return f"Would publish {what}, {self.rendered} of them to be rendered; {count(self.pages, 'page')} read."
        done = f"{self.rendered} rendered, {self.uploaded} put, {self.present} present, {self.dropped} dropped"
        saved = f" {size_text(self.bytes_before)} -> {size_text(self.bytes_after)}." if self.bytes_before else ""
        failed = f" {count(len(self.failed), 'object')} failed: pages keep the local images." if self.failed else ""
        return f"Published {what} ({done}).{saved} {pages}{failed}"

    @property
    def ok(self) -> bool:
        """Tell whether everything that was asked for is done."""
        return self.exit_code == 0


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size_text(size: float) -> str:
    """Return bytes for people to read."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def summarise(
    survey: SiteSurvey, editor: Editor, shelf: RenderInventory, uploader: ObjectUploader, *, dry_run: bool
) -> PublishResult:
    """Return the result of a run, as far as it follows from what was surveyed and put."""
    used: dict[str, Variant] = {}
    every: dict[str, Variant] = {}
    originals: dict[str, int] = {}
    replaced: dict[str, int] = {}
    for choice in survey.choices():
        if not isinstance(choice, Strip):
            originals[choice.asset.path] = choice.asset.size
        if isinstance(choice, Image) and editor.is_possible(choice):
            wanted, _ = editor.keys(choice)
            used |= {variant.identity: variant for variant in wanted}
            every |= {variant.identity: variant for variant in choice.ladder.variants}
            if wanted:
                replaced[choice.asset.path] = shelf.sizes[widest(wanted, choice.asset).identity]
    return PublishResult(
        target="",
        pages=survey.pages,
        images=len(originals),
        variants=len(every if dry_run else used),
        bytes_before=sum(originals[path] for path in replaced),
        bytes_after=sum(replaced.values()),
        rendered=len(every.keys() - shelf.sizes.keys()),
        uploaded=len(uploader.uploaded),
        present=len(uploader.found),
        dropped=0 if dry_run else len(every) - len(used),
        requests=dict(uploader.requests),
        formats=_rows(used, every, shelf),
        problems=tuple(sorted(survey.problems)),
        failed=tuple(sorted(shelf.failed_keys)),
        exit_code=exit_code(survey, shelf),
        dry_run=dry_run,
    )


def widest(variants: list[Variant], asset: Asset) -> Variant:
    """Return the widest variant of the format that browsers are offered first."""
    first = variants[0].format
    return max((v for v in variants if v.format == first and v.asset == asset), key=lambda v: v.width)


def _rows(used: dict[str, Variant], every: dict[str, Variant], shelf: RenderInventory) -> tuple[FormatRow, ...]:
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for identity, variant in every.items():
        row = rows[variant.format]
        if identity in used:
            row[0] += 1
            row[1] += shelf.sizes[identity]
        else:
            row[2] += 1
    return tuple(FormatRow(name, *row) for name, row in sorted(rows.items()))


def exit_code(survey: SiteSurvey, shelf: RenderInventory) -> int:
    """Return 0, 1 for findings under the policy in force, or what the first failed upload stands for."""
    if shelf.exit_code:
        return shelf.exit_code
    return 1 if any(problem.severity == "error" for problem in survey.problems) else 0
