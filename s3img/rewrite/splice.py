"""Put new text into a document; every other byte stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from s3img.rewrite.reference import Reference, Replace, Tag, TagEdit
from s3img.rewrite.tag_edit import Edit, tag_edits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3img.rewrite.source import Source

Data = TypeVar("Data", bytes, str)


def splice(data: Data, edits: Iterable[Edit], start: int = 0, end: int | None = None) -> Data:
    """Return the data, or a stretch of it, with edits in ascending order applied; itself if there are none."""
    end = len(data) if end is None else end
    parts: list[Data] = []
    at = start
    for low, high, text in edits:
        parts += data[at:low], cast("Data", text)
        at = high
    if not parts and start == 0 and end == len(data):
        return data
    parts.append(data[at:end])
    return data[:0].join(parts)


def edits(source: Source, references: Iterable[Reference], replace: Replace) -> list[Edit]:
    """Ask for every reference and return what has to change, in ascending order.

    A ``TagEdit`` for a reference without tag changes nothing.
    """
    found: list[Edit] = []
    done: Tag | None = None
    for reference in references:
        if done is not None and reference.tag is done:
            continue
        new = replace(reference)
        if isinstance(new, TagEdit):
            done = reference.tag
            if done is not None:
                _merge(found, tag_edits(source, done, new), done)
        elif new is not None and new != reference.url:
            found.append((reference.start, reference.end, source.url(reference.encode(new))))
    data = source.data
    return [edit for edit in found if data[edit[0] : edit[1]] != edit[2]]


def _merge(found: list[Edit], new: list[Edit], tag: Tag) -> None:
    """Add the edits of a tag; they win over URLs replaced before in the same attributes."""
    earlier = []
    while found and found[-1][0] >= tag.start:
        edit = found.pop()
        if not any(edit[0] < end and start < edit[1] for start, end, _ in new):
            earlier.append(edit)
    found += sorted(earlier + new, key=lambda edit: edit[:2])
