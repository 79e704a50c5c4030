"""What a change of a start tag means for its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from s3img.rewrite.encode import WHOLE, in_double_quotes
from s3img.rewrite.html_attributes import Raw, raw
from s3img.rewrite.html_grammar import SPACES, TAG

if TYPE_CHECKING:
    from s3img.rewrite.reference import Tag, TagEdit
    from s3img.rewrite.source import Source


Edit: TypeAlias = tuple[int, int, bytes | str]
"""Start and end of a stretch, and the text to put in its place."""


def tag_edits(source: Source, tag: Tag, edit: TagEdit) -> list[Edit]:
    """Return the edits of a tag: values in place, removals (of all that repeat a name), the rest behind the last."""
    code, wanted = source.code, {name.lower().encode(): value for name, value in edit.attributes.items()}
    found: list[Edit] = [(tag.start, tag.start, source.markup(edit.before))]
    after_quote, last = False, _name_end(code, tag)
    for attribute in raw(code, tag.start, tag.end):
        last = attribute.after
        if attribute.name in wanted and wanted[attribute.name] is None:
            found.append((_removed_from(code, attribute, after_quote=after_quote), last, source.markup("")))
            continue
        after_quote = bool(attribute.quote)
        value = wanted.pop(attribute.name, None)
        if value is not None:
            found.append(_set(source, attribute, value))
    added = "".join(
        f' {name.decode()}="{in_double_quotes(value)}"' for name, value in wanted.items() if value is not None
    )
    return [*found, (last, last, source.markup(added)), (tag.end, tag.end, source.markup(edit.after))]


def _name_end(code: bytes, tag: Tag) -> int:
    whole = TAG.match(code, tag.start, tag.end)
    return whole.end(1) if whole else tag.end - 1


def _set(source: Source, attribute: Raw, value: str) -> Edit:
    if attribute.quote or attribute.start < attribute.end:
        return (attribute.start, attribute.end, source.markup(WHOLE[attribute.quote](value)))
    return (attribute.end, attribute.after, source.markup(f'="{in_double_quotes(value)}"'))


def _removed_from(code: bytes, attribute: Raw, *, after_quote: bool) -> int:
    """Return where a removal starts: with the white space before, unless that has to keep neighbours apart."""
    follows = code[attribute.after]
    if not after_quote and follows not in SPACES and follows != 0x3E:
        return attribute.name_start
    start = attribute.name_start
    while code[start - 1] in SPACES:
        start -= 1
    return start
