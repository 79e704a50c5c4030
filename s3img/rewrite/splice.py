"""Put new text into a document; every other byte stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from s3img.rewrite.html.tokens import SPACES, TAG, Raw, raw
from s3img.rewrite.quoting import WHOLE, in_double_quotes
from s3img.rewrite.reference import Reference, Replace, Tag, TagEdit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3img.rewrite.source import Source

Edit: TypeAlias = tuple[int, int, bytes | str]
"""Start and end of a stretch, and the text to put in its place."""


def tag_edits(source: Source, tag: Tag, edit: TagEdit) -> list[Edit]:
    """Return the edits of a tag: values in place, removals (of all that repeat a name), the rest behind the last."""
    code, wanted = source.code, {name.lower().encode(): value for name, value in edit.attributes.items()}
    found: list[Edit] = [(tag.start, tag.start, source.markup(edit.before))]
    whole = TAG.match(code, tag.start, tag.end)
    after_quote, last = False, whole.end(1) if whole else tag.end - 1
    for attribute in raw(code, tag.start, tag.end):
        last = attribute.after
        if attribute.name in wanted and wanted[attribute.name] is None:
            found.append((removal_start(code, attribute, after_quote=after_quote), last, source.markup("")))
            continue
        after_quote = bool(attribute.quote)
        value = wanted.pop(attribute.name, None)
        if value is not None:
            found.append(set_value(source, attribute, value))
    added = "".join(
        f' {name.decode()}="{in_double_quotes(value)}"' for name, value in wanted.items() if value is not None
    )
    return [*found, (last, last, source.markup(added)), (tag.end, tag.end, source.markup(edit.after))]


def set_value(source: Source, attribute: Raw, value: str) -> Edit:
    """Return the edit that gives an attribute another value, in its own quotes."""
    if attribute.quote or attribute.start < attribute.end:
        return (attribute.start, attribute.end, source.markup(WHOLE[attribute.quote](value)))
    return (attribute.end, attribute.after, source.markup(f'="{in_double_quotes(value)}"'))


def removal_start(code: bytes, attribute: Raw, *, after_quote: bool) -> int:
    """Return where a removal starts: with the white space before, unless that has to keep neighbours apart."""
    follows = code[attribute.after]
    if not after_quote and follows not in SPACES and follows != 0x3E:
        return attribute.name_start
    start = attribute.name_start
    while code[start - 1] in SPACES:
        start -= 1
    return start


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
