"""The summary of a publish run: what pages showed before, what they show now, and how it ended."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from s3img.pictures.choices import Image, Strip
from s3img.publish.library import CUT_JPEG
from s3img.publish.result import FormatRow, Problem, PublishResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from s3img.assets import Asset
    from s3img.pictures.editor import Editor, RenderInventory
    from s3img.pictures.variants import Variant
    from s3img.publish.site_survey import SiteSurvey
    from s3img.transfer.delivery import Delivery


def summarise(
    survey: SiteSurvey, editor: Editor, inventory: RenderInventory, delivery: Delivery, *, dry_run: bool
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
            wanted, _ = editor.needs(choice)
            used |= {variant.identity: variant for variant in wanted}
            every |= {variant.identity: variant for variant in choice.variants.variants}
            if wanted:
                replaced[choice.asset.path] = inventory.sizes[widest(wanted, choice.asset).identity]
    return PublishResult(
        target="",
        pages=survey.pages,
        images=len(originals),
        variants=len(every if dry_run else used),
        bytes_before=sum(originals[path] for path in replaced),
        bytes_after=sum(replaced.values()),
        rendered=len(every.keys() - inventory.sizes.keys()),
        uploaded=len(delivery.uploaded),
        present=len(delivery.found),
        dropped=0 if dry_run else len(every) - len(used),
        requests=dict(delivery.requests),
        formats=_rows(used, every, inventory),
        problems=tuple(sorted(_each_once(survey.problems))),
        failed=tuple(sorted(inventory.failed_keys)),
        exit_code=exit_code(survey, inventory),
        dry_run=dry_run,
    )


def _each_once(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Leave out the note about a JPEG's missing end where rendering has found that px are missing, too."""
    failed = {problem.page for problem in problems if problem.code != CUT_JPEG}
    return (problem for problem in problems if problem.code != CUT_JPEG or problem.page not in failed)


def widest(variants: list[Variant], asset: Asset) -> Variant:
    """Return the widest variant of the format that browsers are offered first."""
    first = variants[0].format
    return max((v for v in variants if v.format == first and v.asset == asset), key=lambda v: v.width)


def _rows(used: dict[str, Variant], every: dict[str, Variant], inventory: RenderInventory) -> tuple[FormatRow, ...]:
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for identity, variant in every.items():
        row = rows[variant.format]
        if identity in used:
            row[0] += 1
            row[1] += inventory.sizes[identity]
        else:
            row[2] += 1
    return tuple(FormatRow(name, *row) for name, row in sorted(rows.items()))


def exit_code(survey: SiteSurvey, inventory: RenderInventory) -> int:
    """Return 0, 1 for findings under the policy in force, or what the first failed upload stands for."""
    if inventory.exit_code:
        return inventory.exit_code
    # What nobody foresaw does not keep the rest from being published, and is no success.
    return int(any(problem.severity == "error" or problem.code == "unexpected" for problem in survey.problems))
